//! Pulls of several spaces: the list, what starts, turns, counts, digests, and the cursor.

use std::collections::BTreeMap;

use datum_server::rules::store::{Space, Store, Transaction};
use datum_sync::model::digest::Digest;
use serde_json::{Value, json};

use super::World;
use super::shared::{A, B, C, create, listed, moving, row, told, write};

pub async fn a_new_space_comes_from_its_beginning_in_the_same_pull<S: Store>(w: World<S>) {
    w.does("bob", create(None, "own")).await;
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    w.space(A, &[]).await;
    for id in ["x", "y", "z"] {
        w.does("ann", create(Some(A), id)).await;
    }
    w.does("ann", write(Some(A), "x", "delete", Some(3), Value::Null))
        .await;
    w.invite(A, "bob", "reader").await;
    let first = w.pull("bob", json!({ "cursor": cursor, "limit": 2 })).await;
    assert_eq!(first["spaces"], listed(&[A], "reader"));
    assert_eq!(first["starts"], json!([{ "space": A, "at": 7 }]));
    assert_eq!(
        (&first["more"], &first["remaining"]),
        (&json!(true), &json!(3))
    );
    let second = w
        .pull("bob", json!({ "cursor": first["cursor"], "limit": 3 }))
        .await;
    assert_eq!((second.get("spaces"), second.get("starts")), (None, None));
    assert_eq!(
        (&second["more"], &second["remaining"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(
        told(&second["changes"]),
        [row(A, "y", 4), row(A, "z", 5)],
        "and no tombstone of before"
    );
    assert_eq!(second["digests"]["task"]["count"], 3);
    let idle = w.pull("bob", json!({ "cursor": second["cursor"] })).await;
    assert_eq!(
        (&idle["cursor"], &idle["changes"]),
        (&second["cursor"], &json!([]))
    );
    // A row that is deleted while its space starts comes as a tombstone.
    w.does("ann", write(Some(A), "y", "delete", Some(4), Value::Null))
        .await;
    let later = w.pull("bob", json!({ "cursor": first["cursor"] })).await;
    assert_eq!(told(&later["changes"]), [row(A, "z", 5), row(A, "y", -8)]);
}

pub async fn a_pull_from_null_has_the_list_and_all_starts_in_its_first_page<S: Store>(w: World<S>) {
    let page = w.pull("eve", json!({})).await;
    assert_eq!(
        (&page["spaces"], &page["starts"]),
        (&json!([]), &json!([{ "at": 0 }]))
    );
    w.does("bob", create(None, "own")).await;
    w.space(B, &[("bob", "writer")]).await;
    w.space(A, &[("bob", "writer")]).await;
    let page = w.pull("bob", json!({ "limit": 1 })).await;
    assert_eq!(
        page["spaces"],
        listed(&[B, A], "writer"),
        "in the order of joining"
    );
    assert_eq!(
        page["starts"],
        json!([{ "at": 1 }, { "space": B, "at": 3 }, { "space": A, "at": 3 }])
    );
    let next = w
        .pull("bob", json!({ "cursor": page["cursor"], "limit": 1 }))
        .await;
    assert_eq!((next.get("spaces"), next.get("starts")), (None, None));
    let asked = w
        .pull(
            "bob",
            json!({ "cursor": page["cursor"], "limit": 1, "spaces": true }),
        )
        .await;
    assert_eq!(
        (&asked["spaces"], asked.get("starts")),
        (&listed(&[B, A], "writer"), None)
    );
    let null = w
        .pull(
            "bob",
            json!({ "cursor": page["cursor"], "limit": 1, "spaces": null }),
        )
        .await;
    assert_eq!(null.get("spaces"), None);
}

pub async fn the_list_comes_with_whatever_page_follows_its_change<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    for id in ["x", "y", "z"] {
        w.does("bob", create(None, id)).await;
    }
    let first = w.pull("bob", json!({ "limit": 1 })).await;
    w.kick(A, "bob").await;
    let middle = w
        .pull("bob", json!({ "cursor": first["cursor"], "limit": 1 }))
        .await;
    assert_eq!(
        (&middle["spaces"], &middle["more"]),
        (&json!([]), &json!(true))
    );
    let last = w.pull("bob", json!({ "cursor": middle["cursor"] })).await;
    assert_eq!((last.get("spaces"), &last["more"]), (None, &json!(false)));
    assert_eq!(
        last["digests"].get("$space"),
        None,
        "digests are of the list that the page stands for"
    );
    // An older cursor hears of it too.
    let again = w.pull("bob", json!({ "cursor": first["cursor"] })).await;
    assert_eq!(again["spaces"], json!([]));
    assert_eq!(told(&again["changes"]).len(), 2);
}

pub async fn a_busy_space_holds_up_no_other<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    w.space(B, &[]).await;
    let (_, cursor) = w.pull_all("ann", json!({})).await;
    for n in 0..6 {
        w.does("ann", create(Some(A), &n.to_string())).await;
    }
    w.does("ann", create(Some(B), "waiting")).await;
    let (mut cursor, mut seen) = (cursor, Vec::new());
    for round in 0..20 {
        let page = w.pull("ann", json!({ "cursor": cursor, "limit": 2 })).await;
        cursor = page["cursor"].clone();
        seen.extend(told(&page["changes"]));
        // More is written into the busy space than a page has.
        for n in 0..3 {
            w.does("ann", create(Some(A), &format!("{round} {n}")))
                .await;
        }
        if seen.contains(&row(B, "waiting", 3)) {
            assert!(round <= 4, "{round}");
            break;
        }
    }
    assert!(seen.contains(&row(B, "waiting", 3)));
    let (rest, _) = w
        .pull_all("ann", json!({ "cursor": cursor, "limit": 2 }))
        .await;
    seen.extend(told(&json!(rest)));
    let in_order: Vec<i64> = seen
        .iter()
        .filter(|row| row.0 == A)
        .map(|row| row.2)
        .collect();
    assert!(in_order.is_sorted() && in_order.len() >= 9, "{in_order:?}");
    let rows: BTreeMap<_, _> = seen.iter().map(|row| ((&row.0, &row.1), row.2)).collect();
    assert_eq!(rows.len(), seen.len(), "nothing twice");
}

pub async fn remaining_is_right_over_several_spaces<S: Store>(w: World<S>) {
    for (space, rows) in [(A, 3), (B, 5)] {
        w.space(space, &[("bob", "writer")]).await;
        for n in 0..rows {
            w.does("ann", create(Some(space), &n.to_string())).await;
        }
    }
    for n in 0..4 {
        w.does("bob", create(None, &n.to_string())).await;
    }
    let mut left = 12 + 2 * 3;
    let (mut cursor, mut pages) = (Value::Null, 0);
    loop {
        let page = w.pull("bob", json!({ "cursor": cursor, "limit": 4 })).await;
        left -= page["changes"].as_array().unwrap().len();
        assert_eq!(page["remaining"], left, "page {pages}");
        cursor = page["cursor"].clone();
        pages += 1;
        if page["more"] == false {
            break;
        }
        if pages == 2 {
            w.does("ann", create(Some(B), "between")).await;
            left += 1;
        }
        if pages == 3 {
            // The list changes, by a space that was written more often than it has rows: counted
            // again.
            w.space(C, &[("bob", "reader")]).await;
            for base in [1, 4, 5] {
                let name = json!({ "name": base.to_string() });
                let op = super::shared::typed(Some(C), "$space", C, "patch", Some(base), name);
                w.does("ann", op).await;
            }
            left += 3;
        }
    }
    assert_eq!(left, 0);
    // A move into a quiet space says nothing of how busy the other one is.
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    w.does("bob", moving(None, "3", 4, Some(A))).await;
    let page = w.pull("bob", json!({ "cursor": cursor, "limit": 1 })).await;
    assert_eq!(page["remaining"], 1);
}

pub async fn digests_are_sums_and_a_row_in_another_space_differs<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.does("bob", create(None, "x")).await;
    w.does("bob", create(Some(A), "x")).await;
    let digest = async |user: &str| w.pull(user, json!({})).await["digests"]["task"].clone();
    let mut expected = Digest::default();
    expected.add_in(Some(A), "task", "x", 4);
    assert_eq!(
        digest("ann").await,
        serde_json::to_value(expected.wire()).unwrap()
    );
    expected.add("task", "x", 1);
    let both = digest("bob").await;
    assert_eq!(both, serde_json::to_value(expected.wire()).unwrap());
    assert_ne!(expected.hex(), {
        let mut wrong = Digest::default();
        wrong.add("task", "x", 1);
        wrong.add("task", "x", 4);
        wrong.hex()
    });
    let (_, reply) = w.call("bob", "GET", "metadata", "").await;
    assert_eq!(reply["digests"]["task"], both);
    let filtered = w.pull("bob", json!({ "entities": ["task", "note"] })).await;
    let digests = filtered["digests"].as_object().unwrap();
    assert_eq!(
        digests.keys().collect::<Vec<_>>(),
        ["$member", "$space", "note", "task"],
        "spaces and members come with any types"
    );
    assert_eq!(digests["task"], both);
    assert_eq!(digests["note"], json!(Digest::default().wire()));
    // Digests follow moves, deletions and the end of a space.
    w.does("bob", write(None, "x", "delete", Some(1), Value::Null))
        .await;
    w.does("bob", moving(Some(A), "x", 4, None)).await;
    let mut own = Digest::default();
    own.add("task", "x", 3);
    assert_eq!(
        digest("bob").await,
        serde_json::to_value(own.wire()).unwrap()
    );
    assert_eq!(digest("ann").await["count"], 0);
    w.end(A).await;
    assert_eq!(digest("ann").await, Value::Null);
}

pub async fn a_restored_server_tells_what_it_kept_of_each_space<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    for id in ["x", "y"] {
        w.does("bob", create(None, id)).await;
    }
    let epoch = w.pull("bob", json!({})).await["epoch"].clone();
    w.service.set_epoch("second").await.unwrap();
    w.space(B, &[("bob", "writer")]).await;
    w.does("bob", create(Some(A), "later")).await;
    let page = w.pull("bob", json!({ "epoch": epoch })).await;
    assert_eq!(page["kept"], 2, "as ever, of the user's own");
    assert_eq!(
        page["starts"],
        json!([{ "at": 2, "kept": 2 }, { "space": A, "at": 4, "kept": 3 }, { "space": B, "at": 3, "kept": 0 }])
    );
    let page = w.pull("bob", json!({ "epoch": "of another server" })).await;
    assert_eq!(page["starts"][1], json!({ "space": A, "at": 4 }));
}

pub async fn a_page_is_limited_over_all_spaces<S: Store>(mut w: World<S>) {
    w.space(A, &[]).await;
    w.space(B, &[]).await;
    w.service.config.max_page_bytes = 1_000;
    let long = json!({ "text": "x".repeat(600) });
    for space in [None, Some(A), Some(B)] {
        w.does("ann", write(space, "big", "create", None, long.clone()))
            .await;
    }
    w.does(
        "ann",
        write(
            Some(A),
            "huge",
            "create",
            None,
            json!({ "text": "x".repeat(2_000) }),
        ),
    )
    .await;
    let (mut cursor, mut seen) = (Value::Null, 0);
    loop {
        let page = w.pull("ann", json!({ "cursor": cursor })).await;
        let bytes = page["changes"].to_string().len();
        let rows = page["changes"].as_array().unwrap().len();
        assert!(rows == 1 || bytes < 1_200, "{bytes}");
        assert!(rows > 0);
        seen += rows;
        cursor = page["cursor"].clone();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(seen, 8);
}

pub async fn filters_and_scopes_are_over_all_spaces<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    for (space, n) in [(None, 1), (None, 2), (Some(A), 1), (Some(A), 2)] {
        w.does(
            "bob",
            write(space, &format!("t{n}"), "create", None, json!({ "n": n })),
        )
        .await;
    }
    let tasks = w
        .pull_all("bob", json!({ "entities": ["task"], "limit": 1 }))
        .await
        .0;
    assert_eq!(tasks.len(), 7, "spaces and members come with any types");
    let members = w
        .pull_all("bob", json!({ "entities": ["$member"] }))
        .await
        .0;
    assert_eq!(members.len(), 3);
    let scope = json!({ "where": { "n": 1 } });
    let (found, cursor) = w
        .pull_all("bob", json!({ "scope": scope, "limit": 1 }))
        .await;
    assert_eq!(told(&json!(found)), [row("", "t1", 1), row(A, "t1", 4)]);
    assert_eq!(found.len(), 5, "spaces and members are in every scope");
    w.does(
        "ann",
        write(Some(A), "t1", "patch", Some(4), json!({ "n": 3 })),
    )
    .await;
    let page = w
        .pull("bob", json!({ "cursor": cursor, "scope": scope }))
        .await;
    assert_eq!(
        page["changes"],
        json!([{ "entity": "task", "id": "t1", "version": 6, "space": A, "deleted": true, "reason": "scope" }])
    );
}

pub async fn the_stores_agree_on_numbers_and_the_order_of_joining<S: Store>(w: World<S>) {
    for space in [A, B, C] {
        w.space(space, &[("bob", "reader")]).await;
    }
    w.kick(A, "bob").await;
    w.invite(A, "bob", "writer").await;
    w.set_role(C, "bob", "owner").await;
    let mut tx = w.service.store.read().await.unwrap();
    let reader = tx.reader("bob").await.unwrap();
    let spaces: Vec<_> = reader
        .spaces
        .iter()
        .map(|joined| (&*joined.id, joined.number, joined.role.name()))
        .collect();
    assert_eq!(
        spaces,
        [(B, 2, "reader"), (C, 3, "owner"), (A, 1, "writer")]
    );
    assert_eq!(reader.revision, 6);
    assert_eq!(tx.members(A).await.unwrap(), ["ann", "bob"]);
    assert_eq!(
        (tx.owners(A).await.unwrap(), tx.owners(C).await.unwrap()),
        (1, 2)
    );
    assert_eq!(
        (
            tx.spaces_of("bob").await.unwrap(),
            tx.spaces_of("nobody").await.unwrap()
        ),
        (3, 0)
    );
    let state = tx.shared("bob", A).await.unwrap();
    assert_eq!((state.used, state.members, state.head.seq), (true, 2, 5));
    assert_eq!(
        tx.shared("bob", "unknown").await.unwrap(),
        Default::default()
    );
    assert_eq!(
        tx.head(&Space::shared("bob")).await.unwrap(),
        Default::default()
    );
}
