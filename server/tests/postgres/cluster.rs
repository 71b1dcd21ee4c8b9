//! PostgreSQL and PgBouncer for the tests of this file, a database for each test.

use std::future::Future;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datum_server::postgres::{PostgresOptions, PostgresStore, PostgresTx};
use datum_server::rules::ServerError;
use datum_server::rules::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::servers::{Folder, Postgres, Server, free_port};

const NO_POOLER: &str = "PgBouncer is not here, so PostgreSQL was tested without it. Install it \
    (Debian: apt-get install pgbouncer).";

/// Settings for a cluster that forgets everything if the machine stops.
pub const FAST: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// Runs a test on a multi-threaded runtime, unless PostgreSQL is not installed.
pub fn run(test: impl Future<Output = ()>) {
    if cluster().is_some() {
        crate::common::run(test);
    }
}

/// Returns the cluster that all tests share but those that stop one.
pub fn cluster() -> Option<&'static Postgres> {
    static CLUSTER: OnceLock<Option<Postgres>> = OnceLock::new();
    CLUSTER.get_or_init(|| Postgres::start(FAST)).as_ref()
}

/// PgBouncer in transaction mode.
pub struct Pooler {
    server: Server,
    pub port: u16,
    _folder: Folder,
}

impl Pooler {
    /// Starts one in front of a cluster, with so many connections for each database; none if PgBouncer
    /// is not installed.
    pub fn start(cluster: &Postgres, size: u32) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let mut programs = folders.map(|folder| folder.join("pgbouncer"));
        let Some(program) = programs.find(|program| program.exists()) else {
            assert!(std::env::var_os("CI").is_none(), "{NO_POOLER}");
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| writeln!(std::io::stderr(), "{NO_POOLER}").unwrap());
            return None;
        };
        let program = program.display();
        let folder = Folder::new();
        let port = free_port();
        let config = format!(
            "[databases]\n* = user=postgres host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {size}\nmax_client_conn = 1000\nunix_socket_dir =\n\
             server_idle_timeout = 5\n[users]\n",
            cluster.port
        );
        std::fs::write(folder.0.join("pgbouncer.ini"), config).unwrap();
        let server = Server::start(&folder.0, &format!("{program} -q pgbouncer.ini"), "TERM");
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(folder.0.join("log"));
            assert!(std::time::Instant::now() < end, "PgBouncer: {log:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            server,
            port,
            _folder: folder,
        })
    }

    pub fn url(&self, database: &str) -> String {
        assert!(self.server.pid > 0);
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Returns the pooler that tests share.
pub fn pooler() -> Option<&'static Pooler> {
    static POOLER: OnceLock<Option<Pooler>> = OnceLock::new();
    let pooler = POOLER.get_or_init(|| Pooler::start(cluster().unwrap(), 4));
    pooler.as_ref()
}

/// Creates a database and returns its name.
pub async fn database_in(cluster: &Postgres) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let create = format!("CREATE DATABASE {name}");
    execute(&cluster.url("postgres", "postgres"), &create).await;
    name
}

/// Runs statements.
pub async fn execute(url: &str, statements: &str) {
    let mut sql = PgConnection::connect(url).await.unwrap();
    raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut sql)
        .await
        .unwrap();
    sql.close().await.unwrap();
}

pub fn options() -> PostgresOptions {
    PostgresOptions {
        connections: 4,
        acquire: Duration::from_secs(20),
        ..PostgresOptions::default()
    }
}

/// Returns the URL of a new database.
pub async fn database() -> String {
    let cluster = cluster().unwrap();
    cluster.url("postgres", &database_in(cluster).await)
}

pub async fn open(url: &str, options: &PostgresOptions) -> PostgresStore {
    PostgresStore::open(url, options, "e1").await.unwrap()
}

/// Returns an empty store.
pub async fn store() -> PostgresStore {
    open(&database().await, &options()).await
}

/// Returns an empty store that prepares statements.
pub async fn prepared_store() -> PostgresStore {
    let options = PostgresOptions {
        prepared_statements: true,
        ..options()
    };
    open(&database().await, &options).await
}

/// Two processes on one database, which take turns.
pub struct Two {
    pub stores: [PostgresStore; 2],
    turn: AtomicUsize,
}

impl Two {
    fn next(&self) -> &PostgresStore {
        &self.stores[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl Store for Two {
    type Tx = PostgresTx;

    async fn read(&self) -> Result<PostgresTx, ServerError> {
        self.next().read().await
    }

    async fn write(&self) -> Result<PostgresTx, ServerError> {
        self.next().write().await
    }

    async fn check_writes(&self) -> Result<(), ServerError> {
        self.next().check_writes().await
    }
}

/// Returns two stores on one empty database with partitions, behind a pooler.
pub async fn two_stores() -> Two {
    let name = database_in(cluster().unwrap()).await;
    let url = pooler().map_or_else(
        || cluster().unwrap().url("postgres", &name),
        |pooler| pooler.url(&name),
    );
    let options = PostgresOptions {
        partitions: 4,
        ..options()
    };
    // At once: one of them migrates.
    let (one, other) = tokio::join!(open(&url, &options), open(&url, &options));
    Two {
        stores: [one, other],
        turn: AtomicUsize::new(0),
    }
}
