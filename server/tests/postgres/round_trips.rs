//! How many times a request waits for the database, counted between the two: each time PostgreSQL is
//! ready for the next query, it has said so.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use datum_server::postgres::PostgresOptions;
use serde_json::{Value, json};

use crate::cluster::{cluster, database_in, open, options};
use crate::suite::World;

/// Passes connections on, and counts.
struct Counter {
    port: u16,
    waits: Arc<AtomicUsize>,
}

impl Counter {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let waits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waits);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                let (mut from, mut into) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut from, &mut into));
                let counted = Arc::clone(&counted);
                thread::spawn(move || pass(server, client, &counted));
            }
        });
        Self { port, waits }
    }

    /// Returns how often was waited since it was asked the last time.
    fn waits(&self) -> usize {
        self.waits.swap(0, Ordering::SeqCst)
    }
}

/// Passes on messages of the server: a letter, and the length of the rest. The count is there before the
/// client can go on.
fn pass(mut server: TcpStream, mut client: TcpStream, waits: &AtomicUsize) {
    let mut head = [0; 5];
    while server.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut rest = vec![0; length as usize - 4];
        server.read_exact(&mut rest).unwrap();
        if head[0] == b'Z' {
            waits.fetch_add(1, Ordering::SeqCst);
        }
        let message = [&head[..], &rest].concat();
        if client.write_all(&message).is_err() {
            return;
        }
    }
}

fn created(from: usize, count: usize) -> Value {
    let rows = (from..from + count).map(|id| {
        json!({ "opId": format!("o{id}"), "entity": "task", "id": id.to_string(), "kind": "create",
            "baseVersion": null, "data": { "title": "new" } })
    });
    rows.collect()
}

/// How many requests are counted together: a connection goes back to the pool after the answer.
const TIMES: usize = 10;

/// Returns how often an idle pull, a page of rows, and a push of so many creates wait.
async fn waits(prepared: bool, operations: usize) -> [usize; 3] {
    let counter = Counter::start(cluster().unwrap().port);
    let name = database_in(cluster().unwrap()).await;
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable",
        counter.port
    );
    let options = PostgresOptions {
        prepared_statements: prepared,
        // The same connection for all requests.
        connections: 1,
        ..options()
    };
    let world = World::new(open(&url, &options).await);
    let page = |cursor: Value| json!({ "clientId": "d", "cursor": cursor, "limit": 100 });
    let each = |waits: usize| (waits + TIMES / 2) / TIMES;
    // What is prepared is so before.
    world.push("ann", created(0, 10)).await;
    let end = world.pull_all("ann", page(Value::Null)).await.1["cursor"].clone();
    world.pull("ann", page(end.clone())).await;
    counter.waits();
    for _ in 0..TIMES {
        world.pull("ann", page(end.clone())).await;
    }
    let idle = each(counter.waits());
    for _ in 0..TIMES {
        world.pull("ann", page(Value::Null)).await;
    }
    let rows = each(counter.waits());
    for time in 1..=TIMES {
        world.push("ann", created(time * 10_000, operations)).await;
    }
    [idle, rows, each(counter.waits())]
}

#[test]
fn statements_that_are_prepared_once_wait_little_more_than_half_as_often_however_many_rows_there_are()
 {
    crate::cluster::run(async {
        for operations in [1, 100] {
            let once = waits(false, operations).await;
            let prepared = waits(true, operations).await;
            assert_eq!((once, prepared), ([11, 11, 21], [7, 7, 12]), "{operations}");
        }
    });
}
