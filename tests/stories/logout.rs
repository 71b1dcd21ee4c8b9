//! Signing out: what is pushed, kept and wiped.

use std::rc::Rc;

use crate::support::world::{Fault, Tab, World};
use datum_sync::engine::users::{LogoutOptions, LogoutResult};
use datum_sync::model::config::UserSwitch;
use datum_sync::model::error::{Code, Result};
use datum_sync::model::status::{SkipReason, SyncState};
use futures_util::future::{join, join3};

const ONE_TRY: &str =
    r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"excludedSyncUserIds":["guest"]}"#;
const NO_FLUSH: LogoutOptions = LogoutOptions {
    flush: 0,
    wipe: false,
    force: false,
};
const WIPE: LogoutOptions = LogoutOptions {
    flush: 0,
    wipe: true,
    force: false,
};

fn logout(a: &Tab, user: &str, options: LogoutOptions) -> Result<LogoutResult> {
    a.run(a.engine.users().logout(user, options))
}

fn sign_in(a: &Tab, user: &str) {
    assert!(
        a.run(
            a.engine
                .users()
                .switch(None, user, Some(UserSwitch::KeepLocal))
        )
        .unwrap()
        .success
    );
}

#[test]
fn what_waits_is_pushed_on_the_way_out() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    a.create_for("ann", "tea");

    let result = logout(&a, "ann", LogoutOptions::default()).unwrap();

    assert_eq!(
        result,
        LogoutResult {
            flushed: 2,
            ..LogoutResult::default()
        }
    );
    assert_eq!(
        (world.server.rows("ann").len(), a.engine.current_user()),
        (2, None)
    );
    assert!(a.engine.opened("ann").is_none(), "the database is closed");
    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.status, status.pending_operations),
        (SyncState::Idle, 0)
    );
    assert_eq!(
        a.engine.user_or_current(None).unwrap_err().code(),
        Code::NoUser
    );
    assert_eq!(
        phone.requests(),
        ["POST /pull", "POST /push", "PUT /metadata"],
        "pushed only, once the epoch is known"
    );
}

#[test]
fn what_cannot_be_pushed_is_told_and_there_at_the_next_sign_in() {
    let cases = [
        Some(Fault::Lost),
        Some(Fault::Status(401, None)),
        Some(Fault::Slow(1_000_000)),
        None,
    ];
    for fault in cases {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.create_for("ann", "milk");
        match fault {
            Some(fault) => phone.fault("/push", fault),
            None => a.engine.host().online.set(false),
        }
        let before = world.clock.now();

        let result = logout(&a, "ann", LogoutOptions::default()).unwrap();

        assert_eq!(
            (result.flushed, result.unsynced.len(), result.wiped),
            (0, 1, false)
        );
        assert_eq!(result.unsynced[0].entity, "tasks");
        assert!(world.clock.now() - before <= 5_000);
        assert_eq!(a.engine.current_user(), None);
        let status = a.engine.status_hub("ann").unwrap().current();
        assert_eq!(
            (status.status, status.pending_operations),
            (SyncState::Idle, 1)
        );
        a.engine.host().online.set(true);
        sign_in(&a, "ann");
        assert_eq!(
            (a.titles_of("ann"), a.pending()),
            (vec!["milk".to_owned()], 1)
        );
        assert!(a.sync().is_success);
        assert_eq!(world.server.rows("ann").len(), 1);
    }
}

#[test]
fn part_of_a_push_counts_as_flushed() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"defaultSyncOptions":{"overrideBatchSize":1}}"#);
    let a = phone.open();
    for title in ["one", "two", "three"] {
        a.create_for("ann", title);
    }
    phone.fault("/push", Fault::Slow(1));
    (0..3).for_each(|_| phone.fault("/push", Fault::Lost));

    let result = logout(&a, "ann", LogoutOptions::default()).unwrap();

    assert_eq!((result.flushed, result.unsynced.len()), (1, 2));
}

#[test]
fn a_wipe_that_would_lose_something_is_refused_and_leaves_the_user_as_before() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    a.create_for("ann", "tea");
    (0..3).for_each(|_| phone.fault("/push", Fault::Lost));

    let error = logout(
        &a,
        "ann",
        LogoutOptions {
            wipe: true,
            ..LogoutOptions::default()
        },
    )
    .unwrap_err();

    assert_eq!(
        (error.code(), error.user_id()),
        (Code::UnsyncedData, Some("ann"))
    );
    assert!(
        error
            .message()
            .contains("2 pending operations and 0 dead letters")
            && error.message().contains("`force: true`")
    );
    assert_eq!(
        (a.engine.current_user().as_deref(), a.pending()),
        (Some("ann"), 2)
    );
    a.create_for("ann", "and writes go on");
    assert!(a.sync().is_success, "not paused either");
    let wiped = logout(&a, "ann", WIPE).unwrap();
    assert_eq!(
        wiped,
        LogoutResult {
            wiped: true,
            ..LogoutResult::default()
        }
    );
    assert!(a.run(a.engine.users().ids()).unwrap().is_empty());
    sign_in(&a, "ann");
    assert!(a.titles_of("ann").is_empty());
    a.sync();
    assert_eq!(a.titles_of("ann").len(), 3);
}

#[test]
fn a_wipe_by_force_says_what_it_took() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    a.create_for("ann", &"x".repeat(300));
    a.sync();
    assert_eq!(
        logout(&a, "ann", WIPE).unwrap_err().code(),
        Code::UnsyncedData,
        "for a dead letter too"
    );
    a.create_for("ann", "milk");

    let result = logout(
        &a,
        "ann",
        LogoutOptions {
            force: true,
            ..WIPE
        },
    )
    .unwrap();

    assert_eq!(
        (result.unsynced.len(), result.dead_letters, result.wiped),
        (1, 1, true)
    );
    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!((status.pending_operations, status.dead_letters), (0, 0));
    assert!(phone.open().titles_of("ann").is_empty());
}

#[test]
fn a_wipe_knows_of_what_another_tab_has_written() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    b.create_for("ann", "milk");

    assert_eq!(
        logout(&a, "ann", WIPE).unwrap_err().code(),
        Code::UnsyncedData
    );
    assert_eq!(a.titles_of("ann"), ["milk"]);
}

#[test]
fn a_write_asked_for_before_the_logout_is_counted() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    let write = |title: &str| {
        let draft = serde_json::json!({ "title": title }).to_string();
        a.engine.entities().write(
            "ann",
            "tasks",
            vec![datum_sync::plan::write::Write::Create { draft }],
        )
    };

    let (written, left) = a.run(join(write("before"), a.engine.users().logout("ann", WIPE)));
    assert!(written.is_ok());
    assert_eq!(left.unwrap_err().code(), Code::UnsyncedData);

    let (written, left) = a.run(join(
        write("beside"),
        a.engine.users().logout("ann", NO_FLUSH),
    ));
    assert!(written.is_ok());
    assert_eq!(left.unwrap().unsynced.len(), 2);
    assert_eq!(a.titles_of("ann"), ["before", "beside"]);
}

#[test]
fn what_runs_is_stopped_and_what_waits_for_its_turn_does_not_begin() {
    for strategy in ["sequential", "skipConcurrent", "joinInFlight"] {
        let world = World::new();
        let phone = world.device("phone").with_config(&format!(
            r#"{{"entities":{{"tasks":{{}}}},"syncRequestStrategy":"{strategy}"}}"#
        ));
        let a = phone.open();
        a.sync();
        a.create_for("ann", "milk");
        phone.fault("/push", Fault::Slow(1_000));
        let cycle = || {
            a.engine
                .synchronize("ann", Default::default(), None, Rc::default())
        };

        let (first, second, left) = a.run(join3(
            cycle(),
            cycle(),
            a.engine.users().logout("ann", LogoutOptions::default()),
        ));

        let (first, second, left) = (first.unwrap(), second.unwrap(), left.unwrap());
        assert!(first.was_cancelled);
        assert!(
            second.was_cancelled || second.was_skipped,
            "{strategy}: {second:?}"
        );
        assert_eq!((left.flushed, left.unsynced.len()), (1, 0), "{strategy}");
        assert_eq!(
            phone.requests()[2..],
            ["POST /push", "POST /push", "PUT /metadata"],
            "{strategy}: nothing was pulled"
        );
        assert!(
            a.sync().is_success,
            "whoever names the user is served: {strategy}"
        );
    }
}

#[test]
fn a_user_who_is_paused_or_excluded_leaves_without_a_request() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("guest", "milk");
    a.create_for("ann", "tea");
    a.run(a.engine.pauses().pause(Some("ann"))).unwrap();

    for user in ["guest", "ann"] {
        assert_eq!(
            logout(&a, user, LogoutOptions::default())
                .unwrap()
                .unsynced
                .len(),
            1,
            "{user}"
        );
    }

    assert_eq!(phone.requests().len(), 0);
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().status,
        SyncState::Paused,
        "the app's own pause goes on until it ends it"
    );
    sign_in(&a, "ann");
    assert_eq!(a.sync().skip_reason, Some(SkipReason::Paused));
    a.run(a.engine.pauses().resume(None)).unwrap();
    assert!(a.sync().is_success);
}

#[test]
fn a_user_who_was_never_here_leaves_nothing() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    assert_eq!(
        logout(&a, "nobody", LogoutOptions::default()).unwrap(),
        LogoutResult::default()
    );
    assert_eq!(
        a.run(a.engine.users().ids()).unwrap(),
        ["ann"],
        "no database was made"
    );
    assert_eq!(
        logout(&a, "", LogoutOptions::default()).unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(
        a.engine.current_user().as_deref(),
        Some("ann"),
        "another user's logout leaves the current one"
    );
    logout(&a, "ann", NO_FLUSH).unwrap();
    logout(&a, "ann", NO_FLUSH).unwrap();
    let result = a.run(a.engine.users().switch(None, "bob", None)).unwrap();
    assert!(result.success && result.previous_user_id.is_none());
}

#[test]
fn signing_out_and_in_at_once_ends_with_somebody_signed_in() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");

    let (left, switched) = a.run(join(
        a.engine.users().logout("ann", LogoutOptions::default()),
        a.engine.users().switch(None, "bob", None),
    ));

    assert_eq!(left.unwrap().flushed, 1);
    assert!(switched.unwrap().success);
    assert_eq!(a.engine.current_user().as_deref(), Some("bob"));
}

#[test]
fn closing_ends_a_logout_that_is_under_way() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    phone.fault("/push", Fault::Slow(1_000_000));
    let close = async {
        a.engine.host().clock.sleep(10).await;
        a.engine.close().await;
    };

    let (left, ()) = a.run(join(
        a.engine.users().logout(
            "ann",
            LogoutOptions {
                wipe: true,
                force: true,
                ..LogoutOptions::default()
            },
        ),
        close,
    ));

    assert_eq!(left.unwrap_err().code(), Code::Closed);
    assert_eq!(
        logout(&a, "ann", NO_FLUSH).unwrap_err().code(),
        Code::Closed
    );
    assert_eq!(
        phone.open().titles_of("ann"),
        ["milk"],
        "what was not done before the close is not done after it"
    );
}

#[test]
fn whoever_watches_a_user_who_leaves_is_told_that_it_is_over() {
    for options in [
        NO_FLUSH,
        LogoutOptions {
            force: true,
            ..WIPE
        },
    ] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.create_for("ann", "milk");
        let watch = a
            .run(a.engine.entities().watch("ann", "tasks", None, false))
            .unwrap();
        assert!(a.run(watch.next()).unwrap().is_some());

        let (next, left) = a.run(join(watch.next(), a.engine.users().logout("ann", options)));

        assert!(left.is_ok() && next.unwrap().is_none());
        sign_in(&a, "ann");
        let again = a
            .run(a.engine.entities().watch("ann", "tasks", None, false))
            .unwrap();
        assert!(a.run(again.next()).unwrap().unwrap().whole);
    }
}
