//! Pulls: snapshots, changes, paging, isolation.

use datum_server::rules::store::Store;
use datum_sync::model::digest::Digest;
use serde_json::{Value, json};

use super::{World, ids, op, version};

pub async fn a_snapshot_has_every_live_row_and_no_tombstone<S: Store>(w: World<S>) {
    w.create("ann", "task", "a").await;
    let b = w.create("ann", "task", "b").await;
    w.push(
        "ann",
        json!([op("o", "task", "b", "delete", Some(b), Value::Null)]),
    )
    .await;
    let (changes, _) = w.pull_all("ann", json!({})).await;
    assert_eq!(
        changes,
        [json!({ "entity": "task", "id": "a", "version": 1, "data": { "title": "a" } })]
    );
}

pub async fn a_later_pull_has_changes_and_tombstones<S: Store>(w: World<S>) {
    let a = w.create("ann", "task", "a").await;
    let b = w.create("ann", "task", "b").await;
    w.create("ann", "task", "c").await;
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    w.push(
        "ann",
        json!([
            op("o1", "task", "b", "delete", Some(b), Value::Null),
            op("o2", "task", "a", "update", Some(a), json!({ "n": 1 }))
        ]),
    )
    .await;
    let (changes, _) = w.pull_all("ann", json!({ "cursor": cursor })).await;
    assert_eq!(
        changes,
        [
            json!({ "entity": "task", "id": "b", "version": 4, "deleted": true }),
            json!({ "entity": "task", "id": "a", "version": 5, "data": { "n": 1 } })
        ]
    );
}

pub async fn pages_are_limited_by_rows_and_count_the_rest<S: Store>(w: World<S>) {
    for i in 0..7 {
        w.create("ann", "task", &format!("{i}")).await;
    }
    let mut request = json!({ "limit": 3 });
    for expected in [("012", true, 4), ("345", true, 1), ("6", false, 0)] {
        let page = w.pull("ann", request.clone()).await;
        let changes = page["changes"].as_array().unwrap();
        assert_eq!(
            (
                ids(changes).join("").as_str(),
                page["more"].as_bool().unwrap(),
                page["remaining"].as_u64().unwrap()
            ),
            expected
        );
        assert_eq!(
            page["digests"].is_null(),
            expected.1,
            "digests come with the last page"
        );
        request["cursor"] = page["cursor"].clone();
    }
}

pub async fn a_write_between_two_pages_counts_as_remaining<S: Store>(w: World<S>) {
    for i in 0..7 {
        w.create("ann", "task", &format!("{i}")).await;
    }
    let first = w.pull("ann", json!({ "limit": 3 })).await;
    let edit = op("late", "task", "1", "update", Some(2), json!({}));
    w.push(
        "ann",
        json!([
            edit,
            op("gone", "task", "6", "delete", Some(7), Value::Null)
        ]),
    )
    .await;
    w.push(
        "bob",
        json!([op("else", "task", "6", "create", None, json!({}))]),
    )
    .await;
    let page = w
        .pull("ann", json!({ "cursor": first["cursor"], "limit": 3 }))
        .await;
    assert_eq!(ids(page["changes"].as_array().unwrap()), ["3", "4", "5"]);
    assert_eq!(
        page["remaining"], 3,
        "the new version of 1 and the tombstone of 6, which replaces a counted row: an upper bound"
    );
    let page = w
        .pull("ann", json!({ "cursor": page["cursor"], "limit": 3 }))
        .await;
    assert_eq!(
        (
            ids(page["changes"].as_array().unwrap()).join(""),
            &page["remaining"]
        ),
        ("16".to_owned(), &json!(0))
    );
}

pub async fn pages_are_limited_by_bytes_but_have_at_least_one_row<S: Store>(mut w: World<S>) {
    w.service.config.max_page_bytes = 2_000;
    for i in 0..4 {
        let data = json!({ "text": "x".repeat(if i == 2 { 5_000 } else { 800 }) });
        w.push(
            "ann",
            json!([op(
                &format!("o{i}"),
                "task",
                &format!("{i}"),
                "create",
                None,
                data
            )]),
        )
        .await;
    }
    let mut request = json!({});
    let mut pages = Vec::new();
    loop {
        let page = w.pull("ann", request.clone()).await;
        pages.push(ids(page["changes"].as_array().unwrap()).join(""));
        request["cursor"] = page["cursor"].clone();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(pages, ["01", "2", "3"]);
}

pub async fn a_row_that_changes_while_paging_is_delivered_again<S: Store>(w: World<S>) {
    for id in ["a", "b", "c"] {
        w.create("ann", "task", id).await;
    }
    let first = w.pull("ann", json!({ "limit": 2 })).await;
    w.push(
        "ann",
        json!([op("o", "task", "a", "update", Some(1), json!({ "n": 2 }))]),
    )
    .await;
    let (rest, _) = w
        .pull_all("ann", json!({ "cursor": first["cursor"], "limit": 2 }))
        .await;
    assert_eq!(ids(&rest), ["c", "a"]);
    assert_eq!(rest[1]["data"], json!({ "n": 2 }));
}

pub async fn a_row_deleted_during_a_snapshot_arrives_as_a_tombstone<S: Store>(w: World<S>) {
    for id in ["a", "b", "c"] {
        w.create("ann", "task", id).await;
    }
    let first = w.pull("ann", json!({ "limit": 2 })).await;
    w.push(
        "ann",
        json!([op("o", "task", "a", "delete", Some(1), Value::Null)]),
    )
    .await;
    let (rest, _) = w
        .pull_all("ann", json!({ "cursor": first["cursor"], "limit": 1 }))
        .await;
    assert_eq!(ids(&rest), ["c", "a"]);
    assert_eq!(rest[1]["deleted"], true);
}

pub async fn an_idle_pull_repeats_its_cursor_and_ends<S: Store>(w: World<S>) {
    for id in ["a", "b", "c"] {
        w.create("ann", "task", id).await;
    }
    let (_, cursor) = w.pull_all("ann", json!({ "limit": 1 })).await;
    let page = w.pull("ann", json!({ "cursor": cursor })).await;
    assert_eq!(
        (
            &page["changes"],
            &page["more"],
            &page["remaining"],
            &page["cursor"]
        ),
        (&json!([]), &json!(false), &json!(0), &cursor)
    );
    let empty = w.pull("nobody", json!({})).await;
    assert_eq!(
        (&empty["changes"], &empty["more"], &empty["digests"]),
        (&json!([]), &json!(false), &json!({}))
    );
}

pub async fn the_last_page_has_digests_of_the_pulled_types<S: Store>(w: World<S>) {
    for (entity, id) in [("task", "a"), ("task", "b"), ("note", "a")] {
        w.create("ann", entity, id).await;
    }
    let page = w.pull("ann", json!({})).await;
    let mut task = Digest::default();
    for change in page["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["entity"] == "task")
    {
        task.add("task", change["id"].as_str().unwrap(), version(change));
    }
    assert_eq!(
        page["digests"]["task"],
        serde_json::to_value(task.wire()).unwrap()
    );
    let page = w.pull("ann", json!({ "entities": ["note", "new"] })).await;
    assert_eq!(
        page["digests"]["new"],
        json!({ "count": 0, "hash": "0000000000000000" })
    );
    assert_eq!(page["digests"]["note"]["count"], 1);
    assert!(page["digests"]["task"].is_null());
}

pub async fn a_pull_that_breaks_the_protocol_is_refused_with_a_code<S: Store>(mut w: World<S>) {
    w.service.config.min_schema = 1;
    w.service.config.entities = Some(vec!["task".into()]);
    let cases = [
        (json!({ "limit": 0 }), 400, "badRequest"),
        (json!({ "limit": 10_001 }), 400, "badRequest"),
        (json!({ "limit": -1 }), 400, "badRequest"),
        (json!({ "cursor": 7 }), 400, "badRequest"),
        (json!({ "clientId": "" }), 400, "badRequest"),
        (json!({ "clientId": "a\nb" }), 400, "badRequest"),
        (json!({ "entities": [] }), 400, "badRequest"),
        (json!({ "entities": [""] }), 400, "badRequest"),
        (json!({ "entities": ["note"] }), 400, "unknownEntity"),
        (json!({ "scope": "home" }), 400, "unsupportedScope"),
        (
            json!({ "scope": { "query": "x" } }),
            400,
            "unsupportedScope",
        ),
        (json!({ "scope": { "where": {} } }), 400, "unsupportedScope"),
        (
            json!({ "scope": { "where": { "a": [1] } } }),
            400,
            "unsupportedScope",
        ),
        (json!({ "schema": 0 }), 426, "clientOutdated"),
    ];
    for (request, status, code) in cases {
        let (got, body) = w.try_pull("ann", request.clone()).await;
        assert_eq!(
            (got, body["code"].as_str().unwrap()),
            (status, code),
            "{request}: {body}"
        );
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    for text in ["", "[]", "{", "nonsense", "\u{feff}{}"] {
        assert_eq!(w.call("ann", "POST", "pull", text).await.0, 400, "{text}");
    }
    for (method, path, status) in [
        ("GET", "pull", 405),
        ("POST", "metadata", 405),
        ("POST", "nothing", 404),
    ] {
        assert_eq!(w.call("ann", method, path, "{}").await.0, status);
    }
}

pub async fn users_never_see_each_other<S: Store>(w: World<S>) {
    w.create("ann", "task", "same").await;
    assert_eq!(
        w.create("bob", "task", "same").await,
        1,
        "counters are per user"
    );
    w.push(
        "bob",
        json!([op("o", "task", "same", "delete", Some(1), Value::Null)]),
    )
    .await;
    let (anns, _) = w.pull_all("ann", json!({})).await;
    assert_eq!(ids(&anns), ["same"]);
    assert_eq!(
        w.pull("bob", json!({})).await["digests"]["task"]["count"],
        0
    );
    assert_eq!(w.call("", "POST", "pull", "{}").await.0, 401);
}
