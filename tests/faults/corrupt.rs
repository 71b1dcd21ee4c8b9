//! Storage that returns damaged or foreign bytes, and rows that have drifted from the server's.

use crate::support::world::{Device, Tab, World, id_of};
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;
use datum_sync::ports::store::{Append, Store};
use datum_sync::state::replica::Replica;
use futures_util::FutureExt;

fn create(title: &str) -> Write {
    Write::Create {
        draft: format!(r#"{{"title":"{title}"}}"#),
    }
}

fn with<T>(tab: &Tab, read: impl FnOnce(&Replica) -> T) -> T {
    tab.engine.opened("ann").unwrap().db.read(read)
}

/// Closes a tab and opens another.
fn reopen(device: &Device, tab: Tab) -> Tab {
    tab.run(tab.engine.close());
    device.open()
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

#[test]
fn a_drift_is_mended_by_one_full_pull() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let id = id_of(&a.create(r#"{"title":"milk"}"#));
    a.sync();
    b.sync();
    // A segment that cannot be read: its row is removed, and the digests differ.
    let user = b.run(b.engine.user("ann")).unwrap();
    b.run(user.db.record(
        datum_sync::model::config::storage::Durability::Strict,
        &|_| {
            vec![datum_sync::log::commit::Event::Sweep {
                before: u64::MAX,
                entities: None,
            }]
        },
    ))
    .unwrap();
    assert!(b.read(&id).is_none());

    let result = b.sync();

    assert!(result.is_success, "{result:?}");
    assert_eq!(b.read(&id).unwrap()["title"], "milk");
}

#[test]
fn a_segment_that_is_damaged_is_set_aside_and_fetched_again() {
    let world = World::new();
    let (phone, laptop) = (world.device("phone"), world.device("laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let drafts = (0..50)
        .map(|n| Write::Create {
            draft: format!(r#"{{"title":"task {n:02}","text":"{}"}}"#, "x".repeat(200)),
        })
        .collect();
    a.run(a.engine.entities().write("ann", "tasks", drafts))
        .unwrap();
    a.sync();
    b.sync();
    b.create(r#"{"title":"mine"}"#);
    laptop.store().damaged.set(true);

    let reopened = laptop.open();
    assert_eq!(
        reopened.titles(),
        ["mine"],
        "what cannot be read is not made up"
    );
    assert_eq!(reopened.pending(), 1);
    laptop.store().damaged.set(false);
    assert!(reopened.sync().is_success);

    assert_eq!(reopened.titles().len(), 51);
}
