//! A disk that is full.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::common::running::Running;

fn limit_files(running: &Running, bytes: &str) {
    let set = Command::new("prlimit")
        .arg(format!("--pid={}", running.child.id()))
        .arg(format!("--fsize={bytes}:"))
        .status()
        .unwrap();
    assert!(set.success());
}

fn bulky(id: usize, bytes: usize) -> Value {
    json!([{ "opId": format!("o{id}"), "entity": "task", "id": id.to_string(), "kind": "create", "baseVersion": null,
        "data": { "text": "x".repeat(bytes) } }])
}

fn ids(running: &Running, user: &str) -> Vec<usize> {
    let request = json!({ "clientId": "d", "cursor": null, "limit": 10_000 });
    let (status, page) = running.call("POST", "/sync/v1/pull", &running.token(user), request);
    assert_eq!((status, &page["more"]), (200, &json!(false)), "{page}");
    let rows = page["changes"].as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// (each later write of every user was 500 until a restart, and `/health` said ok)
#[test]
fn a_full_disk_fails_what_writes_then_and_nothing_else() {
    let folder = Folder::new();
    let running = Running::start(&folder);
    let (ann, bob) = (running.token("ann"), running.token("bob"));
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        // Each round the disk has a little more room, and is full somewhere else.
        let size = 700_000 + 130_000 * round;
        limit_files(&running, &size.to_string());
        let mut refused = 0;
        for n in 0..200 {
            let id = round * 1_000 + n;
            let bytes = [10, 3_000, 60_000][n % 3];
            let (status, reply) = running.push(&ann, bulky(id, bytes)).unwrap();
            if status == 200 {
                assert_eq!(reply["results"][0]["status"], "applied", "{reply}");
                acknowledged.push(id);
            } else {
                assert_eq!(
                    (status, &reply["code"]),
                    (503, &json!("storageFailed")),
                    "{reply}"
                );
                assert!(reply["retryAfterMs"].as_u64().unwrap() > 0);
                refused += 1;
                let (status, health) = running.call("GET", "/sync/v1/health", "", Value::Null);
                assert_eq!((status, &health["code"]), (503, &json!("storageFailed")));
                if refused == 10 {
                    break;
                }
            }
        }
        assert!(refused > 0, "round {round} was meant to fill the disk");
        let put = json!({ "deviceId": "d", "customMetadata": { "text": "x".repeat(60_000) } });
        let (status, reply) = running.call("PUT", "/sync/v1/metadata", &bob, put.clone());
        assert!(status == 200 || status == 503, "{status} {reply}");
        assert_eq!(ids(&running, "ann"), acknowledged, "reading goes on");

        limit_files(&running, "unlimited");
        // At once, in every direction, without a restart.
        let id = round * 1_000 + 900;
        let (status, reply) = running.push(&ann, bulky(id, 10)).unwrap();
        assert_eq!(
            (status, &reply["results"][0]["status"]),
            (200, &json!("applied")),
            "{reply}"
        );
        acknowledged.push(id);
        assert_eq!(running.call("PUT", "/sync/v1/metadata", &bob, put).0, 200);
        let (status, health) = running.call("GET", "/sync/v1/health", "", Value::Null);
        assert_eq!((status, &health["status"]), (200, &json!("ok")));
    }
    drop(running);
    assert_eq!(ids(&Running::start(&folder), "ann"), acknowledged);
}

/// (several writes share a commit, and a disk that is full may end all of it)
#[test]
fn of_writes_at_once_on_a_full_disk_those_are_stored_that_were_acknowledged() {
    let folder = Folder::new();
    let running = Running::start(&folder);
    let users = ["ann", "bob", "cat", "dan", "eve", "fay"];
    let tokens = users.map(|user| running.token(user));
    limit_files(&running, "900000");
    let acknowledged = std::thread::scope(|scope| {
        let clients = tokens.each_ref().map(|token| {
            let running = &running;
            scope.spawn(move || {
                let (mut stored, mut refused) = (Vec::new(), 0);
                for id in 0..200 {
                    let bytes = [10, 3_000, 20_000][id % 3];
                    let (status, reply) = running.push(token, bulky(id, bytes)).unwrap();
                    match status {
                        200 => stored.push(id),
                        503 => refused += 1,
                        _ => panic!("{status} {reply}"),
                    }
                    if refused == 5 {
                        break;
                    }
                }
                assert!(refused > 0, "the disk was meant to fill up");
                stored
            })
        });
        clients.map(|client| client.join().unwrap())
    });
    limit_files(&running, "unlimited");
    for ((user, token), stored) in users.iter().zip(&tokens).zip(&acknowledged) {
        assert_eq!(&ids(&running, user), stored, "{user}");
        let (status, reply) = running.push(token, bulky(900, 10)).unwrap();
        assert_eq!(status, 200, "{reply}");
    }
    drop(running);
    let running = Running::start(&folder);
    for (user, mut stored) in users.iter().zip(acknowledged) {
        stored.push(900);
        assert_eq!(ids(&running, user), stored, "{user}");
    }
}

#[test]
fn health_tells_of_a_disk_that_filled_up_while_nobody_wrote() {
    let folder = Folder::new();
    let running = Running::limited("", &folder, Stdio::null());
    let health = || running.call("GET", "/sync/v1/health", "", Value::Null).0;
    assert_eq!(health(), 200);
    limit_files(&running, "1");
    let since = Instant::now();
    while health() == 200 {
        assert!(
            since.elapsed() < Duration::from_secs(15),
            "health tells of no failure"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    limit_files(&running, "unlimited");
    let since = Instant::now();
    while health() != 200 {
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "health never recovers"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}
