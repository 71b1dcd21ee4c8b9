//! Pulls that are restricted to entity types or to a scope.

use std::collections::BTreeSet;

use datum_server::MemoryStore;
use datum_server::rules::store::{Batch, Range, Row, Space, Store, Transaction};
use serde_json::{Value, json};

use super::{World, ids, op};

pub async fn a_filter_by_entity_loses_no_row_between_pages<S: Store>(w: World<S>) {
    for i in 0..9 {
        w.create("ann", ["task", "note", "tag"][i % 3], &format!("{i}"))
            .await;
    }
    for limit in 1..=7 {
        let (changes, _) = w
            .pull_all(
                "ann",
                json!({ "entities": ["tag", "task", "tag"], "limit": limit }),
            )
            .await;
        assert_eq!(
            ids(&changes),
            ["0", "2", "3", "5", "6", "8"],
            "limit {limit}"
        );
    }
    let first = w
        .pull("ann", json!({ "entities": ["task"], "limit": 1 }))
        .await;
    assert_eq!(first["remaining"], 2);
}

pub async fn a_filter_by_entity_loses_nothing_behind_a_large_row<S: Store>(mut w: World<S>) {
    w.service.config.max_page_bytes = 2_000;
    for (id, entity, bytes) in [
        ("1", "task", 10),
        ("2", "note", 10),
        ("3", "task", 3_000),
        ("4", "note", 10),
        ("5", "task", 10),
    ] {
        w.push(
            "ann",
            json!([op(
                id,
                entity,
                id,
                "create",
                None,
                json!({ "text": "x".repeat(bytes) })
            )]),
        )
        .await;
    }
    let (changes, _) = w
        .pull_all("ann", json!({ "entities": ["task", "note"] }))
        .await;
    assert_eq!(ids(&changes), ["1", "2", "3", "4", "5"]);
}

/// Creates the tasks 1 to 4, in turn in the lists `home` and `work`.
async fn create_lists<S: Store>(w: &World<S>) {
    let task = |i: u64, list: &str| {
        let data = json!({ "list": list, "n": i });
        op(
            &format!("o{i}"),
            "task",
            &format!("{i}"),
            "create",
            None,
            data,
        )
    };
    let lists = ["home", "work", "home", "work"];
    let tasks: Vec<_> = (1..).zip(lists).map(|(i, list)| task(i, list)).collect();
    w.push("ann", json!(tasks)).await;
}

pub async fn a_scope_selects_rows_and_reports_those_that_leave<S: Store>(w: World<S>) {
    create_lists(&w).await;
    let scope = json!({ "scope": { "where": { "list": "home" } }, "limit": 1 });
    let (changes, cursor) = w.pull_all("ann", scope.clone()).await;
    assert_eq!(ids(&changes), ["1", "3"]);
    let swap = json!([
        op(
            "p",
            "task",
            "1",
            "patch",
            Some(1),
            json!({ "list": "work" })
        ),
        op(
            "q",
            "task",
            "2",
            "patch",
            Some(2),
            json!({ "list": "home" })
        )
    ]);
    w.push("ann", swap).await;
    let mut later = scope.clone();
    later["cursor"] = cursor;
    let (changes, _) = w.pull_all("ann", later).await;
    assert_eq!(
        changes[0],
        json!({ "entity": "task", "id": "1", "version": 5, "deleted": true, "reason": "scope" })
    );
    assert_eq!(ids(&changes), ["1", "2"]);
}

pub async fn a_scope_compares_numbers_by_value_and_missing_fields_with_null<S: Store>(w: World<S>) {
    create_lists(&w).await;
    let scope = json!({ "scope": { "where": { "n": 3.0, "missing": null } } });
    let (changes, _) = w.pull_all("ann", scope).await;
    assert_eq!(ids(&changes), ["3"]);
}

pub async fn a_pull_with_a_scope_has_no_digests<S: Store>(w: World<S>) {
    create_lists(&w).await;
    let scope = json!({ "scope": { "where": { "n": 3 } } });
    assert!(w.pull("ann", scope).await["digests"].is_null());
}

pub async fn a_scope_that_matches_nothing_still_ends<S: Store>(w: World<S>) {
    for i in 0..5 {
        w.create("ann", "task", &format!("{i}")).await;
    }
    let (changes, _) = w
        .pull_all(
            "ann",
            json!({ "scope": { "where": { "list": "nowhere" } }, "limit": 1 }),
        )
        .await;
    assert!(changes.is_empty());
}

pub async fn a_scope_compares_as_the_vectors_do<S: Store>(w: World<S>) {
    let file: Value = serde_json::from_str(include_str!("../../vectors/values.json")).unwrap();
    let mut compared = 0;
    for (list, expected) in [("equal", 1), ("different", 0)] {
        for (number, pair) in file[list].as_array().unwrap().iter().enumerate() {
            let user = format!("{list}{number}");
            let sides = [0, 1].map(|side| pair[side].as_str().unwrap());
            if sides.iter().any(|side| side.contains(['[', '{'])) {
                continue;
            }
            let push = format!(
                r#"{{"clientId":"d","operations":[{{"opId":"1","entity":"task","id":"a","kind":"create","baseVersion":null,"data":{{"v":{}}}}}]}}"#,
                sides[0]
            );
            let (_, reply) = w.call(&user, "POST", "push", &push).await;
            if reply["results"][0]["status"] == "rejected" {
                continue;
            }
            let pull = |value: &str, cursor: &str| {
                format!(
                    r#"{{"clientId":"d","cursor":{cursor},"limit":10,"scope":{{"where":{{"v":{value}}}}}}}"#
                )
            };
            let (status, page) = w.call(&user, "POST", "pull", &pull(sides[1], "null")).await;
            assert_eq!(status, 200, "{pair} {page}");
            assert_eq!(
                page["changes"].as_array().unwrap().len(),
                expected,
                "{pair}"
            );
            // An equal scope takes the cursor, another one does not.
            let (status, _) = w
                .call(
                    &user,
                    "POST",
                    "pull",
                    &pull(sides[0], &page["cursor"].to_string()),
                )
                .await;
            assert_eq!(status, if expected == 1 { 200 } else { 410 }, "{pair}");
            compared += 1;
        }
    }
    assert!(compared > 12, "{compared}");
}

/// (a filter of 64 types read 64 whole pages to send four rows)
pub async fn a_page_has_what_the_store_in_memory_finds<S: Store>(w: World<S>) {
    let (store, memory) = (&w.service.store, MemoryStore::new("e1"));
    let mut seed = 1_u64;
    let mut dice = move |sides: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(sides).unwrap()).unwrap()
    };
    for round in 0..12 {
        let user = format!("u{round}");
        let own = Space::personal(&user);
        let kinds = [1, 2, 7, 40][round % 4];
        let many: u64 = if round == 0 { 3_000 } else { 400 };
        // Few types have most of the rows, and some have none.
        let rows: Vec<Row> = (1..=many)
            .map(|n| Row {
                entity: format!("t{}", dice(kinds).min(dice(kinds))),
                id: n.to_string(),
                version: n,
                data: (dice(4) > 0)
                    .then(|| format!("{{\"x\":\"{}\"}}", "x".repeat(dice(90))).into()),
                moved_to: None,
            })
            .collect();
        let batch = Batch {
            seq: many,
            rows,
            ..Batch::default()
        };
        let mut tx = store.write().await.unwrap();
        tx.write(&user, &own, batch.clone(), 0).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = memory.write().await.unwrap();
        tx.write(&user, &own, batch, 0).await.unwrap();
        tx.commit().await.unwrap();
        let (mut tx, mut defined) = (store.read().await.unwrap(), memory.read().await.unwrap());
        let most = usize::try_from(many).unwrap();
        for _ in 0..60 {
            let names: BTreeSet<String> = (0..=dice(kinds + 2))
                .map(|_| format!("t{}", dice(kinds + 2)))
                .collect();
            let names: Vec<String> = names.into_iter().collect();
            let range = Range {
                entities: (dice(8) > 0).then_some(names.as_slice()),
                after: u64::try_from(dice(most + 20)).unwrap(),
                live_until: u64::try_from(dice(most + 20)).unwrap(),
            };
            let limit = 1 + dice(if round == 0 { 2_500 } else { 60 });
            let bytes = [1, 500, 3_000, 60_000, 1 << 20][dice(5)];
            assert_eq!(
                tx.scan(&own, range, limit, bytes).await.unwrap(),
                defined.scan(&own, range, limit, bytes).await.unwrap(),
                "{range:?} {limit} {bytes}"
            );
            assert_eq!(
                tx.count(&own, range).await.unwrap(),
                defined.count(&own, range).await.unwrap(),
                "{range:?}"
            );
        }
    }
}
