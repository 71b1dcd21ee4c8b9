//! Stories of pushing.

use datum_server::rules::store::{Store, Transaction};
use datum_sync::model::digest::Digest;
use serde_json::{Value, json};

use super::{World, op, statuses, version};

pub async fn versions_grow_with_each_write_and_over_tombstones<S: Store>(w: World<S>) {
    let verdicts = w
        .push(
            "ann",
            json!([
                op("1", "task", "a", "create", None, json!({})),
                op("2", "task", "b", "create", None, json!({})),
                op("3", "task", "a", "update", Some(1), json!({ "n": 1 })),
                op("4", "task", "a", "delete", Some(3), Value::Null),
                op("5", "task", "a", "create", None, json!({ "n": 2 })),
            ]),
        )
        .await;
    assert_eq!(
        verdicts.iter().map(version).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(
        statuses(
            &w.push(
                "ann",
                json!([op("6", "task", "a", "update", Some(1), json!({}))])
            )
            .await
        ),
        ["conflict"]
    );
}

pub async fn a_stale_base_is_a_conflict_with_the_current_row<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    w.push(
        "ann",
        json!([op("1", "task", "a", "update", Some(1), json!({ "n": 1 }))]),
    )
    .await;
    for (kind, base, data) in [
        ("update", Some(1), json!({})),
        ("patch", Some(1), json!({})),
        ("delete", Some(1), Value::Null),
        ("update", Some(99), json!({})),
        ("delete", None, Value::Null),
    ] {
        let verdicts = w
            .push("ann", json!([op("2", "task", "a", kind, base, data)]))
            .await;
        assert_eq!(
            verdicts[0],
            json!({ "opId": "2", "status": "conflict", "version": 2, "row": { "n": 1 } }),
            "{kind} {base:?}"
        );
    }
}

pub async fn creating_what_stands_is_applied_and_creating_over_it_a_conflict<S: Store>(
    w: World<S>,
) {
    w.push(
        "ann",
        json!([op(
            "1",
            "task",
            "a",
            "create",
            None,
            json!({ "x": 1, "y": [1, { "z": null }] })
        )]),
    )
    .await;
    let body = r#"{"clientId":"d","operations":[{"opId":"2","entity":"task","id":"a","kind":"create","baseVersion":null,"data":{ "y":[1,{"z":null}], "x":1, "version": 9 }}]}"#;
    let (_, reply) = w.call("ann", "POST", "push", body).await;
    assert_eq!(
        reply["results"][0],
        json!({ "opId": "2", "status": "applied", "version": 1 })
    );
    let verdicts = w
        .push(
            "ann",
            json!([op("3", "task", "a", "create", None, json!({ "x": 2 }))]),
        )
        .await;
    assert_eq!(
        (verdicts[0]["status"].as_str(), version(&verdicts[0])),
        (Some("conflict"), 1)
    );
}

pub async fn a_patch_lays_its_fields_over_the_stored_object<S: Store>(w: World<S>) {
    w.push(
        "ann",
        json!([op(
            "1",
            "task",
            "a",
            "create",
            None,
            json!({ "a": 1, "b": { "c": 1, "d": 2 }, "e": 3 })
        )]),
    )
    .await;
    let verdicts = w
        .push(
            "ann",
            json!([op(
                "2",
                "task",
                "a",
                "patch",
                Some(1),
                json!({ "b": { "c": 9 }, "f": null, "id": "z", "version": 7 })
            )]),
        )
        .await;
    assert_eq!(
        verdicts[0],
        json!({ "opId": "2", "status": "applied", "version": 2 })
    );
    let page = w.pull("ann", json!({})).await;
    assert_eq!(
        page["changes"][0]["data"],
        json!({ "a": 1, "b": { "c": 9 }, "e": 3, "f": null })
    );
}

pub async fn what_comes_after_an_operation_that_was_not_applied_waits<S: Store>(w: World<S>) {
    let behind = |after: &[&str], mut op: Value| {
        op["after"] = json!(after);
        op
    };
    let push = |base| {
        json!([
            op("1", "task", "a", "update", base, json!({})),
            behind(&["1"], op("2", "task", "b", "create", None, json!({}))),
            behind(&["2"], op("3", "task", "c", "create", None, json!({}))),
            behind(
                &["unknown", "4"],
                op("5", "task", "d", "create", None, json!({}))
            ),
        ])
    };
    let verdicts = w.push("ann", push(Some(9))).await;
    assert_eq!(
        statuses(&verdicts),
        ["conflict", "retry", "retry", "applied"]
    );
    assert_eq!(
        verdicts[1],
        json!({ "opId": "2", "status": "retry", "code": "blocked" })
    );
    let verdicts = w.push("ann", push(None)).await;
    assert_eq!(
        statuses(&verdicts),
        ["applied"; 4],
        "nothing was remembered of those that waited"
    );
    // What was applied before stands, whatever it is said to come after now.
    let verdicts = w.push("ann", push(Some(9))).await;
    assert_eq!(statuses(&verdicts), ["applied"; 4]);
}

pub async fn a_patch_needs_a_live_row<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    w.push(
        "ann",
        json!([op("1", "task", "a", "delete", Some(1), Value::Null)]),
    )
    .await;
    for (id, base, expected) in [
        ("a", Some(2), 2),
        ("a", None, 2),
        ("never", None, 1),
        ("never", Some(5), 1),
    ] {
        let verdicts = w
            .push(
                "ann",
                json!([op("2", "task", id, "patch", base, json!({ "n": 1 }))]),
            )
            .await;
        assert_eq!(
            verdicts[0],
            json!({ "opId": "2", "status": "conflict", "version": expected, "row": null })
        );
    }
}

pub async fn deleting_what_is_gone_is_applied<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    let delete = |op_id: &str, id: &str, base| op(op_id, "task", id, "delete", base, Value::Null);
    let verdicts = w
        .push(
            "ann",
            json!([
                delete("1", "a", Some(1)),
                delete("2", "a", Some(1)),
                delete("3", "a", None),
                delete("4", "never", Some(8))
            ]),
        )
        .await;
    assert_eq!(statuses(&verdicts), ["applied"; 4]);
    assert_eq!(
        verdicts.iter().map(version).collect::<Vec<_>>(),
        [2, 2, 2, 1]
    );
    let page = w.pull("ann", json!({})).await;
    assert_eq!(
        page["changes"],
        json!([]),
        "deleting what never was leaves nothing behind"
    );
}

pub async fn an_edit_of_a_deleted_row_conflicts_and_may_then_revive_it<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    w.push(
        "ann",
        json!([op("1", "task", "a", "delete", Some(1), Value::Null)]),
    )
    .await;
    let verdicts = w
        .push(
            "ann",
            json!([op("2", "task", "a", "update", Some(1), json!({ "n": 1 }))]),
        )
        .await;
    assert_eq!(
        verdicts[0],
        json!({ "opId": "2", "status": "conflict", "version": 2, "row": null })
    );
    for kind in ["update", "create"] {
        let now = version(
            &w.push(
                "ann",
                json!([op("x", "task", "a", "update", Some(1), json!({}))]),
            )
            .await[0],
        );
        let verdicts = w
            .push(
                "ann",
                json!([op(
                    &format!("3{kind}"),
                    "task",
                    "a",
                    kind,
                    Some(now),
                    json!({ "n": 1 })
                )]),
            )
            .await;
        assert_eq!(statuses(&verdicts), ["applied"]);
        w.push(
            "ann",
            json!([op(
                &format!("4{kind}"),
                "task",
                "a",
                "delete",
                Some(version(&verdicts[0])),
                Value::Null
            )]),
        )
        .await;
    }
}

pub async fn an_edit_of_a_row_that_left_no_trace_conflicts_and_may_then_revive_it<S: Store>(
    w: World<S>,
) {
    for id in ["a", "b"] {
        w.create("ann", "task", id).await;
    }
    w.push(
        "ann",
        json!([op("1", "task", "a", "delete", Some(1), Value::Null)]),
    )
    .await;
    w.purge_tombstones().await;
    for base in [Some(1), Some(2)] {
        let verdicts = w
            .push(
                "ann",
                json!([op("2", "task", "a", "update", base, json!({ "n": 1 }))]),
            )
            .await;
        assert_eq!(
            verdicts[0],
            json!({ "opId": "2", "status": "conflict", "version": 3, "row": null })
        );
    }
    w.create("ann", "task", "c").await;
    let verdicts = w
        .push(
            "ann",
            json!([op("3", "task", "a", "update", Some(3), json!({ "n": 1 }))]),
        )
        .await;
    assert_eq!(
        verdicts[0],
        json!({ "opId": "3", "status": "applied", "version": 5 }),
        "other writes do not move the goal"
    );
}

pub async fn operations_on_one_row_see_each_other<S: Store>(w: World<S>) {
    let verdicts = w
        .push(
            "ann",
            json!([
                op("1", "task", "a", "create", None, json!({ "n": 1 })),
                op("2", "task", "a", "update", None, json!({ "n": 2 })),
                op("3", "task", "a", "patch", Some(1), json!({ "m": 3 })),
                op("4", "task", "a", "delete", Some(1), Value::Null),
            ]),
        )
        .await;
    assert_eq!(
        statuses(&verdicts),
        ["applied", "conflict", "applied", "conflict"]
    );
    assert_eq!(verdicts[1]["row"], json!({ "n": 1 }));
    assert_eq!(verdicts[3]["row"], json!({ "n": 1, "m": 3 }));
}

pub async fn one_bad_operation_fails_alone<S: Store>(mut w: World<S>) {
    w.service.config.entities = Some(vec!["task".into()]);
    let good = |op_id: &str, id: &str| op(op_id, "task", id, "create", None, json!({ "n": 1 }));
    let long = "x".repeat(513);
    let bad = json!([
        [op("b0", "note", "a", "create", None, json!({})), "unknownEntity"],
        [op("b1", "task", "", "create", None, json!({})), "invalidId"],
        [op("b2", "task", "a\u{7}b", "create", None, json!({})), "invalidId"],
        [op("b3", "task", &long, "create", None, json!({})), "invalidId"],
        [op("b4", "", "a", "create", None, json!({})), "invalidId"],
        [op("b5", "task", "a", "create", None, Value::Null), "invalidData"],
        [op("b6", "task", "a", "update", Some(1), json!([1])), "invalidData"],
        [op("b7", "task", "a", "update", Some(0), json!({})), "invalidVersion"],
        [op("b8", "task", "a", "update", Some(1 << 53), json!({})), "invalidVersion"],
        [{ "opId": "b9", "entity": "task", "id": "a", "kind": "update", "baseVersion": -1, "data": {} }, "invalidOperation"],
        [{ "opId": "b10", "entity": "task", "id": "a", "kind": "upsert", "baseVersion": null, "data": {} }, "invalidOperation"],
        [{ "opId": "b11", "entity": "task", "id": 7, "kind": "create", "baseVersion": null, "data": {} }, "invalidOperation"],
        [{ "opId": "b12" }, "invalidOperation"],
        [op("b13", "task", "a", "create", None, json!({ "userId": "bob" })), "userMismatch"],
        [op("b14", "task", "a", "create", None, json!({ "userId": 7 })), "userMismatch"],
        [op("b15", "task", "a", "create", None, json!({ "text": "x".repeat(1 << 20) })), "tooLarge"],
        [op("", "task", "a", "create", None, json!({})), "invalidId"],
    ]);
    for (i, case) in bad.as_array().unwrap().iter().enumerate() {
        let verdicts = w
            .push(
                "ann",
                json!([
                    good(&format!("x{i}"), &format!("x{i}")),
                    case[0],
                    good(&format!("y{i}"), &format!("y{i}"))
                ]),
            )
            .await;
        assert_eq!(
            statuses(&verdicts),
            ["applied", "rejected", "applied"],
            "{case}"
        );
        assert_eq!(verdicts[1]["code"], case[1], "{case}");
        assert_eq!(verdicts[1]["opId"], case[0]["opId"]);
        assert!(!verdicts[1]["message"].as_str().unwrap().is_empty());
    }
}

pub async fn what_stands_beside_the_data_is_not_stored_in_it<S: Store>(w: World<S>) {
    let body = r#"{"clientId":"d","operations":[{"opId":"1","entity":"task","id":"a","kind":"create","baseVersion":null,
        "data":{"id":"zzz","a":1,"userId":"ann","version":77,"a":2,"isDeleted":true,"b":{"id":1},"createdAt":"2026-01-01T00:00:00.000Z"}}]}"#;
    let (_, reply) = w.call("ann", "POST", "push", body).await;
    assert_eq!(
        reply["results"][0],
        json!({ "opId": "1", "status": "applied", "version": 1 })
    );
    let mut tx = w.service.store.read().await.unwrap();
    let stored = tx.data("ann", "task", "a").await.unwrap().unwrap();
    assert_eq!(
        &*stored,
        r#"{"a":2,"b":{"id":1},"createdAt":"2026-01-01T00:00:00.000Z"}"#
    );
    drop(tx);
    let page = w.pull("ann", json!({})).await;
    assert_eq!(
        page["changes"][0]["data"],
        json!({ "a": 2, "b": { "id": 1 }, "createdAt": "2026-01-01T00:00:00.000Z" })
    );
}

pub async fn ids_may_have_quotes_and_emoji<S: Store>(w: World<S>) {
    let odd = [
        "it's \"quoted\"",
        "back\\slash",
        "🦀👩‍👩‍👧",
        "a b",
        "%27; DROP TABLE entity; --",
        "{\"$ref\":0}",
        "\u{2028}",
        "null",
        "0",
    ];
    for id in odd {
        assert_eq!(
            statuses(
                &w.push(
                    "ann",
                    json!([op(id, id, id, "create", None, json!({ id: id }))])
                )
                .await
            ),
            ["applied"],
            "{id}"
        );
        assert_eq!(
            w.push(
                "ann",
                json!([op(id, id, id, "create", None, json!({ id: id }))])
            )
            .await[0]["replayed"],
            true,
            "{id}"
        );
        let page = w.pull("ann", json!({ "entities": [id] })).await;
        assert_eq!(
            (&page["changes"][0]["id"], &page["changes"][0]["data"]),
            (&json!(id), &json!({ id: id }))
        );
    }
    let (changes, _) = w.pull_all("ann", json!({ "limit": 2 })).await;
    assert_eq!(changes.len(), odd.len());
}

pub async fn an_entity_over_the_limit_is_rejected_however_it_is_made<S: Store>(w: World<S>) {
    let text = "x".repeat(600_000);
    let verdicts = w
        .push(
            "ann",
            json!([
                op("1", "task", "a", "create", None, json!({ "a": text })),
                op("2", "task", "a", "patch", Some(1), json!({ "b": text }))
            ]),
        )
        .await;
    assert_eq!(statuses(&verdicts), ["applied", "rejected"]);
    assert_eq!(verdicts[1]["code"], "tooLarge");
    assert_eq!(w.pull("ann", json!({})).await["changes"][0]["version"], 1);
}

pub async fn conflicts_that_do_not_fit_the_reply_are_asked_again<S: Store>(mut w: World<S>) {
    w.service.config.max_reply_bytes = 1_500;
    let create: Vec<_> = (0..5)
        .map(|i| {
            op(
                &format!("c{i}"),
                "task",
                &format!("{i}"),
                "create",
                None,
                json!({ "t": "x".repeat(1_000) }),
            )
        })
        .collect();
    w.push("ann", json!(create)).await;
    let stale: Vec<_> = (0..5)
        .map(|i| {
            op(
                &format!("u{i}"),
                "task",
                &format!("{i}"),
                "update",
                Some(99),
                json!({}),
            )
        })
        .collect();
    let verdicts = w.push("ann", json!(stale)).await;
    assert_eq!(
        statuses(&verdicts),
        ["conflict", "conflict", "retry", "retry", "retry"]
    );
    assert_eq!(
        verdicts[2],
        json!({ "opId": "u2", "status": "retry", "retryAfterMs": 0 })
    );
}

pub async fn a_push_that_breaks_the_protocol_is_refused_with_a_code<S: Store>(mut w: World<S>) {
    w.service.config.min_schema = 1;
    w.service.config.max_body_bytes = 10_000;
    let cases = [
        (String::new(), 400, "badRequest"),
        ("{".into(), 400, "badRequest"),
        ("[]".into(), 400, "badRequest"),
        (r#"{"clientId":"d"}"#.into(), 400, "badRequest"),
        (
            r#"{"clientId":"","schema":1,"operations":[]}"#.into(),
            400,
            "badRequest",
        ),
        (
            r#"{"clientId":"d","schema":1,"operations":{}}"#.into(),
            400,
            "badRequest",
        ),
        (
            r#"{"clientId":"d","schema":1,"operations":[{"entity":"task"}]}"#.into(),
            400,
            "badRequest",
        ),
        (
            r#"{"clientId":"d","schema":1,"operations":[7]}"#.into(),
            400,
            "badRequest",
        ),
        (
            r#"{"clientId":"d","schema":0,"operations":[]}"#.into(),
            426,
            "clientOutdated",
        ),
        (
            format!(r#"{{"clientId":"{}","operations":[]}}"#, "d".repeat(10_000)),
            413,
            "bodyTooLarge",
        ),
    ];
    for (body, status, code) in cases {
        let (got, reply) = w.call("ann", "POST", "push", &body).await;
        assert_eq!(
            (got, reply["code"].as_str().unwrap()),
            (status, code),
            "{body:.80}"
        );
    }
    assert!(w.push("ann", json!([])).await.is_empty());
}

pub async fn ten_thousand_operations_are_taken_and_one_more_is_not<S: Store>(w: World<S>) {
    let body = |n: usize| {
        let one = |i| {
            format!(
                r#"{{"opId":"o{i}","entity":"task","id":"{i}","kind":"create","baseVersion":null,"data":{{"n":{i}}}}}"#
            )
        };
        format!(
            r#"{{"clientId":"d","operations":[{}]}}"#,
            (0..n).map(one).collect::<Vec<_>>().join(",")
        )
    };
    for n in [10_001, 100_000] {
        let (status, refused) = w.call("ann", "POST", "push", &body(n)).await;
        assert_eq!(
            (status, &refused["code"]),
            (413, &json!("tooManyOperations"))
        );
    }
    let (_, reply) = w.call("ann", "POST", "push", &body(10_000)).await;
    assert_eq!(
        reply["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|verdict| verdict["status"] == "applied")
            .count(),
        10_000
    );
    let page = w.pull("ann", json!({ "limit": 10_000 })).await;
    assert_eq!(
        (page["changes"].as_array().unwrap().len(), &page["more"]),
        (10_000, &json!(false))
    );
}

pub async fn digests_follow_every_write<S: Store>(w: World<S>) {
    // A fixed walk over a few rows, so that every kind of write follows every other.
    let mut state = 7_u64;
    for step in 0..120 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let pick = |shift: u32, n: u64| (state >> shift) % n;
        let (id, entity) = (
            format!("{}", pick(40, 4)),
            ["task", "note"][pick(50, 2) as usize],
        );
        let page = w.pull("ann", json!({ "entities": [entity] })).await;
        let base = page["changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|change| change["id"] == *id)
            .map(version);
        let (kind, data) = match pick(33, 4) {
            0 => ("delete", Value::Null),
            1 => ("patch", json!({ "p": step })),
            2 => ("update", json!({ "u": step })),
            _ => ("create", json!({ "c": step })),
        };
        w.push(
            "ann",
            json!([op(&format!("o{step}"), entity, &id, kind, base, data)]),
        )
        .await;
        let page = w.pull("ann", json!({})).await;
        for (entity, digest) in page["digests"].as_object().unwrap() {
            let mut expected = Digest::default();
            for change in page["changes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|change| change["entity"] == **entity)
            {
                expected.add(entity, change["id"].as_str().unwrap(), version(change));
            }
            assert_eq!(
                *digest,
                serde_json::to_value(expected.wire()).unwrap(),
                "after step {step}"
            );
        }
    }
}
