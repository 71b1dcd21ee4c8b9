//! Partial pulls: a scope has its own cursor and removes no row of the main pull.

use std::collections::BTreeSet;

use crate::support::world::{Fault, World};

#[test]
fn a_partial_pull_takes_nothing_away_and_has_a_cursor_of_its_own() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"title":"milk","shop":"corner"}"#);
    a.create(r#"{"title":"nails","shop":"hardware"}"#);
    a.sync();
    let scope = r#"{"direction":"pullOnly","scope":{"query":{"where":{"shop":"corner"}}}}"#;

    assert_eq!(b.sync_with(scope).unwrap().pulled_count, 1);
    assert_eq!(b.titles(), ["milk"]);
    assert!(b.sync().is_success);
    assert_eq!(
        b.titles(),
        ["milk", "nails"],
        "the main cursor had not moved"
    );
    b.sync_with(&scope.replace(r#""scope""#, r#""forceFullSync":true,"scope""#))
        .unwrap();

    assert_eq!(
        b.titles(),
        ["milk", "nails"],
        "what the scope does not bring is not gone"
    );
}

#[test]
fn a_row_that_leaves_a_scope_is_not_deleted() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let corner = r#"{"direction":"pullOnly","scope":{"query":{"where":{"shop":"corner"}}}}"#;
    a.create(r#"{"id":"t","title":"milk","shop":"corner"}"#);
    a.sync();
    b.sync_with(corner).unwrap();
    b.sync();
    a.patch("t", r#"{"shop":"mall"}"#);
    a.sync();
    b.sync();

    b.sync_with(corner).unwrap();

    assert_eq!(b.read("t").unwrap()["shop"], "mall");
    laptop.requests();
    assert_eq!(b.sync().pulled_count, 0, "nothing has to come again");
    let requests = laptop.requests();
    let pulls = requests.iter().filter(|path| path.ends_with("/pull"));
    assert_eq!(pulls.count(), 1, "the main cursor still holds");
}

#[test]
fn a_row_that_leaves_a_scope_is_not_deleted_for_its_pending_edit_either() {
    let corner = r#"{"scope":{"query":{"where":{"shop":"corner"}}}}"#;
    for direction in ["pushThenPull", "pullThenPush", "pullOnly"] {
        let world = World::new();
        let (phone, laptop) = (world.device("phone"), world.device("laptop"));
        let (a, b) = (phone.open(), laptop.open());
        a.create(r#"{"id":"t","title":"milk","shop":"corner"}"#);
        a.sync();
        // It has no main pull.
        b.sync_with(corner).unwrap();
        a.patch("t", r#"{"shop":"mall"}"#);
        a.sync();
        b.patch("t", r#"{"title":"oat milk"}"#);

        let with = format!(r#"{{"direction":"{direction}",{}"#, &corner[1..]);
        b.sync_with(&with).unwrap();
        b.sync_with(corner).unwrap();

        let row = world.server.rows("ann").remove(0);
        let data: serde_json::Value = serde_json::from_str(&row.data.unwrap()).unwrap();
        assert_eq!(
            (&data["title"], &data["shop"], b.pending()),
            (&"oat milk".into(), &"mall".into(), 0),
            "{direction}"
        );
        let told = b.explained("t");
        assert!(
            told.iter().all(|one| one["kind"] != "deletedRemotely"),
            "{direction}: {told:?}"
        );
    }
}

#[test]
fn a_create_outside_of_its_scope_is_not_made_again_when_its_reply_is_lost() {
    let world = World::new();
    let laptop = world.device("laptop");
    let b = laptop.open();
    let corner = r#"{"scope":{"query":{"where":{"shop":"corner"}}}}"#;
    b.sync_with(corner).unwrap();
    b.create(r#"{"id":"t","shop":"mall"}"#);
    laptop.fault("/push", Fault::ReplyLost);
    laptop.fault("/push", Fault::Status(500, None));
    laptop.fault("/push", Fault::Status(500, None));
    laptop.fault("/push", Fault::Status(500, None));
    b.sync_with(&format!(r#"{{"direction":"pushThenPull",{}"#, &corner[1..]))
        .ok();

    b.sync_with(corner).unwrap();

    let mut sent = BTreeSet::new();
    for push in laptop.remote.seen.take() {
        if push.path.ends_with("/push") {
            let push: serde_json::Value = serde_json::from_slice(&push.body).unwrap();
            sent.insert(push["operations"][0]["opId"].to_string());
        }
    }
    assert_eq!((sent.len(), b.pending()), (1, 0), "{sent:?}");
}
