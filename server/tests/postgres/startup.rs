//! Databases that a server cannot use, with the reason for the operator; and several versions of the
//! server on one database.

use std::process::Stdio;

use datum_server::postgres::PostgresStore;
use serde_json::json;

use crate::cluster::{cluster, database, database_in, execute, open, options, run};
use crate::common::running::{Running, binary};
use crate::servers::{Postgres, free_port};
use crate::suite::World;

async fn refusal(url: &str) -> String {
    let opened = PostgresStore::open(url, &options(), "e").await;
    opened.unwrap_err().to_string()
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_the_reason() {
    run(async {
        let cluster = cluster().unwrap();
        let admin = cluster.url("postgres", "postgres");
        let missing = refusal(&cluster.url("postgres", "nowhere")).await;
        assert!(missing.contains("\"nowhere\" does not exist"), "{missing}");
        let unreachable = format!("postgres://postgres@127.0.0.1:{}/db", free_port());
        let unreachable = refusal(&unreachable).await;
        assert!(unreachable.contains("refused"), "{unreachable}");
        execute(
            &admin,
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
        )
        .await;
        let ascii = refusal(&cluster.url("postgres", "ascii")).await;
        assert!(
            ascii.contains("SQL_ASCII") && ascii.contains("UTF8"),
            "{ascii}"
        );
        execute(&admin, "CREATE DATABASE closed").await;
        execute(
            &admin,
            "ALTER DATABASE closed SET default_transaction_read_only = on",
        )
        .await;
        let closed = refusal(&cluster.url("postgres", "closed")).await;
        assert!(closed.contains("read-only"), "{closed}");
        execute(&admin, "CREATE DATABASE later").await;
        let later = cluster.url("postgres", "later");
        open(&later, &options()).await.close().await;
        execute(&later, "INSERT INTO datum_server.migration VALUES (99)").await;
        let newer = refusal(&later).await;
        assert!(newer.contains("later version"), "{newer}");
        let odd = refusal("postgres://[").await;
        assert!(odd.starts_with("500"), "{odd}");
    });
}

#[test]
fn a_wrong_password_is_refused_and_stands_in_no_message() {
    run(async {
        let cluster = cluster().unwrap();
        let admin = cluster.url("postgres", "postgres");
        execute(
            &admin,
            "CREATE ROLE guarded LOGIN PASSWORD 'right' CREATEDB",
        )
        .await;
        execute(
            &admin,
            "DO $$ BEGIN EXECUTE format('COPY (VALUES (%L), (%L)) TO %L',
               'host all guarded all scram-sha-256', 'host all all all trust',
               current_setting('data_directory') || '/pg_hba.conf'); END $$;
             SELECT pg_reload_conf();",
        )
        .await;
        let name = database_in(cluster).await;
        execute(
            &admin,
            &format!("GRANT CREATE ON DATABASE {name} TO guarded"),
        )
        .await;
        let url = |password: &str| {
            let guarded = format!("guarded:{password}");
            cluster.url(&guarded, &name)
        };
        let store = open(&url("right"), &options()).await;
        World::new(store).create("ann", "task", "a").await;
        let wrong = binary(&[
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--database",
            &url("S3CRET"),
        ])
        .output()
        .unwrap();
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert!(!wrong.status.success() && wrong.stdout.is_empty());
        assert!(said.contains("password authentication failed"), "{said}");
        assert!(!said.contains("S3CRET"), "{said}");
    });
}

#[test]
fn a_replica_is_refused_and_one_that_a_server_comes_to_is_not_read() {
    let Some(cluster) = Postgres::start("-c fsync=off") else {
        return;
    };
    let mut name = String::new();
    crate::common::run(async {
        name = database_in(&cluster).await;
        let store = open(&cluster.url("postgres", &name), &options()).await;
        World::new(store).create("ann", "task", "a").await;
    });
    let Some(replica) = Postgres::replica(&cluster) else {
        return;
    };
    crate::common::run(async {
        let said = refusal(&replica.url("postgres", &name)).await;
        assert!(
            said.contains("replica") && said.contains("primary"),
            "{said}"
        );
    });
}

/// (one of them has been updated, and has migrated the database)
#[test]
fn an_older_server_stops_at_a_database_of_a_later_version() {
    run(async {
        let url = database().await;
        let w = World::new(open(&url, &options()).await);
        w.create("ann", "task", "a").await;
        execute(&url, "INSERT INTO datum_server.migration VALUES (2)").await;
        let pull = json!({ "clientId": "d", "cursor": null, "limit": 10 }).to_string();
        for (path, body) in [
            ("pull", pull.as_str()),
            ("push", r#"{"clientId":"d","operations":[]}"#),
            ("metadata", r#"{"deviceId":"d"}"#),
        ] {
            let method = if path == "metadata" { "PUT" } else { "POST" };
            let (status, reply) = w.call("ann", method, path, body).await;
            assert_eq!(
                (status, &reply["code"]),
                (503, &json!("storageFailed")),
                "{path} {reply}"
            );
        }
        execute(&url, "DELETE FROM datum_server.migration WHERE version = 2").await;
        w.create("ann", "task", "b").await;
    });
}

#[test]
fn servers_that_start_at_once_migrate_once() {
    run(async {
        let url = database().await;
        let options = options();
        let opening = (0..6).map(|_| open(&url, &options));
        let stores = futures_util::future::join_all(opening).await;
        let mut ids = Vec::new();
        for store in stores {
            let w = World::new(store);
            ids.push(w.call("", "GET", "health", "").await);
            let (_, health) = w.call("ann", "GET", "health", "").await;
            ids.pop();
            ids.push((200, health["serverId"].clone()));
        }
        assert!(
            ids.iter().all(|id| *id == ids[0] && id.1.is_string()),
            "{ids:?}"
        );
    });
}

#[test]
fn what_is_for_files_says_what_to_do_instead() {
    run(async {
        let url = database().await;
        let said = |arguments: &[&str]| {
            let output = binary(arguments).output().unwrap();
            assert!(!output.status.success());
            String::from_utf8(output.stderr).unwrap()
        };
        let backup = said(&["backup", "copy", "--database", &url]);
        assert!(backup.contains("pg_dump"), "{backup}");
        let restore = said(&["restore", "copy", "--database", &url]);
        assert!(restore.contains("new-epoch"), "{restore}");
        let option = said(&["--partitions", "4", "--database", "some/file"]);
        assert!(option.contains("--partitions"), "{option}");
        let other = said(&["--database", "mysql://host/db"]);
        assert!(other.contains("postgres://"), "{other}");
        let made = binary(&["new-epoch", "--database", &url]).output().unwrap();
        let epoch = String::from_utf8(made.stdout).unwrap();
        let epoch = epoch.trim().strip_prefix("epoch ").unwrap();
        let running = Running::on(&["--database", &url], Stdio::null());
        assert_eq!(running.pull()["epoch"], epoch);
    });
}
