//! Stories of pulling.

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

pub async fn a_later_pull_has_what_changed_and_the_tombstones<S: Store>(w: World<S>) {
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

pub async fn pages_are_cut_by_rows_and_say_what_remains<S: Store>(w: World<S>) {
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

pub async fn a_write_between_two_pages_is_counted_from_then_on<S: Store>(w: World<S>) {
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
        "1 again and the tombstone of 6, where a row was to come already: no fewer than there are"
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

pub async fn pages_are_cut_by_bytes_but_hold_at_least_one_row<S: Store>(mut w: World<S>) {
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

pub async fn a_row_deleted_while_a_snapshot_is_paged_is_told<S: Store>(w: World<S>) {
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

pub async fn an_idle_pull_repeats_its_cursor_and_says_that_it_ended<S: Store>(w: World<S>) {
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

pub async fn a_filter_by_entity_pages_without_loss<S: Store>(w: World<S>) {
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

pub async fn a_scope_selects_and_tells_what_left_it<S: Store>(w: World<S>) {
    let item = |i: u64, list: &str| {
        op(
            &format!("o{i}"),
            "task",
            &format!("{i}"),
            "create",
            None,
            json!({ "list": list, "n": i }),
        )
    };
    w.push(
        "ann",
        json!([
            item(1, "home"),
            item(2, "work"),
            item(3, "home"),
            item(4, "work")
        ]),
    )
    .await;
    let scope = json!({ "scope": { "where": { "list": "home" } }, "limit": 1 });
    let (changes, cursor) = w.pull_all("ann", scope.clone()).await;
    assert_eq!(ids(&changes), ["1", "3"]);
    w.push(
        "ann",
        json!([
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
        ]),
    )
    .await;
    let mut later = scope.clone();
    later["cursor"] = cursor;
    let (changes, _) = w.pull_all("ann", later).await;
    assert_eq!(
        changes[0],
        json!({ "entity": "task", "id": "1", "version": 5, "deleted": true, "reason": "scope" })
    );
    assert_eq!(ids(&changes), ["1", "2"]);
    let (by_number, _) = w
        .pull_all(
            "ann",
            json!({ "scope": { "where": { "n": 3.0, "missing": null } } }),
        )
        .await;
    assert_eq!(ids(&by_number), ["3"]);
    assert!(
        w.pull("ann", json!({ "scope": { "where": { "n": 3 } } }))
            .await["digests"]
            .is_null()
    );
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

pub async fn the_last_page_has_the_digests_of_what_was_pulled<S: Store>(w: World<S>) {
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

pub async fn a_cursor_is_bound_to_user_epoch_and_scope<S: Store>(w: World<S>) {
    for user in ["ann", "bob"] {
        w.create(user, "task", "a").await;
    }
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    let code = |(status, body): (u16, Value)| {
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |code: &str| (410, code.to_owned());
    assert_eq!(
        code(w.try_pull("bob", json!({ "cursor": cursor })).await),
        refused("cursorExpired")
    );
    assert_eq!(
        code(
            w.try_pull("ann", json!({ "cursor": cursor, "entities": ["task"] }))
                .await
        ),
        refused("scopeChanged")
    );
    assert_eq!(
        code(
            w.try_pull(
                "ann",
                json!({ "cursor": cursor, "scope": { "where": { "a": 1 } } })
            )
            .await
        ),
        refused("scopeChanged")
    );
    let text = cursor.as_str().unwrap();
    let forged = text.replacen(".1.0.0.0.", ".0.0.0.0.", 1);
    assert_ne!(forged, text);
    for bad in [
        "",
        "1",
        "garbage",
        "1.2.3",
        "1.0.0.0.0.0.0.0",
        "ÿ🦀",
        &forged,
        &format!("{text}0"),
        &text[1..],
    ] {
        assert_eq!(
            code(w.try_pull("ann", json!({ "cursor": bad })).await).0,
            410,
            "{bad}"
        );
    }
    w.service.set_epoch("another").await.unwrap();
    assert_eq!(
        code(w.try_pull("ann", json!({ "cursor": cursor })).await),
        refused("epochChanged")
    );
}

pub async fn a_cursor_older_than_the_tombstones_is_refused<S: Store>(mut w: World<S>) {
    let a = w.create("ann", "task", "a").await;
    let (_, old) = w.pull_all("ann", json!({})).await;
    w.push(
        "ann",
        json!([op("o", "task", "a", "delete", Some(a), Value::Null)]),
    )
    .await;
    let (_, newer) = w.pull_all("ann", json!({})).await;
    w.now += 90 * super::DAY;
    w.service.sweep(w.now).await.unwrap();
    w.pull("ann", json!({ "cursor": old })).await;
    w.now += 1;
    let swept = w.service.sweep(w.now).await.unwrap();
    assert_eq!(swept.tombstones, 1);
    let (status, refused) = w.try_pull("ann", json!({ "cursor": old })).await;
    assert_eq!((status, &refused["code"]), (410, &json!("cursorExpired")));
    w.pull("ann", json!({ "cursor": newer })).await;
    w.pull("ann", json!({})).await;
}

pub async fn a_snapshot_is_refused_if_tombstones_vanish_while_it_is_paged<S: Store>(w: World<S>) {
    for id in ["a", "b"] {
        w.create("ann", "task", id).await;
    }
    let first = w.pull("ann", json!({ "limit": 1 })).await;
    w.push(
        "ann",
        json!([op("o", "task", "a", "delete", Some(1), Value::Null)]),
    )
    .await;
    w.purge_tombstones().await;
    let (status, _) = w
        .try_pull("ann", json!({ "cursor": first["cursor"], "limit": 1 }))
        .await;
    assert_eq!(
        status, 410,
        "the client holds `a` and would never hear that it is gone"
    );
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
