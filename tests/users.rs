//! Users of one device: switching between them, and what must never pass from one to the other.
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

use std::cell::RefCell;
use std::rc::Rc;

use datum_sync::engine::users::UserSwitchResult;
use datum_sync::model::config::UserSwitch;
use datum_sync::model::config::UserSwitch::{
    ClearAndFetch, KeepLocal, PromptIfUnsyncedData, SyncThenSwitch,
};
use datum_sync::model::error::Code;
use datum_sync::model::status::State;
use futures_util::future::join;
use support::world::{Fault, Tab, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1},"syncTimeout":5000,"excludedSyncUserIds":["guest"]}"#;
const STRATEGIES: [UserSwitch; 4] = [
    SyncThenSwitch,
    ClearAndFetch,
    PromptIfUnsyncedData,
    KeepLocal,
];

fn switch(a: &Tab, to: &str, strategy: UserSwitch) -> UserSwitchResult {
    a.run(a.engine.users().switch(None, to, Some(strategy)))
        .unwrap()
}

fn code(result: &UserSwitchResult) -> Option<Code> {
    result.error.as_ref().map(|error| error.code)
}

fn server_titles(world: &World, user: &str) -> Vec<String> {
    let rows = world.server.rows(user);
    let mut titles: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            serde_json::from_str::<serde_json::Value>(row.data.as_deref()?).unwrap()["title"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    titles.sort();
    titles
}

#[test]
fn by_default_what_waits_is_pushed_before_the_switch() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");

    let result = a
        .run(a.engine.users().switch(Some("ann"), "bob", None))
        .unwrap();

    assert!(result.success && result.error.is_none());
    assert_eq!(
        (
            result.previous_user_id.as_deref(),
            result.unsynced_operations
        ),
        (Some("ann"), 0)
    );
    assert_eq!(a.engine.current_user().as_deref(), Some("bob"));
    assert_eq!(server_titles(&world, "ann"), ["milk"]);
    assert_eq!(
        phone.requests(),
        ["POST /push", "PUT /metadata"],
        "a push only, and none for whom nothing waits"
    );
    switch(&a, "ann", SyncThenSwitch);
    switch(&a, "bob", SyncThenSwitch);
    assert!(phone.requests().is_empty());
}

#[test]
fn a_switch_happens_whatever_becomes_of_the_push() {
    let cases = [
        (Some(Fault::Lost), Code::Network),
        (Some(Fault::Status(403, None)), Code::Forbidden),
        (Some(Fault::Slow(1_000_000)), Code::Timeout),
    ];
    for (fault, expected) in cases.into_iter().chain([(None, Code::Offline)]) {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let a = phone.open();
        a.create_for("ann", "milk");
        match fault {
            Some(fault) => phone.fault("/push", fault),
            None => a.engine.host().online.set(false),
        }
        let before = world.clock.now();

        let result = switch(&a, "bob", SyncThenSwitch);

        assert!(result.success);
        assert_eq!(
            (result.unsynced_operations, code(&result)),
            (1, Some(expected))
        );
        assert!(
            world.clock.now() - before <= 5_000,
            "no longer than `syncTimeout`"
        );
        a.engine.host().online.set(true);
        let back = switch(&a, "ann", SyncThenSwitch);
        assert!(back.success && back.error.is_none());
        assert_eq!(a.titles_of("ann"), ["milk"], "and nothing of it is lost");
        assert!(a.sync().is_success);
        assert_eq!(server_titles(&world, "ann"), ["milk"]);
    }
}

#[test]
fn unsynced_data_is_asked_about_where_the_app_wants_that() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");

    let refused = switch(&a, "bob", PromptIfUnsyncedData);

    assert!(!refused.success);
    assert_eq!(
        (refused.unsynced_operations, code(&refused)),
        (1, Some(Code::UnsyncedData))
    );
    assert!(
        refused
            .error
            .as_ref()
            .unwrap()
            .message
            .contains("1 pending operation and 0 dead letters of `ann`")
    );
    assert_eq!(
        (
            a.engine.current_user().as_deref(),
            a.pending(),
            phone.requests().len()
        ),
        (Some("ann"), 1, 0)
    );
    a.sync();
    assert!(switch(&a, "bob", PromptIfUnsyncedData).success);

    switch(&a, "ann", KeepLocal);
    a.create_for("ann", &"x".repeat(300));
    world
        .server
        .configure(|config| config.max_entity_bytes = 95);
    a.sync();
    assert_eq!(a.pending(), 0);
    assert_eq!(
        code(&switch(&a, "bob", PromptIfUnsyncedData)),
        Some(Code::UnsyncedData),
        "a dead letter is unsynced too"
    );
}

#[test]
fn what_another_tab_has_written_is_unsynced_too() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    b.create_for("ann", "milk");

    assert_eq!(
        switch(&a, "bob", PromptIfUnsyncedData).unsynced_operations,
        1
    );
    assert!(switch(&a, "bob", SyncThenSwitch).success);

    assert_eq!(server_titles(&world, "ann"), ["milk"]);
}

#[test]
fn keeping_local_data_asks_nobody_and_sends_nothing() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");

    let result = switch(&a, "bob", KeepLocal);

    assert!(result.success && result.error.is_none());
    assert_eq!((result.unsynced_operations, phone.requests().len()), (1, 0));
    assert!(a.titles_of("bob").is_empty());
    switch(&a, "ann", KeepLocal);
    assert_eq!(a.titles_of("ann"), ["milk"]);
}

#[test]
fn clearing_pushes_what_waits_of_the_new_user_and_fetches_everything_afresh() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone").with_config(ONE_TRY),
        world.device_of("bob", "laptop"),
    );
    let (a, b) = (phone.open(), laptop.open());
    b.create_for("bob", "theirs");
    b.sync();
    a.create_for("ann", "hers");
    a.create_for("bob", "mine");
    a.run(a.engine.metadata().set_custom("bob", r#"{"old":1}"#))
        .unwrap();

    let result = switch(&a, "bob", ClearAndFetch);

    assert!(result.success && result.error.is_none(), "{result:?}");
    assert_eq!(
        result.unsynced_operations, 1,
        "of the previous user, who was not asked"
    );
    assert_eq!(
        (a.titles_of("bob"), server_titles(&world, "bob")),
        (
            vec!["mine".into(), "theirs".into()],
            vec!["mine".to_owned(), "theirs".into()]
        )
    );
    assert!(
        a.run(a.engine.metadata().local("bob"))
            .unwrap()
            .unwrap()
            .custom_metadata
            .is_none(),
        "it was cleared"
    );
    assert_eq!(a.titles_of("ann"), ["hers"]);
    assert_eq!(a.run(a.engine.users().ids()).unwrap(), ["ann", "bob"]);
}

#[test]
fn clearing_never_loses_an_operation_and_never_leaves_nothing() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("bob", "mine");
    phone.fault("/push", Fault::Lost);

    let refused = switch(&a, "bob", ClearAndFetch);

    assert!(!refused.success);
    assert_eq!(
        (refused.unsynced_operations, code(&refused)),
        (1, Some(Code::UnsyncedData))
    );
    assert!(refused.error.unwrap().message.contains("The push failed: "));
    assert_eq!(
        (a.engine.current_user().as_deref(), a.titles_of("bob")),
        (Some("ann"), vec!["mine".to_owned()])
    );
    a.run(
        a.engine
            .synchronize("bob", Default::default(), None, Rc::default()),
    )
    .unwrap();
    a.engine.host().online.set(false);
    assert_eq!(code(&switch(&a, "bob", ClearAndFetch)), Some(Code::Offline));
    a.engine.host().online.set(true);
    a.run(a.engine.pauses().pause(Some("bob"))).unwrap();
    assert_eq!(
        code(&switch(&a, "bob", ClearAndFetch)),
        Some(Code::Cancelled)
    );
    assert_eq!(
        (a.engine.current_user().as_deref(), a.titles_of("bob")),
        (Some("ann"), vec!["mine".to_owned()])
    );

    a.run(a.engine.pauses().resume(None)).unwrap();
    phone.fault("/pull", Fault::Lost);
    let late = switch(&a, "bob", ClearAndFetch);
    assert!(
        late.success,
        "cleared, with nothing lost that the server does not have"
    );
    assert_eq!(code(&late), Some(Code::Network));
    assert!(
        a.run(
            a.engine
                .synchronize("bob", Default::default(), None, Rc::default())
        )
        .unwrap()
        .is_success
    );
    assert_eq!(a.titles_of("bob"), ["mine"]);
}

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
            State::Cancelled
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
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |_| {
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
    *phone.wire.on_request.borrow_mut() = None;
    assert!(!seen.borrow().is_empty() && seen.borrow().iter().all(|user| user == "ann"));
    assert_eq!(
        (a.titles_of("ann"), a.titles_of("bob")),
        (vec!["milk".to_owned(), "tea".into()], vec![])
    );
}

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
    *phone.wire.token_of.borrow_mut() = Some("bob".to_owned());

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
        State::Failed
    );
    *phone.wire.token_of.borrow_mut() = None;
    assert!(a.sync().is_success);
    assert_eq!(server_titles(&world, "ann"), ["synced", "waiting"]);
}

#[test]
fn a_token_that_changes_within_a_cycle_stops_it_where_it_is() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    a.create_for("ann", "milk");
    let token = Rc::clone(&phone.wire.token_of);
    *phone.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
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
fn a_switch_is_told_with_what_was_left_behind() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = phone.open();
    let filter = datum_sync::engine::events::Filter {
        topics: vec![datum_sync::engine::events::Topic::UserSwitched],
        ..Default::default()
    };
    let reader = a.engine.events(filter);
    a.create_for("ann", "milk");

    switch(&a, "ann", KeepLocal);
    switch(&a, "bob", PromptIfUnsyncedData);
    switch(&a, "bob", KeepLocal);
    a.run(a.engine.users().logout("bob", Default::default()))
        .unwrap();
    switch(&a, "ann", KeepLocal);
    a.run(a.engine.close());

    let mut told = Vec::new();
    while let Some(event) = a.run(reader.next()) {
        let event: serde_json::Value = serde_json::from_str(&event.text).unwrap();
        told.push((
            event["userId"].clone(),
            event["previousUserId"].clone(),
            event["hadUnsyncedData"].clone(),
        ));
    }
    let expected = [
        ("bob".into(), "ann".into(), true.into()),
        ("ann".into(), serde_json::Value::Null, false.into()),
    ];
    assert_eq!(told, expected, "only what has happened");
    assert_eq!(a.engine.metrics().user_switches, 2);
}
