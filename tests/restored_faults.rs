//! A restored server, and what goes wrong meanwhile: crashes, several tabs, late verdicts, another
//! restore.
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
use support::restored::*;
use support::world::{Device, Fault, Tab, World};

#[test]
fn wherever_the_tab_dies_nothing_is_lost_and_nothing_offered_twice() {
    for step in 0..12 {
        let world = World::new();
        let phone = device(&world, "phone");
        let a = phone.open();
        for n in 0..4 {
            a.create(&format!(r#"{{"id":"kept-{n}","title":"kept"}}"#));
        }
        a.sync();
        let backup = world.server.backup();
        for n in 0..4 {
            a.create(&format!(r#"{{"id":"new-{n}","title":"new"}}"#));
            a.patch(&format!("kept-{n}"), r#"{"title":"edited"}"#);
        }
        a.sync();
        restore(&world, &backup, "epoch-2");
        // The storage refuses everything from this commit on: as good as a crash between two of
        // them.
        let store = phone.store();
        *store.failing.borrow_mut() = std::collections::VecDeque::new();
        let (options, engine) = (r#"{"overrideBatchSize":2}"#, phone.open());
        let before = phone.counts().transactions;
        let counts = Rc::clone(&store.counts);
        let failing = Rc::clone(&store.failing);
        *phone.wire.on_request.borrow_mut() = Some(Box::new(move |_| {
            if counts.get().transactions >= before + step {
                failing.borrow_mut().extend([Code::StorageUnavailable; 3]);
            }
        }));
        let _ = engine.sync_with(options);
        *phone.wire.on_request.borrow_mut() = None;
        store.failing.borrow_mut().clear();
        drop(engine);

        let again = phone.open();
        let result = again.sync_with(options).unwrap();
        assert!(result.is_success, "step {step}: {result:?}");
        settle(&again);
        let rows = world.server.rows("ann");
        assert_eq!(rows.len(), 8, "step {step}");
        assert_eq!(
            again.titles(),
            [
                "edited", "edited", "edited", "edited", "new", "new", "new", "new"
            ],
            "step {step}"
        );
        // Four rows of the backup, and eight writes on top: each was made once.
        assert_eq!(
            rows.iter().map(|row| row.version).max(),
            Some(12),
            "step {step}"
        );
    }
}

#[test]
fn two_tabs_at_once_offer_it_once() {
    let world = World::new();
    let phone = device(&world, "phone");
    let (a, b) = (phone.open(), phone.open());
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.create(r#"{"id":"u","title":"new"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    // The lock over tabs holds nobody back.
    let cycle = |tab: &Tab| {
        let engine = Rc::clone(&tab.engine);
        async move {
            engine
                .synchronize("ann", Default::default(), None, Rc::default())
                .await
        }
    };
    let (one, other) = a.run(async { futures_util::future::join(cycle(&a), cycle(&b)).await });
    assert!(one.unwrap().is_success && other.unwrap().is_success);
    settle(&a);
    settle(&b);
    assert_eq!(titles(&world), pairs(&[("t", "oat milk"), ("u", "new")]));
    assert_eq!(
        world.server.rows("ann").iter().map(|row| row.version).max(),
        Some(3),
        "one edit and one create"
    );
}

#[test]
fn a_verdict_of_the_old_epoch_that_comes_late_settles_nothing() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    // The answer of the push arrives, and between it and the pull the server is restored.
    let server = world.server.clone();
    let pulls = std::cell::Cell::new(0);
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path.ends_with("/pull") {
            pulls.set(pulls.get() + 1);
            if pulls.get() == 1 {
                server.restore(&backup);
                server.set_epoch("epoch-2").unwrap();
            }
        }
    }));
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "oat milk")]));

    // Restored before the push: its verdicts are of another history, and its operation is sent
    // again.
    *phone.wire.on_request.borrow_mut() = None;
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"soy milk"}"#);
    a.sync();
    a.create(r#"{"id":"u","title":"new"}"#);
    restore(&world, &backup, "epoch-3");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "soy milk"), ("u", "new")]));
}

#[test]
fn nothing_is_pushed_before_the_restored_server_was_pulled_from() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"oat milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    a.patch("t", r#"{"n":1}"#);
    let result = a.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    assert_eq!((result.pushed_count, a.pending()), (0, 1));
    // It knows now, and the pull breaks off.
    phone.fault("/pull", Fault::Lost);
    a.sync_with("{}").unwrap_err();
    settle(&a);
    let row = &server(&world)[0].1;
    assert_eq!((&row["title"], &row["n"]), (&"oat milk".into(), &1.into()));
}

#[test]
fn a_server_that_cannot_tell_what_it_kept_is_compared_with() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    for id in ["same", "edited", "twice"] {
        a.create(&format!(r#"{{"id":"{id}","title":"milk","n":1}}"#));
    }
    a.sync();
    b.sync();
    let backup = world.server.backup();
    a.patch("edited", r#"{"title":"oat milk"}"#);
    a.patch("twice", r#"{"title":"oat milk"}"#);
    a.create(r#"{"id":"new","title":"new"}"#);
    a.sync();
    world.server.restore(&backup);
    for device in [&phone, &laptop] {
        device.wire.vague.set(true);
    }
    world.server.set_epoch("epoch-2").unwrap();
    b.sync();
    b.patch("twice", r#"{"n":2}"#);
    b.sync();

    let result = settle(&a);

    assert_eq!((result.pushed_count, result.conflicts_detected), (3, 1));
    assert_eq!(
        titles(&world),
        pairs(&[
            ("edited", "oat milk"),
            ("new", "new"),
            ("same", "milk"),
            ("twice", "oat milk")
        ])
    );
    assert_eq!(server(&world)[3].1["n"], 2);
}

/// A restored server counts anew: the version that an edit was made against is that of another row
/// of now.
#[test]
fn an_old_base_that_fits_by_chance_overwrites_nothing() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"n":2}"#);
    a.sync();
    b.delete("t");
    restore(&world, &backup, "epoch-2");
    // Offered anew, it has the version that it had at first.
    a.sync();
    let before = world.server.rows("ann");
    assert_eq!(
        before.iter().map(|row| row.version).collect::<Vec<u64>>(),
        [1]
    );

    assert!(
        b.sync_with(r#"{"direction":"pushOnly"}"#)
            .unwrap()
            .is_success
    );

    assert_eq!(
        world.server.rows("ann"),
        before,
        "a push of the old epoch does nothing"
    );
    assert_eq!(settle(&b).conflicts_detected, 1);
    a.sync();
    for tab in [&a, &b] {
        assert_eq!(
            tab.read("t").unwrap()["n"],
            2,
            "an edit survives a delete that did not know of it"
        );
    }
}

/// A laptop holds a row of before under a version that is another row's now, and has written over
/// it.
fn with_an_old_base(world: &World) -> (Device, Tab, Tab) {
    let (phone, laptop) = (device(world, "phone"), device(world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk","n":1}"#);
    a.sync();
    b.sync();
    a.patch("t", r#"{"n":2}"#);
    a.sync();
    b.write(
        "tasks",
        Write::Update {
            entity: r#"{"id":"t","title":"oat milk","n":1}"#.to_owned(),
        },
    )
    .unwrap();
    restore(world, &backup, "epoch-2");
    // Offered anew, it has the version that it had at first.
    a.sync();
    assert_eq!(
        world
            .server
            .rows("ann")
            .iter()
            .map(|row| row.version)
            .collect::<Vec<u64>>(),
        [1]
    );
    (laptop, a, b)
}

/// Both edits are there, on the server and on both devices.
fn both_edits_stand(world: &World, tabs: [&Tab; 2]) {
    let all =
        std::iter::once(server(world)[0].1.clone()).chain(tabs.map(|tab| tab.read("t").unwrap()));
    for task in all {
        assert_eq!(
            (&task["title"], &task["n"]),
            (&"oat milk".into(), &2.into())
        );
    }
}

#[test]
fn what_a_scope_alone_was_pulled_of_trusts_no_base_of_the_rest() {
    let world = World::new();
    let (_, a, b) = with_an_old_base(&world);
    b.sync_with(r#"{"direction":"pullOnly","scope":{"name":"notes","entities":["notes"]}}"#)
        .unwrap();
    assert_eq!(b.pending(), 1);

    // Written on top of a row that nobody has compared yet.
    b.patch("t", r#"{"done":true}"#);
    assert!(
        b.sync_with(r#"{"direction":"pushOnly"}"#)
            .unwrap()
            .is_success
    );

    assert_eq!(
        b.pending(),
        0,
        "what is outside of every scope is sent all the same"
    );
    settle(&b);
    a.sync();
    both_edits_stand(&world, [&a, &b]);
    assert_eq!(server(&world)[0].1["done"], true);
}

#[test]
fn what_was_saved_from_a_lost_log_keeps_the_epoch_of_its_bases() {
    for pulled_by_another in [false, true] {
        let world = World::new();
        let (laptop, a, b) = with_an_old_base(&world);
        laptop.evict();
        if pulled_by_another {
            laptop
                .open()
                .sync_with(
                    r#"{"direction":"pullOnly","scope":{"name":"notes","entities":["notes"]}}"#,
                )
                .unwrap();
        }
        let before = world.server.rows("ann");

        b.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
        if !pulled_by_another {
            assert_eq!(
                world.server.rows("ann"),
                before,
                "a push of the old epoch does nothing"
            );
        }

        settle(&b);
        a.sync();
        both_edits_stand(&world, [&a, &b]);
    }
}

#[test]
fn a_request_of_before_the_restore_that_comes_late_does_nothing() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    a.create(r#"{"id":"first"}"#);
    a.sync();
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk"}"#);
    phone.requests();
    a.sync();
    let late = phone
        .wire
        .seen
        .borrow()
        .iter()
        .find(|request| request.path == "/push")
        .unwrap()
        .body
        .clone();
    a.delete("t");
    a.sync();
    restore(&world, &backup, "epoch-2");
    settle(&a);

    let _ = world
        .server
        .handle("ann", "POST", "/sync/v1/push", &late, world.clock.now());

    assert_eq!(
        titles(&world),
        pairs(&[("first", "")]),
        "what was deleted stays so"
    );
}

/// The row is as old as one that the server had forgotten, by version and by time: only who has put
/// what tells them apart.
#[test]
fn a_row_that_another_device_made_meanwhile_is_not_taken_for_a_state_of_before() {
    let world = World::new();
    let (phone, laptop) = (device(&world, "phone"), device(&world, "laptop"));
    let (a, b) = (phone.open(), laptop.open());
    let backup = world.server.backup();
    b.create(r#"{"id":"t","done":true}"#);
    world.clock.now.set(world.clock.now.get() + 1_000);
    a.create(r#"{"id":"other"}"#);
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    for device in [&phone, &laptop] {
        device.wire.vague.set(true);
    }
    b.sync();

    settle(&a);

    b.sync();
    for tab in [&a, &b] {
        let task = tab.read("t").unwrap();
        assert_eq!(
            (task["title"].as_str(), task["done"].as_bool()),
            (Some("milk"), Some(true))
        );
    }
}

#[test]
fn a_server_that_is_restored_twice_is_offered_it_twice() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    let backup = world.server.backup();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    restore(&world, &backup, "epoch-2");
    let told = offers(&a);
    // It has heard of the first, and offered nothing yet.
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!((heard(&told), a.pending()), (vec![1], 1));
    restore(&world, &backup, "epoch-3");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("t", "milk")]));
    restore(&world, &backup, "epoch-4");
    settle(&phone.open());
    assert_eq!(titles(&world), pairs(&[("t", "milk")]));
}

#[test]
fn clearing_sync_metadata_forgets_no_receipt_and_clearing_the_user_does() {
    let world = World::new();
    let phone = device(&world, "phone");
    let a = phone.open();
    let backup = world.server.backup();
    a.write(
        "notes",
        Write::Create {
            draft: r#"{"id":"n","title":"note"}"#.to_owned(),
        },
    )
    .unwrap();
    a.create(r#"{"id":"t","title":"milk"}"#);
    a.sync();
    a.run(a.engine.metadata().clear("ann", true, true)).unwrap();
    restore(&world, &backup, "epoch-2");
    settle(&a);
    assert_eq!(titles(&world), pairs(&[("n", "note"), ("t", "milk")]));

    a.run(a.engine.users().clear_data("ann")).unwrap();
    restore(&world, &backup, "epoch-3");
    let b = phone.open();
    b.sync();
    assert_eq!(
        titles(&world),
        pairs(&[]),
        "whoever gives up the data gives up what it was good for"
    );
}
