//! A restored server, while tabs crash, requests arrive late, or a second restore follows.

use std::rc::Rc;

use crate::support::restored::*;
use crate::support::world::{Fault, Tab, World};
use datum_sync::model::error::Code;
use datum_sync::plan::write::Write;

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
        // The storage refuses everything from this commit on, like a crash between two commits.
        let store = phone.store();
        *store.failing.borrow_mut() = std::collections::VecDeque::new();
        let (options, engine) = (r#"{"overrideBatchSize":2}"#, phone.open());
        let before = phone.counts().transactions;
        let counts = Rc::clone(&store.counts);
        let failing = Rc::clone(&store.failing);
        *phone.remote.on_request.borrow_mut() = Some(Box::new(move |_| {
            if counts.get().transactions >= before + step {
                failing.borrow_mut().extend([Code::StorageUnavailable; 3]);
            }
        }));
        let _ = engine.sync_with(options);
        *phone.remote.on_request.borrow_mut() = None;
        store.failing.borrow_mut().clear();
        drop(engine);

        let again = phone.open();
        let result = again.sync_with(options).unwrap();
        assert!(result.is_success, "step {step}: {result:?}");
        sync_until_quiet(&again);
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
    // The lock between tabs is disabled.
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
    sync_until_quiet(&a);
    sync_until_quiet(&b);
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
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path.ends_with("/pull") {
            pulls.set(pulls.get() + 1);
            if pulls.get() == 1 {
                server.restore(&backup);
                server.set_epoch("epoch-2").unwrap();
            }
        }
    }));
    sync_until_quiet(&a);
    assert_eq!(titles(&world), pairs(&[("t", "oat milk")]));

    // Restored before the push: its verdicts are of another history, and its operation is sent
    // again.
    *phone.remote.on_request.borrow_mut() = None;
    let backup = world.server.backup();
    a.patch("t", r#"{"title":"soy milk"}"#);
    a.sync();
    a.create(r#"{"id":"u","title":"new"}"#);
    restore(&world, &backup, "epoch-3");
    sync_until_quiet(&a);
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
    // The device knows of the restore, and its pull breaks off.
    phone.fault("/pull", Fault::Lost);
    a.sync_with("{}").unwrap_err();
    sync_until_quiet(&a);
    let row = &server_rows(&world)[0].1;
    assert_eq!((&row["title"], &row["n"]), (&"oat milk".into(), &1.into()));
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
        .remote
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
    sync_until_quiet(&a);

    let _ = world
        .server
        .handle("ann", "POST", "/sync/v1/push", &late, world.clock.now());

    assert_eq!(
        titles(&world),
        pairs(&[("first", "")]),
        "what was deleted stays so"
    );
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
    let told = restore_events(&a);
    // The device knows of the first restore and has offered nothing yet.
    a.sync_with(r#"{"direction":"pullOnly"}"#).unwrap();
    assert_eq!((offered_again(&told), a.pending()), (vec![1], 1));
    restore(&world, &backup, "epoch-3");
    sync_until_quiet(&a);
    assert_eq!(titles(&world), pairs(&[("t", "milk")]));
    restore(&world, &backup, "epoch-4");
    sync_until_quiet(&phone.open());
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
    sync_until_quiet(&a);
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
