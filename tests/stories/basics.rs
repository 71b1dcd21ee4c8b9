//! One user with two devices: what one writes the other sees, and what it costs.

use crate::support::world::{Fault, ONE_TRY, World, id_of};
use datum_sync::model::error::Code;

#[test]
fn what_one_device_creates_another_sees() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());

    let task = a.create(r#"{"title":"milk","tags":["a"]}"#);
    let pushed = a.sync();
    let pulled = b
        .sync_with(r#"{"direction":"pullThenPush","forceFullSync":true}"#)
        .unwrap();

    assert!(
        pushed.is_success && pulled.is_success,
        "{pushed:?} {pulled:?}"
    );
    assert_eq!((pushed.pushed_count, pulled.pulled_count), (1, 1));
    let seen = b.read(task["id"].as_str().unwrap()).unwrap();
    assert_eq!(seen["title"], "milk");
    assert_eq!(seen["createdAt"], task["createdAt"]);
    assert_eq!(seen["userId"], "ann");
    assert_eq!(
        seen["version"],
        a.read(task["id"].as_str().unwrap()).unwrap()["version"]
    );
    assert_eq!(a.pending(), 0);
}

#[test]
fn an_idle_cycle_is_one_request_and_one_transaction() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    a.sync();
    phone.requests();
    let before = phone.counts();

    let result = a.sync();

    assert!(result.is_success && result.remote_fetched);
    assert_eq!(phone.requests(), ["POST /pull"]);
    let after = phone.counts();
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.reads - before.reads
        ),
        (1, 0)
    );
}

#[test]
fn a_cycle_pushes_what_another_tab_has_written_without_a_word() {
    let world = World::new();
    let phone = world.device("phone");
    let (one, two) = (phone.open(), phone.open());
    one.sync();
    phone.requests();
    two.create(r#"{"title":"milk"}"#);
    assert_eq!(one.pending(), 0, "it has not heard of it");

    let result = one.sync();

    // The tab knew of nothing to do; the log says otherwise when the cycle commits its end.
    assert_eq!(
        (
            result.is_success,
            result.pushed_count,
            result.pending_operations
        ),
        (true, 1, 0)
    );
    assert_eq!((one.pending(), world.server.rows("ann").len()), (0, 1));
    assert_eq!(
        phone
            .requests()
            .iter()
            .filter(|request| *request == "POST /push")
            .count(),
        1
    );
}

#[test]
fn a_create_is_one_transaction_with_one_record() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.counts();

    a.create(r#"{"title":"milk"}"#);

    let after = phone.counts();
    assert_eq!(
        (
            after.transactions - before.transactions,
            after.records - before.records
        ),
        (1, 1)
    );
}

#[test]
fn a_lost_reply_does_not_apply_the_write_twice() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#);
    let a = phone.open();
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    phone.fault("/push", Fault::ReplyLost);

    let only = a.sync_with(r#"{"direction":"pushOnly"}"#);
    assert_eq!(only.unwrap_err().code(), Code::Network);
    assert_eq!(a.pending(), 1, "the write still waits");
    let result = a.sync();

    assert!(result.is_success, "{result:?}");
    assert_eq!(result.conflicts_detected, 0);
    assert_eq!(a.pending(), 0);
    assert_eq!(world.server.rows("ann").len(), 1);
    assert_eq!(a.read(&id).unwrap()["title"], "milk");
}

/// The repeated write no longer fits the row, so only its id tells the server that it is decided.
#[test]
fn a_write_that_is_sent_again_over_a_newer_row_changes_nothing() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(ONE_TRY),
        world.device("laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    a.patch(&id, r#"{"title":"oat milk"}"#);
    phone.fault("/push", Fault::ReplyLost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();
    b.sync();
    b.patch(&id, r#"{"title":"soy milk"}"#);
    b.sync();

    let again = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

    assert_eq!((again.pushed_count, again.conflicts_detected), (1, 0));
    a.sync();
    b.sync();
    assert_eq!(a.read(&id).unwrap()["title"], "soy milk");
    assert_eq!(b.read(&id).unwrap()["title"], "soy milk");
}

#[test]
fn an_edit_after_a_lost_reply_meets_no_conflict_with_itself() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#);
    let a = phone.open();
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    phone.fault("/push", Fault::ReplyLost);
    a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap_err();

    a.patch(&id, r#"{"title":"oat milk"}"#);
    let reopened = phone.open();
    let result = reopened.sync();

    assert!(result.is_success, "{result:?}");
    assert_eq!(result.conflicts_detected, 0);
    assert_eq!(reopened.read(&id).unwrap()["title"], "oat milk");
    assert_eq!(reopened.pending(), 0);
}

#[test]
fn edits_of_different_fields_are_merged_and_reach_both_devices() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"milk","done":false}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    b.sync();

    a.patch(&id, r#"{"title":"oat milk"}"#);
    b.patch(&id, r#"{"done":true}"#);
    a.sync();
    let merged = b.sync();
    a.sync();

    assert_eq!(
        (merged.conflicts_detected, merged.conflicts_resolved),
        (1, 1)
    );
    assert_eq!(
        merged.pending_operations, 0,
        "the winner is pushed in the same cycle"
    );
    for tab in [&a, &b] {
        let task = tab.read(&id).unwrap();
        assert_eq!(
            (task["title"].as_str(), task["done"].as_bool()),
            (Some("oat milk"), Some(true))
        );
    }
    assert_eq!(a.read(&id), b.read(&id));
}

#[test]
fn an_edit_survives_a_delete_made_elsewhere() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    b.sync();

    a.delete(&id);
    b.patch(&id, r#"{"title":"oat milk"}"#);
    a.sync();
    b.sync();
    a.sync();

    assert_eq!(a.read(&id).unwrap()["title"], "oat milk");
    assert_eq!(a.read(&id), b.read(&id));
}

#[test]
fn includes_no_deletes_until_a_cycle_that_does() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let other = a.create(r#"{"title":"tea"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.sync();
    b.sync();
    a.delete(&id);
    a.sync();
    b.delete(&other);

    let without = b.sync_with(r#"{"includeDeletes":false}"#).unwrap();
    assert_eq!(without.pending_operations, 1, "the delete made here waits");
    assert_eq!(
        b.titles(),
        ["milk"],
        "the delete made there is not shown yet"
    );
    b.sync();

    assert_eq!(b.titles(), Vec::<String>::new());
    assert_eq!(b.pending(), 0);
    a.sync();
    assert_eq!(a.titles(), Vec::<String>::new());
}

#[test]
fn everything_is_there_again_after_a_reload_and_after_a_checkpoint() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = a.create(r#"{"title":"milk"}"#)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    a.create(r#"{"title":"tea"}"#);
    a.sync();
    a.patch(&id, r#"{"title":"oat milk"}"#);
    let waiting = a.pending();

    let reloaded = phone.open();
    assert_eq!(
        (reloaded.titles(), reloaded.pending()),
        (a.titles(), waiting)
    );
    reloaded
        .run(async {
            reloaded
                .engine
                .user("ann")
                .await
                .unwrap()
                .db
                .checkpoint()
                .await
        })
        .unwrap();
    let again = phone.open();

    assert_eq!((again.titles(), again.pending()), (a.titles(), waiting));
    // The tab that missed the compaction continues.
    a.create(r#"{"title":"salt"}"#);
    assert_eq!(a.titles(), ["oat milk", "salt", "tea"]);
    assert!(a.sync().is_success);
    assert_eq!(world.server.rows("ann").len(), 3);
}
