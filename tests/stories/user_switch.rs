//! Switching users: what each strategy does with operations that were not pushed.

use std::rc::Rc;

use super::user_support::{ONE_TRY, server_titles, switch};
use crate::support::world::{Fault, World};
use datum_sync::engine::users::UserSwitchResult;
use datum_sync::model::config::UserSwitch::{
    ClearAndFetch, KeepLocal, PromptIfUnsyncedData, SyncThenSwitch,
};
use datum_sync::model::error::Code;

fn code(result: &UserSwitchResult) -> Option<Code> {
    result.error.as_ref().map(|error| error.code)
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
        ["POST /pull", "POST /push", "PUT /metadata"],
        "a push only, once the epoch is known, and none for whom nothing waits"
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
