//! Several users of one device: nothing of one is read, sent or counted under another.

use std::rc::Rc;

use super::user_support::{ONE_TRY, STRATEGIES, server_titles, switch};
use crate::support::world::{Fault, World};
use datum_sync::model::config::UserSwitch::{ClearAndFetch, KeepLocal, SyncThenSwitch};
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;
use datum_sync::plan::write::Write;

#[test]
fn twenty_switches_back_and_forth_keep_two_users_apart() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    for n in 0..20 {
        let (user, next) = if n % 2 == 0 {
            ("ann", "bob")
        } else {
            ("bob", "ann")
        };
        assert_eq!(a.engine.current_user().as_deref(), Some(user));
        a.create_for(user, &format!("{user} {n:02}"));
        if n % 5 == 0 {
            phone.fault("/push", Fault::Lost);
        }
        assert!(switch(&a, next, STRATEGIES[n % 2 * 3]).success);
        assert!(
            a.titles_of(next)
                .iter()
                .all(|title| title.starts_with(next))
        );
    }
    for user in ["ann", "bob"] {
        a.run(
            a.engine
                .synchronize(user, Default::default(), None, Rc::default()),
        )
        .unwrap();
        let expected: Vec<String> = (0..20)
            .filter(|n| (n % 2 == 0) == (user == "ann"))
            .map(|n| format!("{user} {n:02}"))
            .collect();
        assert_eq!(
            (a.titles_of(user), server_titles(&world, user)),
            (expected.clone(), expected)
        );
    }
}

#[test]
fn excluded_users_sign_in_and_out_without_a_request() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    assert!(
        !switch(&a, "guest", ClearAndFetch).success,
        "what is never fetched must not be cleared"
    );
    switch(&a, "guest", KeepLocal);
    a.create_for("guest", "milk");

    let left = switch(&a, "ann", SyncThenSwitch);

    assert!(left.success && left.error.is_some());
    assert_eq!((left.unsynced_operations, phone.requests().len()), (1, 0));
    assert_eq!(a.titles_of("guest"), ["milk"]);
}

#[test]
fn nothing_is_pushed_pulled_or_told_under_another_users_token() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(ONE_TRY),
        world.device_of("bob", "laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    b.create_for("bob", "bob's");
    b.sync();
    a.create_for("ann", "synced");
    a.sync();
    a.create_for("ann", "waiting");
    let cursor = || {
        a.run(a.engine.user("ann"))
            .unwrap()
            .db
            .read(|replica| replica.cursor("").cloned())
    };
    let before = cursor();
    *phone.remote.token_of.borrow_mut() = Some("bob".to_owned());

    for direction in ["pushOnly", "pullOnly", "pullThenPush", "pushThenPull"] {
        for full in [false, true] {
            let error = a
                .sync_with(&format!(
                    r#"{{"direction":"{direction}","forceFullSync":{full}}}"#
                ))
                .unwrap_err();
            assert_eq!(
                (error.code(), error.is_retryable()),
                (Code::UserMismatch, false),
                "{direction}"
            );
        }
    }
    let remote = a.run(a.engine.metadata().remote("ann")).unwrap_err();
    let cleared = a
        .run(a.engine.metadata().clear("ann", true, true))
        .unwrap_err();
    assert_eq!(
        (remote.code(), cleared.code()),
        (Code::UserMismatch, Code::UserMismatch)
    );

    assert_eq!(
        (a.titles_of("ann"), a.pending(), cursor()),
        (vec!["synced".to_owned(), "waiting".into()], 1, before)
    );
    assert_eq!(
        (server_titles(&world, "ann"), server_titles(&world, "bob")),
        (vec!["synced".to_owned()], vec!["bob's".to_owned()])
    );
    let devices = b
        .run(b.engine.metadata().remote("bob"))
        .unwrap()
        .unwrap()
        .devices;
    assert_eq!(
        devices.keys().collect::<Vec<_>>(),
        ["laptop"],
        "and bob's devices are his"
    );
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().status,
        SyncState::Failed
    );
    *phone.remote.token_of.borrow_mut() = None;
    assert!(a.sync().is_success);
    assert_eq!(server_titles(&world, "ann"), ["synced", "waiting"]);
}

#[test]
fn a_token_that_changes_within_a_cycle_stops_it_where_it_is() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    let token = Rc::clone(&phone.remote.token_of);
    *phone.remote.on_request.borrow_mut() = Some(Box::new(move |request| {
        if request.path == "/metadata" {
            *token.borrow_mut() = Some("bob".to_owned());
        }
    }));

    let error = a.sync_with("{}").unwrap_err();

    assert_eq!(error.code(), Code::UserMismatch);
    assert_eq!(
        (server_titles(&world, "ann"), a.pending()),
        (vec!["milk".to_owned()], 0)
    );
    assert!(world.server.rows("bob").is_empty());
}

#[test]
fn users_do_not_see_each_other() {
    let world = World::new();
    let (anns, bobs) = (
        world.device_of("ann", "phone"),
        world.device_of("bob", "laptop"),
    );
    let (ann, bob) = (anns.open(), bobs.open());
    ann.create(r#"{"title":"private"}"#);
    ann.sync();
    bob.sync();
    assert_eq!(bob.titles().len(), 0);
    assert_eq!(
        ann.run(ann.engine.entities().read_all("bob", "tasks", false))
            .unwrap(),
        "[]"
    );
    let error = ann
        .write(
            "tasks",
            Write::Create {
                draft: r#"{"userId":"bob","title":"x"}"#.to_owned(),
            },
        )
        .unwrap_err();
    assert_eq!(error.code(), Code::UserMismatch);
    for bad in ["", "a\u{7}b"] {
        assert_eq!(
            ann.run(ann.engine.pending().count(bad)).unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}
