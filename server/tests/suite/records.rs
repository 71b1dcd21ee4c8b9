//! What the store keeps beside the rows: applied operations, device metadata, epochs.

use datum_server::rules::store::{Batch, Row, Space, Store, Transaction};
use serde_json::{Value, json};

use super::{DAY, World, ids, op, statuses, version};

pub async fn an_operation_sent_twice_is_applied_once<S: Store>(w: World<S>) {
    let batch = json!([
        op("1", "task", "a", "create", None, json!({ "n": 1 })),
        op("2", "task", "b", "create", None, json!({})),
        op("1", "task", "a", "create", None, json!({ "n": 1 })),
    ]);
    let first = w.push("ann", batch.clone()).await;
    assert_eq!(
        first[2],
        json!({ "opId": "1", "status": "applied", "version": 1, "replayed": true })
    );
    w.push(
        "ann",
        json!([op("3", "task", "a", "update", Some(1), json!({ "n": 2 }))]),
    )
    .await;
    let again = w.push("ann", batch).await;
    assert!(again.iter().all(|verdict| verdict["replayed"] == true));
    assert_eq!(
        again.iter().map(version).collect::<Vec<_>>(),
        [1, 2, 1],
        "the first answer, whatever happened since"
    );
    assert_eq!(
        w.pull("ann", json!({})).await["changes"][1]["data"],
        json!({ "n": 2 })
    );
    w.push(
        "ann",
        json!([op("4", "task", "a", "delete", Some(3), Value::Null)]),
    )
    .await;
    assert_eq!(
        w.push(
            "ann",
            json!([op("4", "task", "a", "delete", Some(3), Value::Null)])
        )
        .await[0]["replayed"],
        true
    );
}

pub async fn only_applied_operations_are_recorded<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    let late = json!([op(
        "late",
        "task",
        "a",
        "update",
        Some(2),
        json!({ "n": 1 })
    )]);
    assert_eq!(statuses(&w.push("ann", late.clone()).await), ["conflict"]);
    w.push(
        "ann",
        json!([op("between", "task", "a", "update", Some(1), json!({}))]),
    )
    .await;
    assert_eq!(
        w.push("ann", late).await[0],
        json!({ "opId": "late", "status": "applied", "version": 3 }),
        "decided again"
    );
}

pub async fn an_operation_id_belongs_to_one_row_of_one_user<S: Store>(w: World<S>) {
    w.push(
        "ann",
        json!([op("1", "task", "a", "create", None, json!({}))]),
    )
    .await;
    let verdicts = w
        .push(
            "ann",
            json!([op("1", "task", "b", "create", None, json!({}))]),
        )
        .await;
    assert_eq!(
        (&verdicts[0]["status"], &verdicts[0]["code"]),
        (&json!("rejected"), &json!("opIdReused"))
    );
    let verdicts = w
        .push(
            "bob",
            json!([op("1", "task", "b", "create", None, json!({}))]),
        )
        .await;
    assert_eq!(
        verdicts[0],
        json!({ "opId": "1", "status": "applied", "version": 1 })
    );
}

pub async fn operations_sent_again_after_their_retention_do_no_harm<S: Store>(mut w: World<S>) {
    let batch = json!([
        op("1", "task", "a", "create", None, json!({ "n": 1 })),
        op("2", "task", "a", "update", Some(1), json!({ "n": 2 }))
    ]);
    w.push("ann", batch.clone()).await;
    w.now += 30 * DAY;
    assert_eq!(w.service.sweep(w.now).await.unwrap().operations, 0);
    w.now += 1;
    assert_eq!(w.service.sweep(w.now).await.unwrap().operations, 2);
    assert_eq!(
        statuses(&w.push("ann", batch).await),
        ["conflict", "conflict"],
        "stale bases stop what is no longer recorded"
    );
    assert_eq!(w.pull("ann", json!({})).await["changes"][0]["version"], 2);
}

pub async fn a_transaction_that_is_dropped_changed_nothing<S: Store>(w: World<S>) {
    let row = Row {
        entity: "task".into(),
        id: "a".into(),
        version: 1,
        data: Some("{}".into()),
        moved_to: None,
    };
    let own = Space::personal("ann");
    let mut tx = w.service.store.write().await.unwrap();
    tx.write(
        "ann",
        &own,
        Batch {
            seq: 1,
            rows: vec![row],
            ..Batch::default()
        },
        1,
    )
    .await
    .unwrap();
    tx.put_device("ann", "d1", "{}", 1, 10).await.unwrap();
    assert_eq!(
        tx.head(&own).await.unwrap().seq,
        1,
        "it sees its own writes"
    );
    assert_eq!(
        tx.data(&own, "task", "a").await.unwrap().as_deref(),
        Some("{}")
    );
    drop(tx);
    assert_eq!(w.create("ann", "task", "b").await, 1);
    assert_eq!(
        w.call("ann", "GET", "metadata", "").await.1["devices"],
        json!([])
    );
}

pub async fn metadata_has_one_record_per_device<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    for (device, status) in [("d1", "failed"), ("d2", "synced"), ("d1", "synced")] {
        let record = json!({ "deviceId": device, "syncStatus": status, "conflictCount": 2, "customMetadata": { "theme": "dark" }, "unknown": 1 });
        assert_eq!(
            w.call("ann", "PUT", "metadata", &record.to_string())
                .await
                .0,
            200
        );
    }
    let (status, reply) = w.call("ann", "GET", "metadata", "").await;
    assert_eq!(
        (status, reply["devices"].as_array().unwrap().len()),
        (200, 2)
    );
    assert_eq!(
        (
            &reply["devices"][0]["deviceId"],
            &reply["devices"][0]["syncStatus"]
        ),
        (&json!("d1"), &json!("synced"))
    );
    assert_eq!(
        reply["devices"][0]["customMetadata"],
        json!({ "theme": "dark" })
    );
    assert_eq!(reply["digests"]["task"]["count"], 1);
    assert_eq!(
        w.call("bob", "GET", "metadata", "").await.1["devices"],
        json!([])
    );
    w.call("bob", "DELETE", "metadata", "").await;
    assert_eq!(w.call("ann", "GET", "metadata", "").await.1, reply);
    assert_eq!(
        w.call("ann", "DELETE", "metadata", "").await.1["devices"],
        json!([])
    );
}

pub async fn the_least_recently_seen_device_is_removed_first<S: Store>(mut w: World<S>) {
    w.service.config.max_devices = 2;
    for device in ["d1", "d2", "d1", "d3"] {
        w.now += 1;
        w.call(
            "ann",
            "PUT",
            "metadata",
            &json!({ "deviceId": device }).to_string(),
        )
        .await;
    }
    let (_, reply) = w.call("ann", "GET", "metadata", "").await;
    let kept: Vec<_> = reply["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["deviceId"].as_str().unwrap())
        .collect();
    assert_eq!(kept, ["d1", "d3"]);
}

pub async fn metadata_that_cannot_be_read_is_refused<S: Store>(w: World<S>) {
    let huge = json!({ "deviceId": "d", "errorMessage": "x".repeat(70_000) }).to_string();
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("[]", 400),
        (r#"{"deviceId":"a\u0000"}"#, 400),
        (r#"{"deviceId":"d","retryCount":-1}"#, 400),
        (&huge, 413),
    ] {
        assert_eq!(
            w.call("ann", "PUT", "metadata", body).await.0,
            status,
            "{body:.60}"
        );
    }
}

pub async fn a_new_epoch_invalidates_all_cursors<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    let page = w.pull("ann", json!({})).await;
    w.service.set_epoch("restored").await.unwrap();
    let (status, refused) = w.try_pull("ann", json!({ "cursor": page["cursor"] })).await;
    assert_eq!((status, &refused["code"]), (410, &json!("epochChanged")));
    let (changes, _) = w.pull_all("ann", json!({})).await;
    assert_eq!(changes.len(), 1);
    assert_eq!(w.pull("ann", json!({})).await["epoch"], "restored");
    assert_eq!(
        w.call("ann", "GET", "health", "").await.1["epoch"],
        "restored"
    );
}

pub async fn a_new_epoch_reports_the_last_version_of_an_earlier_one<S: Store>(w: World<S>) {
    let first = w.pull("ann", json!({})).await["epoch"].clone();
    let kept = async |user: &str, epoch: &Value| {
        w.pull(user, json!({ "epoch": epoch })).await["kept"].clone()
    };
    assert_eq!(
        kept("ann", &first).await,
        Value::Null,
        "the epoch has not changed"
    );
    for id in ["a", "b"] {
        w.create("ann", "task", id).await;
    }
    w.service.set_epoch("second").await.unwrap();
    w.create("ann", "task", "c").await;
    w.create("bob", "task", "a").await;
    w.service.set_epoch("third").await.unwrap();
    w.create("ann", "task", "d").await;
    assert_eq!(
        (
            kept("ann", &first).await,
            kept("ann", &json!("second")).await
        ),
        (json!(2), json!(3))
    );
    assert_eq!(
        (
            kept("bob", &first).await,
            kept("bob", &json!("second")).await
        ),
        (json!(0), json!(1))
    );
    assert_eq!(
        kept("eve", &first).await,
        0,
        "a later user had nothing then"
    );
    assert_eq!(kept("ann", &json!("of another file")).await, Value::Null);
}

/// (the same app pointed at another server, which took it for a restored one)
pub async fn every_reply_names_the_server_and_a_new_epoch_keeps_its_id<S: Store>(w: World<S>) {
    let push = json!({ "clientId": "d1", "operations": [] }).to_string();
    let pull = json!({ "clientId": "d1", "cursor": null, "limit": 1 }).to_string();
    let record = json!({ "deviceId": "d1" }).to_string();
    let requests = [
        ("POST", "push", push.as_str()),
        ("POST", "pull", &pull),
        ("GET", "metadata", ""),
        ("PUT", "metadata", &record),
        ("DELETE", "metadata", ""),
        ("GET", "info", ""),
        ("GET", "health", ""),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for epoch in ["e2", "e3"] {
        for (method, path, body) in requests {
            let (status, reply) = w.call("ann", method, path, body).await;
            assert_eq!(status, 200, "{reply}");
            ids.insert(reply["serverId"].as_str().unwrap().to_owned());
        }
        w.service.set_epoch(epoch).await.unwrap();
    }
    let id = ids.pop_first().unwrap();
    assert!(id.len() == 36 && ids.is_empty(), "{id} {ids:?}");
    w.service.set_server_id("another").await.unwrap();
    assert_eq!(w.pull("ann", json!({})).await["serverId"], "another");
}

pub async fn optional_metadata_may_be_null_and_times_are_times<S: Store>(w: World<S>) {
    let put = async |body: &str| w.call("ann", "PUT", "metadata", body).await;
    let (status, reply) = put(
        r#"{"deviceId":"d","userId":null,"lastSyncTime":null,"lastSuccessfulSyncTime":null,"dataHash":null,
            "entityCounts":null,"syncStatus":null,"conflictCount":null,"errorMessage":null,"retryCount":null,
            "syncDuration":null,"customMetadata":null}"#,
    )
    .await;
    assert_eq!(status, 200, "{reply}");
    let counts = r#"{"deviceId":"d","entityCounts":{"task":{"count":3.0,"hash":null,"pending":null}},"retryCount":2.0,"syncDuration":1e2}"#;
    let (status, reply) = put(counts).await;
    assert_eq!(status, 200, "{reply}");
    let device = &reply["devices"][0];
    assert_eq!(
        (
            &device["entityCounts"]["task"]["count"],
            &device["retryCount"],
            &device["syncDuration"]
        ),
        (&json!(3), &json!(2), &json!(100))
    );
    for field in ["lastSyncTime", "lastSuccessfulSyncTime"] {
        for (time, expected) in [
            (json!("2026-01-31T12:00:00.000Z"), 200),
            (json!("yesterday"), 400),
            (json!(""), 400),
            (json!(1_704_067_200_000_u64), 400),
            (json!("2026-13-31T12:00:00.000Z"), 400),
            (json!("\u{ffff}"), 400),
        ] {
            let (status, reply) = put(&json!({ "deviceId": "d", field: time }).to_string()).await;
            assert_eq!(status, expected, "{field} {time}");
            assert!(
                status == 200 || reply["message"].as_str().unwrap().contains(field),
                "{reply}"
            );
        }
    }
}

/// A sweep of much would hold up every write meanwhile.
pub async fn a_sweep_goes_on_in_parts_until_all_is_gone<S: Store>(mut w: World<S>) {
    let count = 2 * datum_server::rules::SWEEP_MOST + 7;
    for user in ["ann", "bob"] {
        let operations: Vec<Value> = (0..count / 2)
            .flat_map(|n| {
                let id = n.to_string();
                [
                    op(&format!("c{n}"), "task", &id, "create", None, json!({})),
                    op(
                        &format!("d{n}"),
                        "task",
                        &id,
                        "delete",
                        Some(2 * n + 1),
                        Value::Null,
                    ),
                ]
            })
            .collect();
        w.push(user, json!(operations)).await;
    }
    w.create("ann", "task", "kept").await;
    let (_, stale) = w.pull_all("ann", json!({ "limit": 1 })).await;
    w.now += 91 * DAY;
    let mut tx = w.service.store.write().await.unwrap();
    let part = tx.sweep(w.now, w.now, 10).await.unwrap();
    assert_eq!((part.tombstones, part.operations), (10, 10));
    drop(tx);
    let swept = w.service.sweep(w.now).await.unwrap();
    assert_eq!(
        (swept.tombstones, swept.operations),
        (count / 2 * 2, count / 2 * 4 + 1)
    );
    let (rows, _) = w.pull_all("ann", json!({})).await;
    assert_eq!(ids(&rows), ["kept"]);
    assert_eq!(w.try_pull("ann", json!({ "cursor": stale })).await.0, 200);
    assert_eq!(w.service.sweep(w.now).await.unwrap().operations, 0);
}
