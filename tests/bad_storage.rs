//! Storage that is full, or gives back what nobody wrote: nothing that can be read is lost, and
//! what is lost is told.
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

use std::cell::Cell;

use datum_sync::engine::cycle::resolve::Resolvers;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use datum_sync::plan::write::Write;
use datum_sync::ports::store::{Append, Store};
use datum_sync::state::replica::Replica;
use futures_util::FutureExt;
use support::world::{Device, Tab, World};

fn create(title: &str) -> Write {
    Write::Create {
        draft: format!(r#"{{"title":"{title}"}}"#),
    }
}

fn with<T>(tab: &Tab, read: impl FnOnce(&Replica) -> T) -> T {
    tab.engine.opened("ann").unwrap().db.read(read)
}

/// Closes every tab that is given, and opens another.
fn reopen(device: &Device, tab: Tab) -> Tab {
    tab.run(tab.engine.close());
    device.open()
}

#[test]
fn a_full_storage_is_compacted_once_and_the_write_made_after_all() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    (0..5).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    phone
        .store()
        .failing
        .borrow_mut()
        .push_back(Code::StorageFull);

    a.create(r#"{"title":"fits"}"#);

    assert_eq!(
        with(&a, Replica::checkpointed_at),
        6,
        "what there was came to one record"
    );
    assert_eq!((a.titles().len(), phone.open().titles().len()), (6, 6));
}

#[test]
fn a_storage_that_stays_full_refuses_the_write_and_takes_the_next_when_there_is_room() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    (0..5).for_each(|n| drop(a.create(&format!(r#"{{"title":"{n}"}}"#))));
    phone
        .store()
        .failing
        .borrow_mut()
        .extend([Code::StorageFull; 3]);

    for _ in 0..2 {
        assert_eq!(
            a.write("tasks", create("too much")).unwrap_err().code(),
            Code::StorageFull
        );
        assert_eq!(
            (a.titles().len(), a.pending()),
            (5, 5),
            "nothing of it is seen"
        );
    }
    assert!(
        phone.store().failing.borrow().is_empty(),
        "room is not looked for again where there was none"
    );
    a.create(r#"{"title":"fits"}"#);
    assert_eq!(phone.open().titles(), a.titles());
}

#[test]
fn a_page_that_does_not_fit_stops_the_pull_where_it_was_and_says_so() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    (0..25).for_each(|n| drop(laptop.create(&format!(r#"{{"title":"{n}"}}"#))));
    laptop.sync();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"defaultSyncOptions":{"overrideBatchSize":10}}"#);
    let a = phone.open();
    let (failing, asked) = (phone.store().failing, Cell::new(0));
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        asked.set(asked.get() + u32::from(request.path.ends_with("/pull")));
        if asked.get() == 3 {
            // From the second page on: the third is asked for before the second is planned.
            failing.borrow_mut().resize(5, Code::StorageFull);
        }
    }));

    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::StorageFull);

    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.status, status.errors.last().unwrap().code),
        (SyncState::Failed, Code::StorageFull)
    );
    assert_eq!(a.titles().len(), 10, "the first page");
    phone.wire.on_request.take();
    phone.store().failing.take();
    phone.requests();
    assert!(a.sync().is_success);
    assert_eq!(a.titles().len(), 25);
    assert_eq!(
        phone
            .requests()
            .iter()
            .filter(|line| line.ends_with("/pull"))
            .count(),
        2,
        "on from where it stopped"
    );
}

/// A device with a synced entity in record 1 to `synced`, and three operations in the records
/// after; its tab closed.
fn device(world: &World) -> (Device, u64) {
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"synced"}"#);
    a.sync();
    let synced = with(&a, Replica::head);
    (0..3).for_each(|n| drop(a.create(&format!(r#"{{"title":"waiting {n}"}}"#))));
    a.run(a.engine.close());
    (phone, synced)
}

#[test]
fn a_record_that_cannot_be_read_takes_nothing_else_along() {
    for bytes in [
        Some(&b"rubbish"[..]),
        Some(&b"DS\x01\x00rubbish and more of it"[..]),
        None,
    ] {
        let world = World::new();
        let (phone, synced) = device(&world);
        phone.store().inner.damage(synced + 2, bytes);

        let b = phone.open();

        assert_eq!(b.titles(), ["synced", "waiting 0", "waiting 2"]);
        assert_eq!(b.pending(), 2);
        let told = b.engine.events(Filter {
            topics: vec![Topic::StorageLost],
            ..Filter::default()
        });
        assert!(
            told.next()
                .now_or_never()
                .flatten()
                .unwrap()
                .text
                .contains(r#""lostOperations":"unknown","savedOperations":2"#)
        );
        let errors = b.engine.status_hub("ann").unwrap().current().errors.clone();
        assert!(
            errors[0].code == Code::Corrupt && errors[0].message.contains("1 of"),
            "{errors:?}"
        );
        b.sync();
        assert_eq!(
            (b.pending(), world.server.rows("ann").len()),
            (0, 3),
            "and everything was pulled afresh"
        );
        let b = reopen(&phone, b);
        assert!(
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .errors
                .is_empty(),
            "once"
        );
        assert_eq!(b.titles(), ["synced", "waiting 0", "waiting 2"]);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_read_leaves_what_came_after_it() {
    for bytes in [Some(&b"rubbish"[..]), None] {
        let world = World::new();
        let (phone, synced) = device(&world);
        let a = phone.open();
        a.run(a.engine.opened("ann").unwrap().db.checkpoint())
            .unwrap();
        a.create(r#"{"title":"later"}"#);
        a.run(a.engine.close());
        phone.store().inner.damage(synced + 4, bytes);

        let b = phone.open();

        assert_eq!((b.titles(), b.pending()), (vec!["later".to_owned()], 1));
        assert_eq!(
            b.engine.status_hub("ann").unwrap().current().errors[0].code,
            Code::Corrupt
        );
        b.sync();
        assert_eq!(b.titles(), ["later", "synced"]);
        let b = reopen(&phone, b);
        assert!(
            b.engine
                .status_hub("ann")
                .unwrap()
                .current()
                .errors
                .is_empty()
        );
        assert!(b.sync().is_success);
    }
}

#[test]
fn a_damaged_body_below_a_pending_edit_takes_the_edit_nowhere() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    let long = "x".repeat(5_000);
    laptop.create(&format!(r#"{{"id":"t","title":"{long}","theirs":1}}"#));
    laptop.sync();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"memoryBudget":0}"#);
    let a = phone.open();
    a.sync();
    a.patch("t", r#"{"mine":2}"#);
    a.run(a.engine.close());
    phone.store().damaged.set(true);
    let b = phone.open();
    laptop.patch("t", r#"{"theirs":2}"#);
    laptop.sync();

    let _ = b.sync_with("{}");
    phone.store().damaged.set(false);
    assert!(b.sync().is_success);

    laptop.sync();
    let seen = laptop.read("t").unwrap();
    assert_eq!(seen["mine"], 2, "{seen}");
    assert_eq!(b.pending(), 0);
}

#[test]
fn what_a_newer_version_has_written_is_left_alone() {
    let world = World::new();
    let (phone, _) = device(&world);
    let store = phone.store().inner;
    let keys = store.keys();
    let last = *keys.last().unwrap();
    // As the next format's checksum is made: one more than this one's.
    let payload = b"what only a newer version understands";
    let sum = datum_sync::log::segment::checksum(payload)
        .wrapping_add(1)
        .to_le_bytes();
    let newer = [&b"DS\x02\x00"[..], &sum, payload].concat();
    let open = phone.open();
    world
        .clock
        .run(store.reopen().append(
            Append {
                seq: last + 1,
                record: newer.into(),
                ..Append::default()
            },
            Durability::Strict,
        ))
        .unwrap();

    let refused = open.write("tasks", create("x")).unwrap_err();
    assert!(
        refused.code() == Code::ClientOutdated && refused.message().contains("reload"),
        "{refused}"
    );
    assert!(
        phone
            .try_open(Resolvers::default())
            .is_err_and(|error| error.code() == Code::ClientOutdated)
    );

    assert_eq!(store.keys().len(), keys.len() + 1, "nothing was written");
}
