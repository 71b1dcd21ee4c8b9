//! Streams of one process hear of what another one writes.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Pooler, cluster, database_in, execute};
use crate::common::running::Running;
use crate::servers::Postgres;
use crate::suite::shared::create;

/// A stream of a user's hints.
struct Stream(TcpStream);

impl Stream {
    fn open(running: &Running, user: &str) -> Self {
        let mut stream = Self(running.connect("GET", "/sync/v1/stream", &running.token(user), ""));
        stream.wait_for("open");
        stream
    }

    fn wait_for(&mut self, text: &str) {
        let mut seen = String::new();
        let since = Instant::now();
        while !seen.contains(text) {
            // Comments go on coming.
            assert!(since.elapsed() < Duration::from_secs(14), "{text}: {seen}");
            let mut bytes = [0; 512];
            let read = self.0.read(&mut bytes).unwrap();
            assert!(read > 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    /// Reads what has arrived until nothing has for a while.
    fn drain(&mut self) {
        self.0
            .set_read_timeout(Some(Duration::from_millis(700)))
            .unwrap();
        let mut bytes = [0; 512];
        while self.0.read(&mut bytes).is_ok_and(|read| read > 0) {}
        self.0
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
    }
}

fn health(running: &Running) -> Value {
    running.call("GET", "/sync/v1/health", "", Value::Null).1
}

fn wait_for_hints(running: &Running, hints: &Value) {
    let since = Instant::now();
    while health(running)["hints"] != *hints {
        assert!(since.elapsed() < Duration::from_secs(40), "{hints}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn push(running: &Running, user: &str, id: &str) {
    let (status, reply) = running
        .push(&running.token(user), json!([create(None, id)]))
        .unwrap();
    assert_eq!(
        (status, &reply["results"][0]["status"]),
        (200, &json!("applied")),
        "{reply}"
    );
}

fn database(cluster: &Postgres) -> String {
    let mut name = String::new();
    crate::common::run(async { name = database_in(cluster).await });
    name
}

#[test]
fn a_stream_hears_of_a_write_at_another_process_also_after_the_connection_was_lost() {
    let Some(cluster) = cluster() else { return };
    let name = database(cluster);
    let url = cluster.url("postgres", &name);
    let [here, there] = [0; 2].map(|_| Running::on(&["--database", &url], Stdio::null()));
    let mut stream = Stream::open(&here, "ann");
    for round in 0..2 {
        for running in [&here, &there] {
            wait_for_hints(running, &Value::Null);
        }
        stream.drain();
        push(&there, "ann", &format!("r{round}"));
        stream.wait_for("event: change");
        // A long pull too.
        let pull = json!({ "clientId": "d", "cursor": null, "limit": 10 });
        let token = here.token("bob");
        let (_, page) = here.call("POST", "/sync/v1/pull", &token, pull.clone());
        let mut waiting = pull;
        (waiting["cursor"], waiting["waitMs"]) = (page["cursor"].clone(), json!(20_000));
        let (_, page) = std::thread::scope(|scope| {
            let page = scope.spawn(|| here.call("POST", "/sync/v1/pull", &token, waiting));
            push(&there, "bob", &format!("r{round}"));
            page.join().unwrap()
        });
        assert_eq!(page["changes"][0]["id"], format!("r{round}"), "{page}");
        // All connections that listen end.
        crate::common::run(execute(
            &cluster.url("postgres", "postgres"),
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = '{name}' AND query LIKE 'LISTEN%'"
            ),
        ));
        wait_for_hints(&here, &json!("polled"));
        // What is written meanwhile is heard of too.
        stream.drain();
        push(&there, "ann", &format!("meanwhile{round}"));
        stream.wait_for("event: change");
    }
}

#[test]
fn behind_a_pooler_streams_ask_unless_they_may_listen_directly() {
    let Some(cluster) = cluster() else { return };
    let Some(pooler) = Pooler::start(cluster, 3) else {
        return;
    };
    let name = database(cluster);
    let (pooled, direct) = (pooler.url(&name), cluster.url("postgres", &name));
    let asking = Running::on(&["--database", &pooled], Stdio::null());
    let listening = ["--database", &pooled, "--listen-database", &direct];
    let listening = Running::on(&listening, Stdio::null());
    let nowhere = [
        "--database",
        &pooled,
        "--listen-database",
        "postgres://127.0.0.1:1/x",
    ];
    let nowhere = Running::on(&nowhere, Stdio::null());
    wait_for_hints(&listening, &Value::Null);
    let mut streams = [&asking, &listening, &nowhere].map(|running| Stream::open(running, "ann"));
    // A process that asks hints at what there is when it first looks.
    streams[0].wait_for("event: change");
    streams[2].wait_for("event: change");
    for (n, writer) in [&listening, &asking, &nowhere].into_iter().enumerate() {
        streams.iter_mut().for_each(Stream::drain);
        push(writer, "ann", &format!("w{n}"));
        for stream in &mut streams {
            stream.wait_for("event: change");
        }
    }
    for running in [&asking, &nowhere] {
        assert_eq!(health(running)["hints"], "polled");
        assert_eq!(health(running)["status"], "ok");
    }
    assert_eq!(health(&listening)["hints"], Value::Null);
}
