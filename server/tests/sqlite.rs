//! The suite on SQLite, and tests that only a store on disk needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod common;
#[path = "sqlite/group.rs"]
mod group;
#[path = "sqlite/layout.rs"]
mod layout;
mod suite;

mount!(crate::common::run, crate::common::empty_store());

use common::api::{Api, create, options};
use common::{Folder, run};
use datum_server::Config;
use datum_server::sqlite::SqliteStore;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn a_batch_sent_twice_at_once_is_applied_once() {
    run(async {
        let api = Api::new().await;
        for round in 0..10 {
            let batch: Vec<_> = (0..20)
                .map(|i| create(&format!("o{round}-{i}"), &format!("{round}-{i}")))
                .collect();
            let sending =
                |api: Api, batch: Value| tokio::spawn(async move { api.push("ann", batch).await });
            let both = [
                sending(api.clone(), json!(batch)),
                sending(api.clone(), json!(batch)),
            ];
            let mut answers = Vec::new();
            for one in both {
                answers.push(one.await.unwrap());
            }
            for (one, other) in answers[0]
                .as_array()
                .unwrap()
                .iter()
                .zip(answers[1].as_array().unwrap())
            {
                assert_eq!(
                    (&one["status"], &other["status"]),
                    (&json!("applied"), &json!("applied"))
                );
                assert_eq!(one["version"], other["version"]);
                assert_ne!(
                    one["replayed"], other["replayed"],
                    "one request applies it, the other one replays it"
                );
            }
        }
    });
}

#[test]
fn a_polling_reader_misses_no_concurrent_write() {
    const WRITERS: usize = 6;
    const WRITES: usize = 40;
    run(async {
        let api = Api::new().await;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let api = api.clone();
                tokio::spawn(async move {
                    let mut base = Value::Null;
                    for i in 0..WRITES {
                        let edit = json!({ "opId": format!("e{writer}-{i}"), "entity": "task", "id": format!("shared{writer}"),
                            "kind": "update", "baseVersion": base, "data": { "n": i } });
                        let verdicts = api.push("ann", json!([create(&format!("c{writer}-{i}"), &format!("{writer}-{i}")), edit])).await;
                        base = verdicts[1]["version"].clone();
                    }
                })
            })
            .collect();
        let mut seen: BTreeMap<String, (u64, Value)> = BTreeMap::new();
        let mut cursor = Value::Null;
        loop {
            let over = writers.iter().all(|writer| writer.is_finished());
            let page = api.pull("ann", &cursor).await;
            for change in page["changes"].as_array().unwrap() {
                let version = change["version"].as_u64().unwrap();
                let before = seen.insert(
                    change["id"].as_str().unwrap().to_owned(),
                    (version, change["data"].clone()),
                );
                assert!(
                    before.is_none_or(|(before, _)| before < version),
                    "versions of a row never decrease"
                );
            }
            cursor = page["cursor"].clone();
            if over && page["more"] == false {
                break;
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(seen.len(), WRITERS * WRITES + WRITERS);
        for writer in 0..WRITERS {
            assert_eq!(
                seen[&format!("shared{writer}")].1,
                json!({ "n": WRITES - 1 })
            );
        }
    });
}

#[test]
fn acknowledged_writes_survive_a_reopen() {
    let folder = Folder::new();
    let mut cursor = Value::Null;
    run(async {
        let store = SqliteStore::open(&folder.database(), "first")
            .await
            .unwrap();
        let api = Api::over(store, options(), Config::default());
        api.push("ann", json!([create("1", "a")])).await;
        cursor = api.pull("ann", &Value::Null).await["cursor"].clone();
        // The runtime and its connections are dropped without being closed.
    });
    run(async {
        let store = SqliteStore::open(&folder.database(), "second")
            .await
            .unwrap();
        let api = Api::over(store, options(), Config::default());
        assert_eq!(
            api.push("ann", json!([create("1", "a")])).await[0]["replayed"],
            true
        );
        let page = api.pull("ann", &cursor).await;
        assert_eq!(
            (&page["changes"], &page["epoch"]),
            (&json!([]), &json!("first")),
            "the file keeps its epoch"
        );
    });
}

#[test]
fn a_file_with_a_newer_schema_is_refused() {
    let folder = Folder::new();
    run(async {
        SqliteStore::open(&folder.database(), "e")
            .await
            .unwrap()
            .close()
            .await;
        let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", folder.database().display()))
            .await
            .unwrap();
        sqlx::query("PRAGMA user_version = 99")
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        let refused = SqliteStore::open(&folder.database(), "e")
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("later version"), "{refused}");
    });
}

#[test]
fn a_file_that_is_not_a_database_is_refused() {
    let folder = Folder::new();
    std::fs::write(
        folder.database(),
        "not a database, but long enough to look like one".repeat(100),
    )
    .unwrap();
    run(async {
        assert_eq!(
            SqliteStore::open(&folder.database(), "e")
                .await
                .unwrap_err()
                .status,
            500
        );
    });
}
