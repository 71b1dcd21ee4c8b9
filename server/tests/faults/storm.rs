//! The process is killed in the middle of many writes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Folder;
use crate::common::running::Running;

/// What one client knows: versions by id that were acknowledged, and operations without an answer.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<String, u64>,
    unanswered: Vec<Value>,
}

fn client(running: &Running, name: &str, round: usize, stop: &AtomicBool) -> Known {
    let mut known = Known::default();
    let Ok((_, token)) = running.try_call("POST", "/dev/token", "", &json!({ "userId": name }))
    else {
        return known;
    };
    let token = token["token"].as_str().unwrap().to_owned();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let operations: Vec<Value> = (0..8)
            .map(|k| {
                let id = format!("{round}-{n}-{k}");
                json!({ "opId": id, "entity": "task", "id": id, "kind": "create", "baseVersion": null, "data": { "n": n } })
            })
            .collect();
        match running.push(&token, json!(operations)) {
            Ok((200, reply)) => {
                for verdict in reply["results"].as_array().unwrap() {
                    assert_eq!(verdict["status"], "applied");
                    known.acknowledged.insert(
                        verdict["opId"].as_str().unwrap().to_owned(),
                        verdict["version"].as_u64().unwrap(),
                    );
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                known.unanswered = operations;
                break;
            }
        }
    }
    known
}

#[test]
fn what_was_acknowledged_survives_a_kill_in_a_storm() {
    const CLIENTS: [&str; 4] = ["ann", "bob", "cat", "dan"];
    let folder = Folder::new();
    let mut all: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    for round in 0..6_u64 {
        let running = Running::start(&folder);
        let stop = AtomicBool::new(false);
        let number = usize::try_from(round).unwrap();
        let known: Vec<Known> = std::thread::scope(|scope| {
            let clients: Vec<_> = CLIENTS
                .map(|name| scope.spawn(|| client(&running, name, number, &stop)))
                .into_iter()
                .collect();
            std::thread::sleep(Duration::from_millis(60 + 70 * round));
            let pid = running.child.id().to_string();
            assert!(
                std::process::Command::new("kill")
                    .args(["-9", &pid])
                    .status()
                    .unwrap()
                    .success()
            );
            let known = clients
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect();
            stop.store(true, Ordering::Relaxed);
            known
        });
        drop(running);

        let again = Running::start(&folder);
        for (name, known) in CLIENTS.into_iter().zip(known) {
            let token = again.token(name);
            let acknowledged = all.entry(name).or_default();
            acknowledged.extend(known.acknowledged);
            // What had no answer was applied as a whole or not at all; sent again, it is answered.
            let (status, reply) = again.push(&token, json!(known.unanswered)).unwrap();
            assert_eq!(status, 200, "{reply}");
            let verdicts = reply["results"].as_array().unwrap();
            let replayed = verdicts
                .iter()
                .filter(|verdict| verdict["replayed"] == true)
                .count();
            assert!(replayed == 0 || replayed == verdicts.len(), "{reply}");
            for verdict in verdicts {
                acknowledged.insert(
                    verdict["opId"].as_str().unwrap().to_owned(),
                    verdict["version"].as_u64().unwrap(),
                );
            }
            let mut stored = BTreeMap::new();
            let mut cursor = Value::Null;
            loop {
                let request = json!({ "clientId": "d", "cursor": cursor, "limit": 10_000 });
                let (status, page) = again.call("POST", "/sync/v1/pull", &token, request);
                assert_eq!(status, 200, "{page}");
                for row in page["changes"].as_array().unwrap() {
                    stored.insert(
                        row["id"].as_str().unwrap().to_owned(),
                        row["version"].as_u64().unwrap(),
                    );
                }
                cursor = page["cursor"].clone();
                if page["more"] == false {
                    break;
                }
            }
            assert_eq!(&stored, acknowledged, "{name} in round {round}");
        }
        let since = Instant::now();
        assert_eq!(again.call("GET", "/sync/v1/health", "", Value::Null).0, 200);
        assert!(since.elapsed() < Duration::from_secs(1));
    }
}
