//! What a push may contain: invalid operations, odd ids, limits.

use datum_server::rules::store::{Store, Transaction};
use serde_json::{Value, json};

use super::{World, op, statuses};

pub async fn an_invalid_operation_is_rejected_alone<S: Store>(mut w: World<S>) {
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

/// (PostgreSQL has no text with U+0000, and `jsonb` changes numbers, spaces and the order of fields)
pub async fn text_may_have_any_character_and_is_kept_as_it_was_sent<S: Store>(w: World<S>) {
    let data = r#"{"nul":"a\u0000b","z":1.50,"a":[ 1e2,-0 ],"\u0000":"\/é\u00e9𝄞"}"#;
    let ids = [
        "é",
        "e\u{301}",
        "𝄞",
        "\u{fffe}",
        "'; --",
        "$1",
        "%",
        "\\",
        "{a,\"b\"}",
        "NULL",
    ];
    for (i, id) in ids.iter().enumerate() {
        let id = json!(id);
        let body = format!(
            r#"{{"clientId":"d","operations":[{{"opId":"o{i}","entity":"task","id":{id},"kind":"create","baseVersion":null,"data":{data}}}]}}"#
        );
        let (_, reply) = w.call("ann", "POST", "push", &body).await;
        assert_eq!(reply["results"][0]["status"], "applied", "{id} {reply}");
    }
    let mut tx = w.service.store.read().await.unwrap();
    let own = datum_server::rules::store::Space::personal("ann");
    for id in ids {
        let stored = tx.data(&own, "task", id).await.unwrap();
        assert_eq!(stored.as_deref(), Some(data), "{id}");
    }
    drop(tx);
    let page = w.pull("ann", json!({ "epoch": "\u{0}" })).await;
    assert_eq!(super::ids(page["changes"].as_array().unwrap()), ids);
    let odd = json!([{ "opId": "n", "supersedes": ["\u{0}"], "entity": "task", "id": "n", "kind": "create", "baseVersion": null, "data": {} }]);
    assert_eq!(w.push("ann", odd).await[0]["status"], "applied");
}

pub async fn reserved_fields_are_not_stored<S: Store>(w: World<S>) {
    let body = r#"{"clientId":"d","operations":[{"opId":"1","entity":"task","id":"a","kind":"create","baseVersion":null,
        "data":{"id":"zzz","a":1,"userId":"ann","version":77,"a":2,"isDeleted":true,"b":{"id":1},"createdAt":"2026-01-01T00:00:00.000Z"}}]}"#;
    let (_, reply) = w.call("ann", "POST", "push", body).await;
    assert_eq!(
        reply["results"][0],
        json!({ "opId": "1", "status": "applied", "version": 1 })
    );
    let mut tx = w.service.store.read().await.unwrap();
    let stored = tx
        .data(
            &datum_server::rules::store::Space::personal("ann"),
            "task",
            "a",
        )
        .await
        .unwrap()
        .unwrap();
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

pub async fn an_entity_over_the_limit_is_rejected_even_after_a_patch<S: Store>(w: World<S>) {
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

pub async fn conflicts_that_do_not_fit_the_reply_are_answered_retry<S: Store>(mut w: World<S>) {
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

pub async fn ten_thousand_operations_are_accepted_and_one_more_is_not<S: Store>(w: World<S>) {
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

/// (refused by the letter of the types, although the protocol's text allows them)
pub async fn what_is_optional_may_be_null_and_whole_numbers_may_have_a_fraction_of_zero<
    S: Store,
>(
    w: World<S>,
) {
    let push = r#"{"clientId":"d","userId":null,"schema":null,"epoch":null,"operations":[
        {"opId":"1","entity":"task","id":"a","kind":"create","baseVersion":null,"supersedes":null,"after":null,"data":{}},
        {"opId":"2","entity":"task","id":"a","kind":"update","baseVersion":1.0,"data":{"n":1}},
        {"opId":"3","entity":"task","id":"a","kind":"update","baseVersion":0.2E1,"data":{"n":2}},
        {"opId":"4","entity":"task","id":"a","kind":"update","baseVersion":3.5,"data":{"n":3}},
        {"opId":"5","entity":"task","id":"a","kind":"delete","baseVersion":3.00,"data":null}]}"#;
    let (status, reply) = w.call("ann", "POST", "push", push).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(
        statuses(reply["results"].as_array().unwrap()),
        ["applied", "applied", "applied", "rejected", "applied"]
    );
    assert_eq!(reply["results"][3]["code"], "invalidOperation");
    for (body, expected) in [
        (
            r#"{"clientId":"d","userId":null,"schema":null,"cursor":null,"entities":null,"scope":null,"epoch":null,"limit":10,"waitMs":null}"#,
            200,
        ),
        (
            r#"{"clientId":"d","schema":0.0,"limit":1e1,"waitMs":0.0}"#,
            200,
        ),
        (r#"{"clientId":"d","schema":2.0,"limit":10.0}"#, 200),
        (r#"{"clientId":"d","limit":null}"#, 400),
        (r#"{"clientId":"d","limit":1.5}"#, 400),
        (r#"{"clientId":"d","limit":"1"}"#, 400),
        (r#"{"clientId":"d","limit":10,"schema":-1}"#, 400),
        (r#"{"clientId":"d","limit":10,"schema":4294967296}"#, 400),
        (r#"{"clientId":"d","limit":1e999999999999}"#, 400),
    ] {
        let (status, reply) = w.call("ann", "POST", "pull", body).await;
        assert_eq!(status, expected, "{body}: {reply}");
    }
}

fn push_of(op_id: &str, kind: &str, base: &str, data: &str) -> String {
    format!(
        r#"{{"clientId":"d","operations":[{{"opId":"{op_id}","entity":"task","id":"a","kind":"{kind}","baseVersion":{base},"data":{data}}}]}}"#
    )
}

/// (a lone surrogate that was on the server parked every merge of its row for ever)
pub async fn what_no_client_could_edit_is_refused<S: Store>(w: World<S>) {
    let deep = |levels: usize| {
        format!(
            r#"{{"f":{}{}}}"#,
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        )
    };
    let (deepest, too_deep, far_too_deep) = (deep(128), deep(129), deep(400_000));
    let good = [
        r#"{"f":"\ud83d\ude00","e":["\\ud800","\u0000\uffff"]}"#,
        r#"{"f":[1.7976931348623157e308,-1e308,9007199254740993,1e-999,0e999,"1e999","[[["]}"#,
        &deepest,
    ];
    let bad = [
        (r#"{"f":"\ud800"}"#, "f"),
        (r#"{"g":{"x":["a\udc00b"]}}"#, "g"),
        (r#"{"h":{"\ud800x":1}}"#, "h"),
        (r#"{"\udfff":1}"#, "name"),
        (r#"{"f":"\ude00\ud83d"}"#, "f"),
        (r#"{"f":1e309}"#, "f"),
        (r#"{"f":{"g":[-1e999]}}"#, "f"),
        (r#"{"a":1,"n":123e99999999999999999999}"#, "n"),
        (&too_deep, "f"),
        (&far_too_deep, "f"),
    ];
    w.create("ann", "task", "a").await;
    let mut base = 1;
    for (number, data) in good.into_iter().enumerate() {
        for kind in ["update", "patch"] {
            let push = push_of(&format!("{kind}{number}"), kind, &base.to_string(), data);
            let (status, reply) = w.call("ann", "POST", "push", &push).await;
            assert_eq!(
                (status, &reply["results"][0]["status"]),
                (200, &json!("applied")),
                "{data}"
            );
            base += 1;
        }
    }
    for (data, field) in bad {
        for (kind, base) in [
            ("create", "null".to_owned()),
            ("update", base.to_string()),
            ("patch", base.to_string()),
        ] {
            let (status, reply) = w
                .call("ann", "POST", "push", &push_of("bad", kind, &base, data))
                .await;
            let verdict = &reply["results"][0];
            assert_eq!(
                (status, &verdict["status"], &verdict["code"]),
                (200, &json!("rejected"), &json!("invalidData")),
                "{data}"
            );
            assert!(
                verdict["message"].as_str().unwrap().contains(field),
                "{verdict}"
            );
        }
    }
}

pub async fn equal_data_is_what_the_vectors_call_equal<S: Store>(w: World<S>) {
    let file: Value = serde_json::from_str(include_str!("../../vectors/values.json")).unwrap();
    let mut compared = 0;
    for (expected, list) in [("applied", "equal"), ("conflict", "different")] {
        for (number, pair) in file[list].as_array().unwrap().iter().enumerate() {
            let user = format!("{list}{number}");
            let data = |side: usize| format!(r#"{{"v":{}}}"#, pair[side].as_str().unwrap());
            let (_, first) = w
                .call(
                    &user,
                    "POST",
                    "push",
                    &push_of("1", "create", "null", &data(0)),
                )
                .await;
            if first["results"][0]["status"] == "rejected" {
                continue;
            }
            let (_, second) = w
                .call(
                    &user,
                    "POST",
                    "push",
                    &push_of("2", "create", "null", &data(1)),
                )
                .await;
            if second["results"][0]["status"] != "rejected" {
                assert_eq!(second["results"][0]["status"], expected, "{pair}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}
