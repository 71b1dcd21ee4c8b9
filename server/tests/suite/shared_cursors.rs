//! The cursor of several spaces: where it goes on, what starts anew, and how long it is.

use datum_server::rules::cursor::{Binding, Place, Position};
use datum_server::rules::store::Store;
use serde_json::{Value, json};

use super::shared::{A, B, create, listed, member, new_space, row, told, write};
use super::{DAY, World};

pub async fn who_left_and_came_back_unheard_goes_on_from_there<S: Store>(w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.does("bob", create(Some(A), "x")).await;
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    w.kick(A, "bob").await;
    w.does("ann", write(Some(A), "x", "delete", Some(4), Value::Null))
        .await;
    w.does("ann", create(Some(A), "y")).await;
    let heard = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!(
        (&heard["spaces"], told(&heard["changes"])),
        (&json!([]), vec![])
    );
    w.invite(A, "bob", "reader").await;
    let unheard = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!(
        (&unheard["spaces"], unheard.get("starts")),
        (&listed(&[A], "reader"), None)
    );
    assert_eq!(told(&unheard["changes"]), [row(A, "x", -6), row(A, "y", 7)]);
    let anew = w.pull("bob", json!({ "cursor": heard["cursor"] })).await;
    assert_eq!(anew["starts"], json!([{ "space": A, "at": 8 }]));
    assert_eq!(told(&anew["changes"]), [row(A, "y", 7)]);
}

pub async fn a_space_whose_tombstones_are_forgotten_starts_alone<S: Store>(mut w: World<S>) {
    w.space(A, &[("bob", "writer")]).await;
    w.space(B, &[("bob", "writer")]).await;
    for space in [None, Some(A), Some(B)] {
        w.does("bob", create(space, "x")).await;
    }
    let (_, cursor) = w.pull_all("bob", json!({})).await;
    w.does("bob", write(Some(A), "x", "delete", Some(4), Value::Null))
        .await;
    w.now += 91 * DAY;
    w.service.sweep(w.now).await.unwrap();
    let page = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!(
        (page.get("spaces"), &page["starts"]),
        (None, &json!([{ "space": A, "at": 5 }]))
    );
    assert_eq!(told(&page["changes"]), []);
    assert_eq!(
        page["changes"].as_array().unwrap().len(),
        3,
        "what A has, and nothing else"
    );
    // The user's own space likewise, but where there is no other: that is a pull from null.
    w.does("bob", write(None, "x", "delete", Some(1), Value::Null))
        .await;
    w.purge_tombstones().await;
    let page = w.pull("bob", json!({ "cursor": page["cursor"] })).await;
    assert_eq!(page["starts"], json!([{ "at": 2 }]));
    w.does("eve", create(None, "x")).await;
    let (_, cursor) = w.pull_all("eve", json!({})).await;
    w.does("eve", write(None, "x", "delete", Some(1), Value::Null))
        .await;
    w.purge_tombstones().await;
    assert_eq!(
        w.try_pull("eve", json!({ "cursor": cursor })).await.1["code"],
        "cursorExpired"
    );
}

pub async fn a_cursor_from_before_there_were_spaces_goes_on<S: Store>(w: World<S>) {
    w.does("ann", create(None, "x")).await;
    w.does("ann", create(None, "y")).await;
    let text = format!(
        "1.{:x}.0.1.0.0.0",
        datum_sync::model::digest::row_hash("epoch", "e1", 0)
    );
    let sum = datum_sync::model::digest::row_hash(
        "ann",
        &text,
        datum_sync::model::digest::row_hash("epoch", "e1", 0),
    );
    let old = format!("{text}.{sum:x}");
    let page = w.pull("ann", json!({ "cursor": old })).await;
    assert_eq!(told(&page["changes"]), [row("", "y", 2)]);
    assert_eq!((page.get("spaces"), page.get("starts")), (None, None));
    w.space(A, &[]).await;
    let page = w.pull("ann", json!({ "cursor": old })).await;
    assert_eq!(
        (&page["spaces"], &page["starts"]),
        (&listed(&[A], "owner"), &json!([{ "space": A, "at": 2 }]))
    );
    assert_eq!(
        w.try_pull("bob", json!({ "cursor": old })).await.1["code"],
        "cursorExpired"
    );
    assert_eq!(
        w.try_pull("ann", json!({ "cursor": old.replace(".1.0", ".2.0") }))
            .await
            .0,
        410
    );
}

pub async fn a_forged_cursor_leads_nowhere_else<S: Store>(w: World<S>) {
    w.space(A, &[]).await;
    w.does("ann", create(Some(A), "secret")).await;
    w.space(B, &[("bob", "reader")]).await;
    let forge = |user: &str, places: &[(u64, u64, u64)], revision| {
        let binding = Binding {
            epoch: "e1",
            user,
            scope: 0,
        };
        let place = |(number, after, live_until): &(u64, u64, u64)| {
            (
                *number,
                Place {
                    after: *after,
                    live_until: *live_until,
                },
            )
        };
        binding.issue(&Position {
            revision,
            places: places.iter().map(place).collect(),
            ..Position::default()
        })
    };
    // The number of a space that is not bob's, and one that no space has.
    let cursor = forge(
        "bob",
        &[(0, 0, 0), (1, 0, 0), (2, 0, 0), (7, 1, 0), (1 << 40, 1, 0)],
        1,
    );
    let page = w.pull("bob", json!({ "cursor": cursor })).await;
    assert_eq!((told(&page["changes"]), page.get("starts")), (vec![], None));
    assert_eq!(page["changes"].as_array().unwrap().len(), 3, "of B");
    // None of what the server knows of: all start.
    let page = w
        .pull("bob", json!({ "cursor": forge("bob", &[(7, 1, 0)], 1) }))
        .await;
    assert_eq!(
        page["starts"],
        json!([{ "at": 0 }, { "space": B, "at": 3 }])
    );
    // Ahead of a history, and of another user.
    for places in [
        [(0, 1, 0), (1, 3, 0)],
        [(0, 0, 0), (1, 4, 0)],
        [(0, 0, 0), (1, 0, 9)],
        [(0, 0, 0), (1, u64::MAX >> 1, 0)],
    ] {
        let refused = w
            .try_pull("bob", json!({ "cursor": forge("bob", &places, 1) }))
            .await;
        assert_eq!(
            (refused.0, &refused.1["code"]),
            (410, &json!("epochChanged")),
            "{places:?}"
        );
    }
    let refused = w
        .try_pull("bob", json!({ "cursor": forge("ann", &[(0, 0, 0)], 1) }))
        .await;
    assert_eq!(refused.1["code"], "cursorExpired");
    let good = forge("bob", &[(0, 0, 0), (1, 2, 0)], 1);
    for at in 0..good.len() {
        for other in ["A", "z", "_", "=", ".", ""] {
            let bad = format!("{}{other}{}", &good[..at], &good[at + 1..]);
            if bad != good {
                assert_eq!(
                    w.try_pull("bob", json!({ "cursor": bad })).await.0,
                    410,
                    "{bad}"
                );
            }
        }
    }
}

/// (ids of a thousand spaces in a cursor were 47 KB, in every request, reply and log commit)
pub async fn a_user_may_be_in_a_thousand_spaces<S: Store>(w: World<S>) {
    let id = |n: u64| format!("aaaaaaaa-0000-4000-8000-{n:012x}");
    for start in (0..1_000).step_by(250) {
        let ops: Vec<Value> = (start..start + 250)
            .flat_map(|n| [new_space(&id(n)), create(Some(&id(n)), "x")])
            .collect();
        let verdicts = w.push("ann", json!(ops)).await;
        assert!(
            verdicts
                .iter()
                .all(|verdict| verdict["status"] == "applied")
        );
    }
    let first = w.pull("ann", json!({ "limit": 10 })).await;
    assert_eq!(
        (
            first["spaces"].as_array().unwrap().len(),
            &first["remaining"]
        ),
        (1_000, &json!(2_990))
    );
    let (changes, cursor) = w.pull_all("ann", json!({ "limit": 1_000 })).await;
    assert_eq!(changes.len(), 3_000);
    let idle = w.pull("ann", json!({ "cursor": cursor })).await;
    assert_eq!(
        (
            &idle["cursor"],
            idle.get("spaces"),
            &idle["digests"]["task"]["count"]
        ),
        (&cursor, None, &json!(1_000))
    );
    w.does("ann", create(Some(&id(700)), "y")).await;
    let page = w.pull("ann", json!({ "cursor": cursor })).await;
    assert_eq!(told(&page["changes"]), [row(&id(700), "y", 4)]);
    w.does("ann", member(&id(3), "bob", "create", None, "reader"))
        .await;
    assert_eq!(w.list("bob").await, listed(&[&id(3)], "reader"));
    // However far the spaces are, done or at their beginning.
    let binding = Binding {
        epoch: "e1",
        user: "ann",
        scope: 0,
    };
    for (after, live_until, most) in [
        (10_000, 0, 4_100),
        (100_000_000, 0, 6_000),
        (0, 100_000_000, 7_000),
    ] {
        let places = (0..=1_000).map(|number| (number, Place { after, live_until }));
        let position = Position {
            revision: 5_000,
            places: places.collect(),
            left: 100_000,
            counted_at: 1 << 40,
            turn: 500,
            until: after,
        };
        let text = binding.issue(&position);
        assert!(
            text.len() <= most,
            "{after} {live_until}: {} bytes",
            text.len()
        );
        assert_eq!(binding.accept(&text).unwrap(), position);
    }
}
