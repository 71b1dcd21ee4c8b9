//! Switching users while cycles, calls or other switches run.

use std::cell::RefCell;
use std::rc::Rc;

use super::user_support::{ONE_TRY, STRATEGIES, server_titles, switch};
use crate::support::world::{Fault, World};
use datum_sync::model::config::UserSwitch::{
    ClearAndFetch, KeepLocal, PromptIfUnsyncedData, SyncThenSwitch,
};
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use futures_util::future::join;

#[test]
fn the_previous_users_cycle_is_stopped_by_the_switch() {
    for strategy in [
        ClearAndFetch,
        PromptIfUnsyncedData,
        KeepLocal,
        SyncThenSwitch,
    ] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        phone.fault("/pull", Fault::Slow(1_000));
        let cycle = a
            .engine
            .synchronize("ann", Default::default(), None, Rc::default());

        let (cycle, switched) = a.run(join(
            cycle,
            a.engine.users().switch(None, "bob", Some(strategy)),
        ));

        assert!(switched.unwrap().success);
        assert!(cycle.unwrap().was_cancelled, "{strategy:?}");
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().status,
            SyncState::Cancelled
        );
        switch(&a, "ann", KeepLocal);
        assert!(a.sync().is_success);
    }
}

#[test]
fn what_waits_is_pushed_after_the_cycle_that_is_running() {
    for strategy in ["sequential", "skipConcurrent", "joinInFlight"] {
        let world = World::new();
        let phone = world.device("phone").with_config(&format!(
            r#"{{"entities":{{"tasks":{{}}}},"syncRequestStrategy":"{strategy}"}}"#
        ));
        let a = phone.open();
        a.create_for("ann", "first");
        phone.fault("/pull", Fault::Slow(1_000));
        let engine = Rc::clone(&a.engine);
        let meanwhile = async {
            // The push of the cycle is over, and its pull under way.
            while world.server.rows("ann").is_empty() {
                engine.host().clock.sleep(1).await;
            }
            let draft = datum_sync::plan::write::Write::Create {
                draft: r#"{"title":"second"}"#.to_owned(),
            };
            engine
                .entities()
                .write("ann", "tasks", vec![draft])
                .await
                .unwrap();
            engine
                .users()
                .switch(None, "bob", Some(SyncThenSwitch))
                .await
        };

        let (cycle, switched) = a.run(join(
            a.engine
                .synchronize("ann", Default::default(), None, Rc::default()),
            meanwhile,
        ));

        assert!(
            cycle.unwrap().is_success && switched.unwrap().error.is_none(),
            "{strategy}"
        );
        assert_eq!(
            server_titles(&world, "ann"),
            ["first", "second"],
            "{strategy}"
        );
    }
}

#[test]
fn until_a_switch_has_happened_calls_are_about_the_previous_user() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (engine, heard) = (Rc::clone(&a.engine), Rc::clone(&seen));
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |_| {
        heard
            .borrow_mut()
            .push(engine.user_or_current(None).unwrap())
    }));

    let asked = a.engine.user_or_current(None).unwrap();
    let write = a.engine.entities().write(
        &asked,
        "tasks",
        vec![datum_sync::plan::write::Write::Create {
            draft: r#"{"title":"tea"}"#.to_owned(),
        }],
    );
    let (switched, written) = a.run(join(a.engine.users().switch(None, "bob", None), write));

    assert!(switched.unwrap().success && written.is_ok());
    *phone.remote.on_request.borrow_mut() = None;
    assert!(!seen.borrow().is_empty() && seen.borrow().iter().all(|user| user == "ann"));
    assert_eq!(
        (a.titles_of("ann"), a.titles_of("bob")),
        (vec!["milk".to_owned(), "tea".into()], vec![])
    );
}

#[test]
fn a_switch_to_nobody_new_or_from_somebody_else_changes_nothing() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    for strategy in STRATEGIES {
        let same = switch(&a, "ann", strategy);
        assert!(same.success && same.error.is_none());
        assert_eq!(
            (same.previous_user_id.as_deref(), same.unsynced_operations),
            (Some("ann"), 1)
        );
    }
    for (old, new) in [
        (Some("bob"), "carl"),
        (Some("bob"), "ann"),
        (None, ""),
        (None, "a\u{7}"),
    ] {
        let error = a.run(a.engine.users().switch(old, new, None)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{old:?} {new:?}");
    }
    assert_eq!(
        (a.engine.current_user().as_deref(), phone.requests().len()),
        (Some("ann"), 0)
    );
    assert_eq!(
        a.run(a.engine.users().ids()).unwrap(),
        ["ann"],
        "no database was made for them"
    );
    assert_eq!(a.titles_of("ann"), ["milk"]);
}

#[test]
fn of_two_switches_at_once_the_second_sees_what_the_first_has_done() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");

    let (one, two) = a.run(join(
        a.engine.users().switch(Some("ann"), "bob", None),
        a.engine.users().switch(Some("ann"), "carl", None),
    ));

    assert!(one.unwrap().success);
    assert_eq!(two.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(a.engine.current_user().as_deref(), Some("bob"));
}

#[test]
fn closing_ends_a_switch_that_is_under_way_and_signs_nobody_in() {
    for strategy in STRATEGIES {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.create_for("ann", "milk");
        a.create_for("bob", "tea");
        phone.fault("/push", Fault::Slow(1_000_000));
        let close = async {
            a.engine.host().clock.sleep(10).await;
            a.engine.close().await;
        };
        let (switched, ()) = a.run(join(
            a.engine.users().switch(None, "bob", Some(strategy)),
            close,
        ));
        if matches!(strategy, SyncThenSwitch | ClearAndFetch) {
            assert_eq!(switched.unwrap_err().code(), Code::Closed);
            assert_eq!(a.engine.current_user().as_deref(), Some("ann"));
        }
        assert_eq!(phone.open().titles_of("bob"), ["tea"]);
    }
}
