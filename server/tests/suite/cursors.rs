//! Cursors that are refused.

use datum_server::rules::store::Store;
use serde_json::{Value, json};

use super::{DAY, World, op};

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
    // The place of the user's own space is the last byte.
    let forged = text.replacen("Ag.", "Aw.", 1);
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
    w.now += 90 * DAY;
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

pub async fn a_snapshot_is_refused_if_tombstones_are_removed_meanwhile<S: Store>(w: World<S>) {
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
        "the client has `a` and would never learn of its deletion"
    );
}
