//! A database that is away, full, slow or in the way of itself.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use datum_server::postgres::PostgresOptions;
use datum_server::rules::store::{Space, Store, Transaction};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::cluster::{cluster, database, database_in, execute, open, options, run};
use crate::common::running::Running;
use crate::servers::Postgres;
use crate::suite::World;
use crate::suite::shared::{A, create, member};

/// What one client knows: versions that were acknowledged, by id.
fn client(running: &Running, user: &str, stop: &AtomicBool) -> (BTreeMap<String, u64>, usize) {
    let token = running.token(user);
    let (mut acknowledged, mut refused) = (BTreeMap::new(), 0);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<Value> = (0..8)
            .map(|k| {
                let id = format!("{n}-{k}");
                json!({ "opId": id, "entity": "task", "id": id, "kind": "create", "baseVersion": null, "data": { "n": n } })
            })
            .collect();
        let (status, reply) = running.push(&token, json!(batch)).unwrap();
        if status != 200 {
            assert_eq!(status, 503, "{reply}");
            assert!(reply["retryAfterMs"].as_u64().unwrap() > 0, "{reply}");
            refused += 1;
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let verdicts = reply["results"].as_array().unwrap();
        let replayed = verdicts
            .iter()
            .filter(|verdict| verdict["replayed"] == true);
        let replayed = replayed.count();
        assert!(replayed == 0 || replayed == 8, "a half result: {reply}");
        for verdict in verdicts {
            assert_eq!(verdict["status"], "applied");
            acknowledged.insert(
                verdict["opId"].as_str().unwrap().to_owned(),
                verdict["version"].as_u64().unwrap(),
            );
        }
        n += 1;
    }
    (acknowledged, refused)
}

fn stored(running: &Running, user: &str) -> BTreeMap<String, u64> {
    let request = json!({ "clientId": "d", "cursor": null, "limit": 10_000 });
    let (status, page) = running.call("POST", "/sync/v1/pull", &running.token(user), request);
    assert_eq!(status, 200, "{page}");
    let rows = page["changes"].as_array().unwrap().iter();
    rows.map(|row| {
        let id = row["id"].as_str().unwrap().to_owned();
        (id, row["version"].as_u64().unwrap())
    })
    .collect()
}

fn health(running: &Running) -> (u16, Value) {
    running.call("GET", "/sync/v1/health", "", Value::Null)
}

fn wait_for_health(running: &Running, status: u16) {
    let since = Instant::now();
    while health(running).0 != status {
        assert!(
            since.elapsed() < Duration::from_secs(40),
            "{:?}",
            health(running)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_goes_on_after_its_database_was_away_and_nothing_is_half_done() {
    let Some(mut cluster) = Postgres::start("-c fsync=off") else {
        return;
    };
    let mut name = String::new();
    crate::common::run(async { name = database_in(&cluster).await });
    let (url, admin) = (
        cluster.url("postgres", &name),
        cluster.url("postgres", "postgres"),
    );
    let running = Running::on(
        &["--database", &url, "--database-wait", "500"],
        Stdio::null(),
    );
    let stop = AtomicBool::new(false);
    let users = ["ann", "bob", "cat"];
    let known = std::thread::scope(|scope| {
        let clients: Vec<_> = users
            .map(|user| scope.spawn(|| client(&running, user, &stop)))
            .into_iter()
            .collect();
        // Connections end in the middle of transactions.
        for _ in 0..40 {
            crate::common::run(execute(
                &admin,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'datum-server' AND state <> 'idle'",
            ));
            std::thread::sleep(Duration::from_millis(25));
        }
        // The database is gone, and comes back.
        cluster.kill();
        wait_for_health(&running, 503);
        let (_, said) = health(&running);
        assert_eq!(said["code"], "storageFailed", "{said}");
        let asked = json!({ "clientId": "d", "cursor": null, "limit": 10 });
        let (status, reply) = running.call("POST", "/sync/v1/pull", &running.token("dan"), asked);
        assert_eq!(
            (status, &reply["code"]),
            (503, &json!("storageFailed")),
            "{reply}"
        );
        assert!(reply["retryAfterMs"].as_u64().unwrap() > 0);
        cluster.launch();
        wait_for_health(&running, 200);
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(known.iter().map(|(_, refused)| refused).sum::<usize>() > 3);
    for (user, (acknowledged, _)) in users.into_iter().zip(known) {
        assert!(acknowledged.len() > 8);
        assert_eq!(stored(&running, user), acknowledged, "{user}");
    }
}

#[test]
fn a_full_pool_a_slow_statement_and_a_long_wait_are_answered_busy() {
    run(async {
        let url = database().await;
        let limits = |statement: u64, lock: u64| PostgresOptions {
            connections: 2,
            acquire: Duration::from_millis(200),
            statement_timeout: Duration::from_millis(statement),
            lock_timeout: Duration::from_millis(lock),
            ..options()
        };
        let patient = World::new(open(&url, &limits(30_000, 30_000)).await);
        patient.create("ann", "task", "a").await;
        let push = json!({ "clientId": "d", "operations": [create(None, "b")] }).to_string();
        let busy = |(status, reply): (u16, Value)| {
            assert_eq!((status, &reply["code"]), (503, &json!("busy")), "{reply}");
            assert!(reply["retryAfterMs"].as_u64().unwrap() > 0);
        };
        let store = &patient.service.store;
        let held = [store.read().await.unwrap(), store.read().await.unwrap()];
        busy(patient.call("ann", "POST", "push", &push).await);
        drop(held);
        let mut holder = store.write().await.unwrap();
        holder.lock(&Space::personal("ann")).await.unwrap();
        for (statement, lock) in [(30_000, 100), (100, 30_000)] {
            let hasty = World::new(open(&url, &limits(statement, lock)).await);
            busy(hasty.call("ann", "POST", "push", &push).await);
            // A push into another space waits for no lock.
            hasty.create("bob", "task", "a").await;
            hasty.pull("ann", json!({})).await;
        }
        drop(holder);
        patient.create("ann", "task", "c").await;
    });
}

#[test]
fn a_transaction_that_stands_still_does_not_hold_up_its_space_for_ever() {
    run(async {
        let url = database().await;
        let options = PostgresOptions {
            statement_timeout: Duration::from_millis(300),
            ..options()
        };
        let frozen = World::new(open(&url, &options).await);
        frozen.create("ann", "task", "a").await;
        let mut holder = frozen.service.store.write().await.unwrap();
        holder.lock(&Space::personal("ann")).await.unwrap();
        let other = World::new(open(&url, &crate::cluster::options()).await);
        other.create("ann", "task", "b").await;
        assert_eq!(holder.commit().await.unwrap_err().status, 503);
    });
}

#[test]
fn a_deadlock_is_tried_again_and_not_told() {
    run(async {
        let url = database().await;
        let w = World::new(open(&url, &options()).await);
        w.space(A, &[("bob", "reader")]).await;
        let mut other = PgConnection::connect(&url).await.unwrap();
        let lock = |table: &str, space: String| {
            AssertSqlSafe(format!(
                "SELECT 1 FROM datum_server.{table} WHERE space = '{space}' FOR UPDATE"
            ))
        };
        other.execute("BEGIN").await.unwrap();
        other
            .execute("SET LOCAL deadlock_timeout = '30s'")
            .await
            .unwrap();
        other.execute(lock("reader", "u:bob".into())).await.unwrap();
        // This push locks the space and then waits for the list of bob, and the other transaction
        // waits for the space.
        let mut base = w.version_of(A, "$member", &format!("{A}/bob")).await;
        let end = json!([member(A, "bob", "delete", Some(base), "")]);
        let ((), verdicts) = tokio::join!(
            async {
                let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
                let mut look = PgConnection::connect(&url).await.unwrap();
                while sqlx::query_scalar::<_, i64>(waits)
                    .fetch_one(&mut look)
                    .await
                    .unwrap()
                    == 0
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other
                    .execute(lock("space", format!("s:{A}")))
                    .await
                    .unwrap();
                other.execute("ROLLBACK").await.unwrap();
            },
            w.push("ann", end)
        );
        assert_eq!(verdicts[0]["status"], "applied");
        base += 1;
        assert_eq!(verdicts[0]["version"], base);
        assert_eq!(w.list("bob").await, json!([]));
    });
}

/// Passes connections on until it is shut; then it ends all of them, and counts those that come.
struct Door {
    port: u16,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
    turned_away: Arc<AtomicUsize>,
}

impl Door {
    fn before(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Self {
            port: listener.local_addr().unwrap().port(),
            open: Arc::new(Mutex::new(Some(Vec::new()))),
            turned_away: Arc::default(),
        };
        let (open, turned_away) = (Arc::clone(&door.open), Arc::clone(&door.turned_away));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut open = open.lock().unwrap();
                let Some(connections) = open.as_mut() else {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                    continue;
                };
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                for (mut from, mut into) in [(&client, &server), (&server, &client)]
                    .map(|(from, into)| (from.try_clone().unwrap(), into.try_clone().unwrap()))
                {
                    std::thread::spawn(move || std::io::copy(&mut from, &mut into));
                }
                connections.extend([client, server]);
            }
        });
        door
    }

    fn shut(&self) {
        for connection in self.open.lock().unwrap().take().unwrap() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// (the first request after a pause tried it twice, and waited as long again)
#[test]
fn a_database_that_lets_nobody_connect_is_asked_once_by_each_request() {
    run(async {
        let cluster = cluster().unwrap();
        let name = database_in(cluster).await;
        let door = Door::before(cluster.port);
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", door.port);
        let store = open(&url, &options()).await;
        drop(store.read().await.unwrap());
        door.shut();
        // A connection that was idle for longer is tried before it is used.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let error = store.read().await.unwrap_err();
        assert_eq!(error.code, "storageFailed", "{error}");
        assert_eq!(door.turned_away.load(Ordering::SeqCst), 1);
    });
}
