//! Pushes: versions, conflicts, deletes, dependencies.

use datum_server::rules::store::Store;
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

pub async fn creating_an_equal_row_is_applied_and_a_different_one_conflicts<S: Store>(w: World<S>) {
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

pub async fn a_patch_replaces_top_level_fields<S: Store>(w: World<S>) {
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

pub async fn an_operation_whose_dependency_was_not_applied_is_blocked<S: Store>(w: World<S>) {
    let after = |after: &[&str], mut op: Value| {
        op["after"] = json!(after);
        op
    };
    let push = |base| {
        json!([
            op("1", "task", "a", "update", base, json!({})),
            after(&["1"], op("2", "task", "b", "create", None, json!({}))),
            after(&["2"], op("3", "task", "c", "create", None, json!({}))),
            after(
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
        "a blocked operation is not recorded"
    );
    // An applied operation stays applied, whatever its dependencies say now.
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

pub async fn deleting_a_missing_row_is_applied<S: Store>(w: World<S>) {
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
        "deleting an unknown row leaves no tombstone"
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

pub async fn an_edit_of_a_swept_row_conflicts_and_may_then_revive_it<S: Store>(w: World<S>) {
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
        "other writes do not change the version to build on"
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

pub async fn digests_follow_every_write<S: Store>(w: World<S>) {
    // A fixed pseudo-random walk over a few rows: every kind of write follows every other kind.
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

/// Pushes a create of this row with more members of the request.
async fn push_naming<S: Store>(w: &World<S>, id: &str, more: Value) -> (u16, Value) {
    let create = op(&format!("c-{id}"), "task", id, "create", None, json!({}));
    let delete = op(&format!("d-{id}"), "task", id, "delete", None, Value::Null);
    let mut body = json!({ "clientId": "d1", "operations": [create, delete] });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    w.call("ann", "POST", "push", &body.to_string()).await
}

pub async fn a_push_for_another_server_does_nothing<S: Store>(w: World<S>) {
    w.create("ann", "task", "there").await;
    let page = w.pull("ann", json!({})).await;
    let (own, epoch) = (&page["serverId"], &page["epoch"]);
    for more in [
        json!({ "serverId": "another" }),
        json!({ "serverId": "" }),
        json!({ "serverId": "another", "epoch": epoch, "userId": "ann" }),
        json!({ "serverId": "another", "epoch": "other" }),
    ] {
        let (status, reply) = push_naming(&w, "there", more.clone()).await;
        assert_eq!(status, 200, "{more}");
        assert_eq!((&reply["serverId"], &reply["epoch"]), (own, epoch));
        let code = |id: &str| json!({ "opId": id, "status": "retry", "code": "otherServer", "retryAfterMs": 0 });
        assert_eq!(
            reply["results"],
            json!([code("c-there"), code("d-there")]),
            "{more}"
        );
    }
    let after = w.pull("ann", json!({})).await;
    assert_eq!(after["changes"], page["changes"]);
    // Nothing was remembered either: an operation that met a row would never fit again.
    let version = page["changes"][0]["version"].as_u64();
    let gone = op("x", "task", "there", "delete", version, Value::Null);
    assert_eq!(statuses(&w.push("ann", json!([gone])).await), ["applied"]);
    let (_, reply) = push_naming(&w, "there", json!({ "serverId": own })).await;
    assert_eq!(reply["results"][0]["status"], "applied");
    assert_eq!(reply["results"][0]["replayed"], Value::Null);
    // Whose the operations are is asked first.
    let wrong = json!({ "serverId": "another", "userId": "bob" });
    assert_eq!(push_naming(&w, "there", wrong).await.0, 409);
}

pub async fn a_push_that_names_no_server_is_for_any<S: Store>(w: World<S>) {
    for (id, more) in [
        ("a", json!({})),
        ("b", json!({ "serverId": null })),
        ("c", json!({ "epoch": null, "serverId": null })),
    ] {
        let (_, reply) = push_naming(&w, id, more).await;
        assert_eq!(reply["results"][0]["status"], "applied", "{id}");
    }
    let (status, reply) = push_naming(&w, "d", json!({ "serverId": 7 })).await;
    assert_eq!((status, &reply["code"]), (400, &json!("badRequest")));
}
