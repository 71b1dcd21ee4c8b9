//! A Supabase project: a database with its roles, the kit, and PostgREST over it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::postgrest::{Postgrest, SECRET};
use super::servers::Postgres;

/// What a project has before its first migration.
const ROLES: &str = "
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit;
    grant anon, authenticated, service_role to authenticator;
    create role owner login bypassrls createrole;
    grant anon, authenticated, service_role to owner;
    alter role authenticator set statement_timeout = '30s';";
const AUTH: &str = "
    create schema auth;
    grant usage on schema auth to public;
    create function auth.uid() returns uuid language sql stable as
      $$ select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$;
    grant usage on schema public to anon, authenticated, service_role;
    alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
    alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;";

/// The kit as it is shipped: its files in the order of their names.
pub fn kit() -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/kit");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect()
}

/// The cluster of all tests that kill nothing.
fn shared() -> Option<&'static Postgres> {
    static CLUSTER: OnceLock<Option<Postgres>> = OnceLock::new();
    let start = || {
        let cluster = Postgres::start("-c fsync=off -c synchronous_commit=off")?;
        make_roles(&cluster);
        Some(cluster)
    };
    CLUSTER.get_or_init(start).as_ref()
}

/// Makes the roles of a cluster.
pub fn make_roles(cluster: &Postgres) {
    let url = cluster.url("postgres", "postgres");
    block(async {
        let mut sql = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(ROLES).execute(&mut sql).await.unwrap();
    });
}

/// Runs a future to its end.
pub fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// One database with the kit.
pub struct Project {
    /// As the role that owns the app's tables and the kit.
    pub owner: String,
    /// As a superuser.
    pub superuser: String,
    pub api: Postgrest,
}

impl Project {
    /// Makes a project and runs the app's SQL; none without PostgreSQL.
    pub fn new(app: &str) -> Option<Self> {
        Some(Self::on(shared()?, app))
    }

    pub fn on(cluster: &Postgres, app: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("project{}", NEXT.fetch_add(1, Ordering::Relaxed));
        run_at(
            &cluster.url("postgres", "postgres"),
            &format!("create database {name} owner owner"),
        );
        Self::in_database(cluster, &name, app)
    }

    /// Makes a project in a database that is there already.
    pub fn in_database(cluster: &Postgres, name: &str, app: &str) -> Self {
        let superuser = cluster.url("postgres", name);
        run_at(&superuser, "alter schema public owner to owner");
        let owner = cluster.url("owner", name);
        run_at(&owner, AUTH);
        run_at(&owner, &kit());
        run_at(&owner, app);
        Self {
            owner,
            superuser,
            api: Postgrest::start(&cluster.url("authenticator", name)),
        }
    }

    /// Returns a project with what a dump of this one has; none without PostgreSQL's client programs.
    pub fn restored(&self) -> Option<Self> {
        let programs = super::servers::programs().unwrap();
        if !programs.join("pg_dump").exists() || !programs.join("psql").exists() {
            return None;
        }
        let dump = std::process::Command::new(programs.join("pg_dump"))
            .arg(&self.superuser)
            .output()
            .unwrap();
        assert!(
            dump.status.success(),
            "{}",
            String::from_utf8_lossy(&dump.stderr)
        );
        let (server, name) = self.superuser.rsplit_once('/').unwrap();
        let copy = format!("{name}_restored");
        run_at(
            &format!("{server}/postgres"),
            &format!("create database {copy} owner owner"),
        );
        let at = |url: &str| format!("{}/{copy}", url.rsplit_once('/').unwrap().0);
        let mut psql = std::process::Command::new(programs.join("psql"));
        psql.args(["-q", "-X", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(at(&self.superuser));
        let mut psql = psql
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut psql.stdin.take().unwrap(), &dump.stdout).unwrap();
        assert!(psql.wait().unwrap().success());
        let authenticator = self.superuser.replace("postgres@", "authenticator@");
        Some(Self {
            owner: at(&self.owner),
            superuser: at(&self.superuser),
            api: Postgrest::start(&at(&authenticator)),
        })
    }

    /// Runs statements as the owner.
    pub fn sql(&self, statements: &str) {
        run_at(&self.owner, statements);
    }

    /// Runs statements that must fail; returns the message.
    pub fn fails(&self, statements: &str) -> String {
        try_at(&self.owner, statements).unwrap_err()
    }

    /// Returns the rows of a query as JSON.
    pub fn rows(&self, query: &str) -> Value {
        rows_at(&self.superuser, query)
    }

    /// Returns the one value of a query as JSON.
    pub fn value(&self, query: &str) -> Value {
        let rows = self.rows(query);
        rows[0]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone()
    }

    /// Returns the rows of a query as a signed-in user reads them.
    pub fn rows_as(&self, user: &str, query: &str) -> Value {
        block(async {
            let mut sql = PgConnection::connect(&self.superuser).await.unwrap();
            let claims = json!({ "sub": user, "role": "authenticated" });
            let before = format!(
                "select set_config('request.jwt.claims', '{claims}', false); set role authenticated"
            );
            sqlx::raw_sql(sqlx::AssertSqlSafe(before))
                .execute(&mut sql)
                .await
                .unwrap();
            let query = format!("select coalesce(json_agg(q), '[]')::text from ({query}) q");
            let row = sqlx::query(sqlx::AssertSqlSafe(query))
                .fetch_one(&mut sql)
                .await
                .unwrap();
            serde_json::from_str(row.get(0)).unwrap()
        })
    }

    pub fn call(&self, user: &str, path: &str, body: &str) -> (u16, Value) {
        self.with_token(&token(user, "authenticated", 600), path, body)
    }

    pub fn with_token(&self, token: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, answer) = self
            .api
            .call("POST", &format!("/rpc/datum_{path}"), token, body)
            .unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")),
        )
    }

    /// Pushes operations and returns their verdicts.
    pub fn push(&self, user: &str, operations: Value) -> Vec<Value> {
        let (status, reply) = self.call(
            user,
            "push",
            &json!({ "clientId": "d1", "operations": operations }).to_string(),
        );
        assert_eq!(status, 200, "{reply}");
        let sent: Vec<String> = operations
            .as_array()
            .unwrap()
            .iter()
            .map(|op| op["opId"].as_str().unwrap().to_owned())
            .collect();
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        // The client must accept every reply of every test.
        datum_sync::model::protocol::parse_push_reply(reply.to_string().as_bytes(), &sent).unwrap();
        reply["results"].as_array().unwrap().clone()
    }

    pub fn one(&self, user: &str, operation: Value) -> Value {
        self.push(user, json!([operation])).remove(0)
    }

    pub fn try_pull(&self, user: &str, asked: Value) -> (u16, Value) {
        let mut body = json!({ "clientId": "d1", "cursor": null, "limit": 1000 });
        body.as_object_mut()
            .unwrap()
            .extend(asked.as_object().unwrap().clone());
        self.call(user, "pull", &body.to_string())
    }

    pub fn pull(&self, user: &str, asked: Value) -> Value {
        let (status, page) = self.try_pull(user, asked);
        assert_eq!(status, 200, "{page}");
        datum_sync::model::protocol::parse_page(page.to_string().as_bytes()).unwrap();
        page
    }

    /// Pulls to the end from a cursor. Returns the changes and the last cursor.
    pub fn pull_all(&self, user: &str, cursor: Value, limit: u64) -> (Vec<Value>, Value) {
        let mut changes = Vec::new();
        let mut cursor = cursor;
        loop {
            let page = self.pull(user, json!({ "cursor": cursor, "limit": limit }));
            changes.extend(page["changes"].as_array().unwrap().iter().cloned());
            let more = page["more"] == true;
            assert!(!more || page["cursor"] != cursor, "{page}");
            cursor = page["cursor"].clone();
            if !more {
                return (changes, cursor);
            }
        }
    }
}

pub fn run_at(url: &str, statements: &str) {
    try_at(url, statements).unwrap_or_else(|message| {
        panic!("{message}\n{}", &statements[..statements.len().min(2_000)])
    });
}

pub fn try_at(url: &str, statements: &str) -> Result<(), String> {
    block(async {
        let mut sql = PgConnection::connect(url).await.unwrap();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()))
            .execute(&mut sql)
            .await;
        let _ = sql.close().await;
        done.map(drop).map_err(|e| e.to_string())
    })
}

pub fn rows_at(url: &str, query: &str) -> Value {
    try_rows_at(url, query).unwrap()
}

pub fn try_rows_at(url: &str, query: &str) -> Result<Value, sqlx::Error> {
    block(async {
        let mut sql = PgConnection::connect(url).await?;
        let query = format!("select coalesce(json_agg(q), '[]')::text from ({query}) q");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut sql)
            .await?;
        let text: String = row.get(0);
        let _ = sql.close().await;
        Ok(serde_json::from_str(&text).unwrap())
    })
}

/// Returns a token as Supabase signs it.
pub fn token(user: &str, role: &str, lifetime: i64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    signed(
        SECRET,
        &json!({ "sub": user, "role": role, "exp": i64::try_from(now).unwrap() + lifetime }),
    )
}

pub fn signed(secret: &[u8], claims: &Value) -> String {
    let text = format!(
        "{}.{}",
        base64(br#"{"alg":"HS256","typ":"JWT"}"#),
        base64(claims.to_string().as_bytes())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(text.as_bytes());
    format!("{text}.{}", base64(&mac.finalize().into_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .fold(0_u32, |n, byte| n << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(
                DIGITS[(number >> (18 - 6 * place) & 63) as usize],
            ));
        }
    }
    text
}

/// Builds an operation as a client sends it.
pub fn op(
    op_id: &str,
    entity: &str,
    id: &str,
    kind: &str,
    base: impl Into<Value>,
    data: Value,
) -> Value {
    let mut op = json!({ "opId": op_id, "entity": entity, "id": id, "kind": kind, "baseVersion": base.into() });
    if !data.is_null() {
        op["data"] = data;
    }
    op
}

/// Makes a project, or ends the test with a message if PostgreSQL is not installed.
#[macro_export]
macro_rules! project {
    ($app:expr) => {
        match $crate::kit::project::Project::new($app) {
            Some(project) => project,
            None => return,
        }
    };
}
