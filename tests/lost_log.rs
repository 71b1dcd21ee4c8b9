//! A log that is lost under open tabs: what they know is kept, and nothing that others made is
//! undone.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use std::rc::Rc;

use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use support::world::{Fault, World};

fn id_of(task: &serde_json::Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_log_lost_under_an_open_tab_keeps_its_outbox() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();

    a.create(r#"{"title":"after"}"#);
    assert!(a.sync().is_success);

    assert_eq!(a.titles(), ["after", "synced", "waiting"]);
    assert_eq!(world.server.rows("ann").len(), 3);
}

#[test]
fn two_tabs_that_lose_their_log_at_once_both_save_what_they_know() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"title":"of both"}"#);
    b.create(r#"{"title":"of b alone"}"#);
    phone.evict();

    let create = |title: &str| {
        vec![Write::Create {
            draft: format!(r#"{{"title":"{title}"}}"#),
        }]
    };
    let both = futures_util::future::join(
        a.engine.entities().write("ann", "tasks", create("after a")),
        b.engine.entities().write("ann", "tasks", create("after b")),
    );
    let (one, two) = a.run(both);

    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(
        phone.open().titles(),
        ["after a", "after b", "of b alone", "of both"]
    );
}

#[test]
fn operations_of_a_lost_log_are_kept_until_they_can_be_saved() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();
    phone
        .store()
        .failing
        .borrow_mut()
        .extend([Code::StorageLost, Code::StorageFull]);

    assert_eq!(
        a.write(
            "tasks",
            Write::Create {
                draft: r#"{"title":"x"}"#.to_owned()
            }
        )
        .unwrap_err()
        .code(),
        Code::StorageFull
    );
    a.create(r#"{"title":"after"}"#);

    assert_eq!(a.titles(), ["after", "waiting"]);
    assert_eq!(phone.open().titles(), ["after", "waiting"]);
}

#[test]
fn a_delete_is_not_lost_with_the_log_while_its_create_is_on_its_way() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    phone.fault("/push", Fault::Slow(1_000));
    let engine = Rc::clone(&a.engine);

    let (synced, deleted) = a.run(async {
        let cycle = engine.synchronize(
            "ann",
            datum_sync::model::config::Options::default(),
            None,
            Rc::default(),
        );
        let meanwhile = async {
            datum_sync::ports::host::Host::sleep(engine.host(), 500).await;
            phone.evict();
            engine
                .entities()
                .write(
                    "ann",
                    "tasks",
                    vec![Write::Delete {
                        id: id.clone(),
                        soft: false,
                    }],
                )
                .await
        };
        futures_util::future::join(cycle, meanwhile).await
    });

    assert!(
        synced.is_ok()
            && matches!(
                deleted.unwrap()[0],
                datum_sync::plan::write::Written::Deleted(_)
            )
    );
    a.sync();
    assert_eq!((a.titles().len(), a.pending()), (0, 0));
    assert!(
        world
            .server
            .rows("ann")
            .iter()
            .all(|row| row.data.is_none()),
        "the server has the delete too"
    );
}

#[test]
fn an_edit_that_carries_a_lost_operation_along_is_not_undone_by_another_tab() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    phone.evict();

    a.patch(&id, r#"{"title":"oat milk"}"#);
    assert_eq!(
        a.pending(),
        2,
        "what was saved may be on its way: nothing is coalesced into it"
    );
    b.create(r#"{"title":"tea"}"#);

    assert_eq!(phone.open().titles(), ["oat milk", "tea"]);
    a.sync();
    let laptop = world.device("laptop").open();
    laptop.sync();
    b.sync();
    laptop.sync();
    assert_eq!(laptop.titles(), ["oat milk", "tea"]);
}

#[test]
fn an_operation_saved_late_from_a_lost_log_takes_nothing_away() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.create(r#"{"id":"t","of b":1}"#);
    phone.evict();
    // The other tab has not heard of the entity; it makes it too, and syncs before the first tab
    // wakes.
    a.create(r#"{"id":"t","of a":2}"#);
    a.sync();
    b.create(r#"{"title":"b wakes"}"#);
    assert!(b.sync().is_success);

    let laptop = world.device("laptop").open();
    laptop.sync();
    let seen = laptop.read("t").unwrap();
    assert_eq!((&seen["of a"], &seen["of b"]), (&2.into(), &1.into()));
}

#[test]
fn two_tabs_that_made_the_same_entity_in_a_lost_log_keep_what_both_wrote() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    world.device("laptop").open().sync();
    b.create(r#"{"id":"t","of b":1}"#);
    phone.evict();
    a.create(r#"{"id":"t","of a":2}"#);
    b.create(r#"{"title":"b wakes"}"#);
    assert_eq!(b.read("t").unwrap()["of a"], 2, "one on top of the other");

    let other = world.device("laptop").open();
    other.create(r#"{"id":"t","of c":3}"#);
    other.sync();
    assert!(a.sync().is_success);
    other.sync();

    let seen = other.read("t").unwrap();
    assert_eq!(
        (&seen["of a"], &seen["of b"], &seen["of c"]),
        (&2.into(), &1.into(), &3.into())
    );
}

#[test]
fn the_base_of_a_pending_edit_survives_the_loss_of_its_log() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    a.create(r#"{"id":"t","mine":1,"theirs":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"mine":2}"#);
    phone.evict();
    a.patch("t", r#"{"mine":3}"#);
    world.clock.advance(60_000);
    b.patch("t", r#"{"theirs":2}"#);
    b.sync();

    assert!(a.sync().is_success);

    b.sync();
    let seen = b.read("t").unwrap();
    assert_eq!(
        (&seen["mine"], &seen["theirs"]),
        (&3.into(), &2.into()),
        "merged by the base, not by the clock"
    );
}

#[test]
fn a_write_that_needs_a_body_of_the_lost_log_finds_what_there_is() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let a = phone.open();
    let long = "x".repeat(5_000);
    let id = id_of(&a.create(&format!(r#"{{"title":"{long}"}}"#)));
    let laptop = world
        .device("laptop")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    a.sync();
    let b = laptop.open();
    b.sync();
    laptop.evict();

    assert!(b.titles().is_empty(), "what is left is read");
    let refused = b
        .write(
            "tasks",
            Write::Patch {
                id: id.clone(),
                changes: r#"{"title":"y"}"#.to_owned(),
            },
        )
        .unwrap_err();

    assert_eq!(
        refused.code(),
        Code::NotFound,
        "it comes again with the next pull"
    );
    b.sync();
    assert_eq!(b.titles(), [long]);
}

#[test]
fn what_was_deleted_before_the_loss_is_not_made_again_by_a_tab_that_had_not_heard() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    a.delete(&id);
    phone.evict();

    a.create(r#"{"title":"of a"}"#);
    b.create(r#"{"title":"of b"}"#);

    assert_eq!(phone.open().titles(), ["of a", "of b"]);
    assert!(a.sync().is_success);
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.titles(), ["of a", "of b"]);
}

#[test]
fn a_log_that_cannot_be_begun_anew_at_once_keeps_each_operation_once() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"waiting"}"#);
    phone.evict();
    phone
        .store()
        .failing_loads
        .borrow_mut()
        .push_back(Code::StorageUnavailable);

    assert_eq!(
        a.sync_with("{}").unwrap_err().code(),
        Code::StorageUnavailable
    );
    // Nothing was saved yet, so that the loss is noticed a second time.
    assert!(a.sync().is_success);

    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 1));
}

/// One tab saves a lost log, syncs and goes on with what others write; then another tab saves what
/// it still knew.
fn saved_again_over_a_newer_row(
    title: &str,
    theirs: &str,
) -> (World, support::world::Tab, support::world::Tab) {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let (a, b) = (phone.open(), phone.open());
    a.create(&format!(r#"{{"id":"t","title":"{title}","of a":1}}"#));
    b.run(b.engine.on_head("ann", 1)).unwrap();
    phone.evict();
    b.create(r#"{"id":"b wakes"}"#);
    b.sync();
    let laptop = world.device("laptop").open();
    laptop.sync();
    laptop.patch("t", theirs);
    laptop.sync();
    b.sync();
    a.create(r#"{"id":"a wakes"}"#);
    (world, a, b)
}

#[test]
fn what_is_written_on_top_of_an_operation_saved_again_keeps_what_came_after_that() {
    // A long row lies outside the log's records and is not in memory.
    for title in ["milk".to_owned(), "milk".repeat(2_000)] {
        let (world, a, b) = saved_again_over_a_newer_row(&title, r#"{"theirs":2}"#);
        let both = |tab: &support::world::Tab| {
            tab.read("t")
                .map(|seen| (seen["of a"].clone(), seen["theirs"].clone()))
        };
        a.patch("t", r#"{"of a":3}"#);

        for direction in ["pullOnly", "pushOnly", "pullThenPush"] {
            assert!(
                a.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
                    .unwrap()
                    .is_success
            );
        }

        b.sync();
        let laptop = world.device("laptop").open();
        laptop.sync();
        for tab in [&a, &b, &laptop] {
            assert_eq!(both(tab), Some((3.into(), 2.into())));
        }
    }
}

#[test]
fn what_was_written_over_an_operation_saved_again_is_not_undone_by_what_follows_it() {
    let patch = Write::Patch {
        id: "t".to_owned(),
        changes: r#"{"done":true}"#.to_owned(),
    };
    let update = Write::Update {
        entity: r#"{"id":"t","title":"milk","of a":1,"done":true}"#.to_owned(),
    };
    for write in [patch, update] {
        let (world, a, b) = saved_again_over_a_newer_row("milk", r#"{"title":"oat milk"}"#);
        a.write("tasks", write).unwrap();
        a.patch("t", r#"{"of a":3}"#);

        for direction in ["pullOnly", "pushOnly"] {
            assert!(
                a.sync_with(&format!(r#"{{"direction":"{direction}"}}"#))
                    .unwrap()
                    .is_success
            );
        }

        b.sync();
        let laptop = world.device("laptop").open();
        laptop.sync();
        for tab in [&a, &b, &laptop] {
            let seen = tab.read("t").unwrap();
            assert_eq!(
                (&seen["title"], &seen["done"], &seen["of a"]),
                (&"oat milk".into(), &true.into(), &3.into())
            );
        }
    }
}

#[test]
fn what_clashes_with_what_came_after_an_operation_saved_again_is_a_conflict() {
    let (world, a, _b) = saved_again_over_a_newer_row("milk", r#"{"title":"oat milk"}"#);
    a.patch("t", r#"{"title":"soy milk"}"#);

    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    let pushed = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();

    assert_eq!(
        pushed.conflicts_resolved, 1,
        "it was made without knowing what came after"
    );
    assert_eq!(
        a.read("t").unwrap()["title"],
        "soy milk",
        "the later one by the clock"
    );
    let laptop = world.device("laptop").open();
    laptop.sync();
    assert_eq!(laptop.read("t").unwrap()["title"], "soy milk");
}
