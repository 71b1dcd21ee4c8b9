//! Why an operation has not been sent: each trouble, in words that name what mends it.

use std::rc::Rc;

use crate::support::auto_sync::{AUTO, leader_tab};
use crate::support::world::{Device, Fault, FnResolver, Tab, World};
use datum_server::MemoryServer;
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::cycle::resolvers::Resolvers;
use datum_sync::engine::explain::Reason;
use datum_sync::engine::explain::operation::{OperationExplanation, WaitState};
use datum_sync::model::error::{Code, Error};

const FAMILY: &str = r#"{"entities":{"tasks":{"relations":{"parent":{"belongsTo":"tasks","foreignKey":"parent"}}}},
    "autoStartSync":true,"coldStart":{"strategy":"disabled"},"defaultConflictResolver":"ask","retry":{"maxAttempts":1,"jitter":"none","initial":2000}}"#;

fn operations(tab: &Tab) -> Vec<String> {
    let pending = tab.run(tab.engine.pending().list("ann")).unwrap();
    pending.into_iter().map(|pending| pending.op_id).collect()
}

fn explain(tab: &Tab, op_id: &str) -> OperationExplanation {
    let user = tab.engine.opened("ann").unwrap();
    tab.engine.explanations().operation(&user, op_id).unwrap()
}

/// Asserts what keeps the last operation, and that the text names what mends it.
fn last(tab: &Tab, state: WaitState, reason: Reason, mends: &str) -> OperationExplanation {
    let explained = explain(tab, operations(tab).last().unwrap());
    let first = &explained.reasons[0];
    assert_eq!(
        (explained.state, first.reason),
        (state, reason),
        "{explained:?}"
    );
    assert!(first.because.contains(mends), "{}", first.because);
    explained
}

/// A leader that has synced, and has one write pending.
fn waiting(world: &World, config: &str) -> (Device, Tab) {
    let phone = world.device("phone").with_config(config);
    let tab = leader_tab(&phone);
    tab.sync();
    tab.create(r#"{"id":"t","title":"milk"}"#);
    (phone, tab)
}

#[test]
fn an_operation_that_goes_by_itself_says_when() {
    let world = World::new();
    let (phone, tab) = waiting(&world, AUTO);
    let explained = last(&tab, WaitState::Waiting, Reason::Write, "syncAfterWrite");
    assert!(explained.reasons[0].until.is_some());
    assert_eq!((&*explained.entity, &*explained.entity_id), ("tasks", "t"));

    let sent = operations(&tab)[0].clone();
    phone.fault("/push", Fault::Status(429, Some(60_000)));
    tab.sync_with("{}").unwrap_err();
    let explained = explain(&tab, &sent);
    assert_eq!(explained.reasons[0].reason, Reason::RetryAfter);
    assert_eq!(
        explained.reasons[0].error.as_ref().unwrap().code,
        Code::RateLimited
    );

    tab.sync();
    let user = tab.engine.opened("ann").unwrap();
    let gone = tab.engine.explanations().operation(&user, &sent);
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
}

#[test]
fn offline_paused_and_without_automatic_cycles() {
    let world = World::new();
    let (_phone, tab) = waiting(&world, AUTO);
    tab.engine.host().online.set(false);
    tab.engine.network_changed(false);
    assert!(tab.sync_with("{}").unwrap().was_skipped);
    last(&tab, WaitState::Stopped, Reason::Offline, "network");
    tab.engine.host().online.set(true);
    tab.engine.network_changed(true);

    tab.run(tab.engine.pauses().pause(Some("ann"))).unwrap();
    last(&tab, WaitState::Stopped, Reason::Paused, "resumeSync");
    tab.run(tab.engine.pauses().resume(Some("ann"))).unwrap();

    tab.engine.auto_sync().stop(None).unwrap();
    last(&tab, WaitState::Stopped, Reason::NotStarted, "synchronize");
}

#[test]
fn a_refused_token_and_a_proxy_that_refuses() {
    let world = World::new();
    let (phone, tab) = waiting(&world, AUTO);
    phone.fault("/push", Fault::Status(401, None));
    tab.sync_with("{}").unwrap_err();
    let explained = last(&tab, WaitState::Stopped, Reason::Stopped, "headers");
    assert_eq!(
        explained.reasons[0].error.as_ref().unwrap().code,
        Code::Unauthorized
    );
    tab.run(tab.engine.pauses().resume(None)).unwrap();

    phone.fault("/push", Fault::Page(403));
    phone.fault("/pull", Fault::Page(403));
    tab.sync_with("{}").unwrap_err();
    let explained = last(&tab, WaitState::Waiting, Reason::Retry, "HTTP 403");
    assert!(explained.reasons[0].until.is_some());
}

#[test]
fn another_tab_leads() {
    let world = World::new();
    let (_phone, tab) = waiting(&world, AUTO);
    tab.engine.auto_sync().signal(Signal::Leader(false));
    let plan = r#"{"tab":99,"word":1,"head":0,"leads":true,"status":{"nextSyncAt":"2030-01-01T00:00:00.000Z"}}"#;
    tab.run(tab.engine.tabs().on_message("ann", plan));
    last(&tab, WaitState::Waiting, Reason::OtherTab, "Another tab");
}

#[test]
fn a_parked_conflict_and_the_operation_behind_it() {
    let world = World::new();
    let a = world.device("laptop").open();
    let phone = world.device("phone").with_config(FAMILY);
    let b = leader_tab(&phone);
    a.create(r#"{"id":"t","title":"theirs"}"#);
    a.sync();
    b.create(r#"{"id":"t","title":"mine"}"#);
    b.sync();
    let explained = last(&b, WaitState::Stopped, Reason::Conflict, "resolveConflict");
    let conflict = explained.reasons[0].blocked_by.clone();
    assert!(conflict.is_some());
    assert_eq!(explained.reasons.len(), 1, "{explained:?}");

    b.create(r#"{"id":"child","parent":"t"}"#);
    let child = last(&b, WaitState::Stopped, Reason::Blocked, "resolveConflict");
    assert_eq!(child.entity_id, "child");
    assert_eq!(child.reasons[0].blocked_by, conflict);

    // A pause keeps it as well.
    b.run(b.engine.pauses().pause(None)).unwrap();
    let both = last(&b, WaitState::Stopped, Reason::Blocked, "resolveConflict");
    assert_eq!(both.reasons[1].reason, Reason::Paused);
}

#[test]
fn a_postponed_parent_and_its_child_go_by_themselves() {
    let world = World::new();
    let (phone, tab) = waiting(&world, FAMILY);
    let op = operations(&tab)[0].clone();
    let postponed = format!(
        r#"{{"results":[{{"opId":"{op}","status":"retry","code":"busy","retryAfterMs":60000}}]}}"#
    );
    phone.fault("/push", Fault::Answered(postponed));
    tab.sync_with(r#"{"direction":"pushOnly"}"#).unwrap();
    let parent = explain(&tab, &op);
    assert_eq!(parent.reasons[0].reason, Reason::Postponed, "{parent:?}");
    assert!(parent.reasons[0].until.is_some() && parent.state == WaitState::Waiting);

    tab.create(r#"{"id":"child","parent":"t"}"#);
    let child = last(&tab, WaitState::Waiting, Reason::Blocked, "postponed");
    assert_eq!(child.reasons[0].blocked_by.as_deref(), Some(&*op));
    assert_eq!(child.reasons[0].until, parent.reasons[0].until);
}

#[test]
fn a_dead_letter_tells_what_the_remote_said() {
    let world = World::new();
    let (_phone, tab) = waiting(&world, AUTO);
    world.server.configure(|config| config.max_entity_bytes = 5);
    let op = operations(&tab)[0].clone();
    tab.sync();
    let explained = explain(&tab, &op);
    assert_eq!(explained.state, WaitState::DeadLetter);
    assert_eq!(explained.reasons[0].reason, Reason::DeadLetter);
    assert!(explained.reasons[0].because.contains("tooLarge"));
    assert!(explained.reasons[0].because.contains("retryDeadLetter"));
}

#[test]
fn another_server_answers() {
    let world = World::new();
    let (phone, tab) = waiting(&world, AUTO);
    phone
        .remote
        .elsewhere
        .replace(Some(MemoryServer::new("epoch-9")));
    tab.sync_with("{}").unwrap_err();
    let explained = last(
        &tab,
        WaitState::Stopped,
        Reason::OtherServer,
        "acceptServer",
    );
    assert_eq!(
        explained.reasons[0].error.as_ref().unwrap().code,
        Code::OtherServer
    );
    // Once the app has accepted it, the next cycle sends it.
    tab.run(tab.engine.users().accept_server("ann", true))
        .unwrap();
    let offered = explain(&tab, operations(&tab).last().unwrap());
    assert_ne!(
        offered.reasons[0].reason,
        Reason::OtherServer,
        "{offered:?}"
    );
}

#[test]
fn a_conflict_whose_resolver_failed_is_asked_about_again() {
    let world = World::new();
    let failing = Resolvers {
        fallback: Some(Rc::new(FnResolver(|_: &_| {
            Err(Error::new(Code::Conflict, "no idea"))
        }))),
        ..Resolvers::default()
    };
    let (a, b) = (
        world.device("phone").open(),
        world.device("laptop").open_with(failing),
    );
    a.create(r#"{"id":"t","title":"theirs"}"#);
    a.sync();
    b.create(r#"{"id":"t","title":"mine"}"#);
    for _ in 0..2 {
        b.sync_with("{}").unwrap();
        let explained = explain(&b, &operations(&b)[0]);
        let first = &explained.reasons[0];
        assert_eq!(first.reason, Reason::Conflict);
        assert!(first.because.contains("asks it again"), "{explained:?}");
    }
    b.sync_with("{}").unwrap();
    last(&b, WaitState::Stopped, Reason::Conflict, "resolveConflict");
}

#[test]
fn a_write_into_a_space_goes_by_itself_once_it_is_known_whether_there_are_spaces() {
    let world = World::new();
    let tab = leader_tab(&world.device("phone").with_config(AUTO));
    tab.run(tab.engine.spaces().create("ann", "home")).unwrap();
    let space = last(&tab, WaitState::Waiting, Reason::Space, "a pull");
    assert_eq!(space.entity, "$space");
    tab.sync();
    assert!(operations(&tab).is_empty());
}

#[test]
fn storage_that_is_full_and_a_clock_that_is_wrong() {
    let world = World::new();
    let (phone, tab) = waiting(&world, AUTO);
    let failing = phone.store().failing;
    failing.borrow_mut().resize(20, Code::StorageFull);
    tab.sync_with("{}").unwrap_err();
    failing.borrow_mut().clear();
    last(&tab, WaitState::Waiting, Reason::Storage, "Free space");

    // Measured: the request took a second.
    tab.engine.host().skew.set(-599_000);
    tab.sync();
    tab.create(r#"{"title":"bread"}"#);
    phone.fault("/push", Fault::Status(401, None));
    tab.sync_with("{}").unwrap_err();
    let explained = last(&tab, WaitState::Stopped, Reason::Clock, "10 minutes behind");
    assert_eq!(explained.reasons[1].reason, Reason::Stopped);
    // A clock that is wrong keeps nothing while all else works.
    tab.sync();
    tab.create(r#"{"title":"tea"}"#);
    last(&tab, WaitState::Waiting, Reason::Write, "syncAfterWrite");
}

#[test]
fn what_the_config_keeps_back() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let tab = leader_tab(&phone);
    tab.create(r#"{"id":"t","title":"milk"}"#);
    tab.sync();
    tab.run(tab.engine.close());
    let config = r#"{"entities":{"tasks":{}},"autoStartSync":true,"coldStart":{"strategy":"disabled"},"defaultSyncOptions":{"includeDeletes":false}}"#;
    let phone = phone.with_config(config);
    let tab = leader_tab(&phone);
    assert!(tab.delete("t"));
    last(
        &tab,
        WaitState::Stopped,
        Reason::DeletesHeld,
        "includeDeletes",
    );
    tab.run(tab.engine.close());

    let config = r#"{"entities":{"tasks":{}},"autoStartSync":true,"coldStart":{"strategy":"disabled"},"defaultSyncDirection":"pullOnly"}"#;
    let phone = phone.with_config(config);
    let tab = leader_tab(&phone);
    last(&tab, WaitState::Stopped, Reason::PullOnly, "direction");
    tab.run(tab.engine.close());

    let config =
        r#"{"entities":{"notes":{}},"autoStartSync":true,"coldStart":{"strategy":"disabled"}}"#;
    let phone = phone.with_config(config);
    let tab = leader_tab(&phone);
    last(&tab, WaitState::Stopped, Reason::UnnamedType, "entities");
}

#[test]
fn one_in_flight_and_what_was_written_behind_it() {
    let world = World::new();
    let (phone, tab) = waiting(&world, AUTO);
    phone.fault("/push", Fault::Slow(500));
    let sync = tab
        .engine
        .synchronize("ann", Default::default(), None, Default::default());
    let look = async {
        tab.clock.sleep(100).await;
        let write = datum_sync::plan::write::Write::Patch {
            id: "t".to_owned(),
            changes: r#"{"title":"more milk"}"#.to_owned(),
        };
        let entities = tab.engine.entities();
        entities.write("ann", "tasks", vec![write]).await.unwrap();
        let pending = tab.engine.pending().list("ann").await.unwrap();
        let ids = pending.iter().map(|pending| &*pending.op_id);
        ids.map(|op_id| explain(&tab, op_id)).collect::<Vec<_>>()
    };
    let (result, explained) = tab.run(futures_util::future::join(sync, look));
    result.unwrap();
    let seen: Vec<_> = explained
        .iter()
        .map(|explained| (explained.state, explained.reasons[0].reason))
        .collect();
    assert_eq!(
        seen,
        [
            (WaitState::InFlight, Reason::InFlight),
            (WaitState::Waiting, Reason::Blocked)
        ]
    );
}
