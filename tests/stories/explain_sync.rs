//! Why the next automatic cycle is when it is, or why there is none.

use crate::support::auto_sync::{AUTO, MINUTE, leader_tab, with_auto_sync};
use crate::support::world::{Device, Fault, Tab, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::explain::{NextSyncExplanation, Reason};
use datum_sync::model::error::Code;

fn why(tab: &Tab) -> NextSyncExplanation {
    tab.engine.explanations().next_sync("ann").unwrap()
}

fn leading(world: &World) -> (Device, Tab) {
    let phone = world.device("phone").with_config(AUTO);
    let tab = leader_tab(&phone);
    tab.sync();
    (phone, tab)
}

/// Asserts that no cycle is planned, and that the text names what mends it.
fn none(tab: &Tab, reason: Reason, mends: &str) {
    let why = why(tab);
    assert_eq!((why.reason, &why.at), (reason, &None), "{why:?}");
    assert!(why.because.contains(mends), "{}", why.because);
}

/// Asserts that a cycle is planned so many milliseconds from now, as `nextSyncTime` says too.
fn planned(tab: &Tab, reason: Reason, in_ms: std::ops::RangeInclusive<u64>) {
    let why = why(tab);
    assert_eq!(why.reason, reason, "{why:?}");
    let at = datum_sync::util::time::parse(why.at.as_deref().unwrap()).unwrap();
    assert_eq!(tab.engine.auto_sync().next_sync_time("ann"), Some(at));
    let left = at - tab.clock.now();
    assert!(in_ms.contains(&left), "{left}");
}

#[test]
fn a_planned_cycle_says_what_begins_it() {
    let world = World::new();
    let (phone, tab) = leading(&world);
    planned(&tab, Reason::Interval, 13 * MINUTE..=17 * MINUTE);

    tab.create(r#"{"title":"milk"}"#);
    planned(&tab, Reason::Write, 900..=1_000);

    let push = r#"{"direction":"pushOnly"}"#;
    phone.fault("/push", Fault::Status(503, None));
    tab.sync_with(push).unwrap_err();
    planned(&tab, Reason::Retry, 1_900..=2_000);
    assert_eq!(why(&tab).error.unwrap().code, Code::ServerError);
    assert!(why(&tab).because.contains("HTTP 503"));

    phone.fault("/push", Fault::Status(429, Some(45_000)));
    tab.sync_with(push).unwrap_err();
    planned(&tab, Reason::RetryAfter, 44_000..=45_000);

    // A sign-in page of a hotel, or a proxy that refuses: it may go away unnoticed.
    phone.fault("/push", Fault::Page(403));
    tab.clock.advance(50_000);
    tab.sync_with(push).unwrap_err();
    let portal = why(&tab);
    assert_eq!(portal.error.unwrap().status, Some(403));
    assert!(portal.at.is_some());

    tab.sync();
    planned(&tab, Reason::Interval, 13 * MINUTE..=17 * MINUTE);
    assert_eq!(why(&tab).error, None);
}

#[test]
fn a_cycle_at_once_has_no_time() {
    let world = World::new();
    let (_phone, tab) = leading(&world);
    tab.engine.auto_sync().signal(Signal::Hint("ann"));
    let hint = why(&tab);
    assert_eq!((hint.reason, hint.at), (Reason::Hint, None));
    tab.clock.advance(MINUTE);
    tab.engine.auto_sync().signal(Signal::Online);
    assert_eq!(why(&tab).reason, Reason::Resumed);
}

#[test]
fn a_sign_in_with_a_cold_start_says_so() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"autoStartSync":true,"coldStart":{"delay":3000}}"#;
    let tab = leader_tab(&world.device("phone").with_config(config));
    planned(&tab, Reason::SignIn, 2_900..=3_000);
}

#[test]
fn what_keeps_cycles_from_beginning_is_named_with_what_mends_it() {
    let world = World::new();
    let (phone, tab) = leading(&world);
    let engine = &tab.engine;

    tab.run(engine.pauses().pause(None)).unwrap();
    none(&tab, Reason::Paused, "resumeSync");
    tab.run(engine.pauses().resume(None)).unwrap();

    engine.auto_sync().signal(Signal::Hidden);
    none(&tab, Reason::Hidden, "visible");
    engine.auto_sync().signal(Signal::Visible);

    for (status, code, mends) in [
        (401, Code::Unauthorized, "switchUser"),
        (403, Code::Forbidden, "resumeSync"),
        (426, Code::ClientOutdated, "newer version"),
    ] {
        phone.fault("/pull", Fault::Status(status, None));
        tab.sync_with("{}").unwrap_err();
        none(&tab, Reason::Stopped, mends);
        assert_eq!(why(&tab).error.unwrap().code, code);
        tab.sync();
        assert_eq!(why(&tab).reason, Reason::Interval);
    }

    engine.auto_sync().stop(None).unwrap();
    none(&tab, Reason::NotStarted, "startAutoSync");
    engine.auto_sync().start("ann", None).unwrap();

    engine.host().online.set(false);
    engine.network_changed(false);
    // Nobody has tried yet: the browser may be wrong.
    assert_eq!(why(&tab).reason, Reason::Interval);
    assert!(tab.sync_with("{}").unwrap().was_skipped);
    none(&tab, Reason::Offline, "network is back");
    engine.host().online.set(true);
    engine.network_changed(true);
    assert_eq!(why(&tab).reason, Reason::Interval);

    tab.run(engine.close());
    none(&tab, Reason::Closed, "Datum.initialize");
}

#[test]
fn another_tab_that_leads_is_named_with_its_plan() {
    let world = World::new();
    let (_phone, tab) = leading(&world);
    tab.engine.auto_sync().signal(Signal::Leader(false));
    none(&tab, Reason::Electing, "takes over");
    let plan = |word: u64, status: &str| {
        let message =
            format!(r#"{{"tab":99,"word":{word},"head":0,"leads":true,"status":{status}}}"#);
        tab.run(tab.engine.tabs().on_message("ann", &message));
    };
    plan(1, r#"{"nextSyncAt":"2030-01-01T00:00:00.000Z"}"#);
    let other = why(&tab);
    assert_eq!(
        (other.reason, other.at.as_deref()),
        (Reason::OtherTab, Some("2030-01-01T00:00:00.000Z"))
    );
    plan(2, "{}");
    none(&tab, Reason::OtherTab, "synchronize");
}

#[test]
fn a_hidden_tab_tells_of_what_would_keep_it_in_any_case() {
    let world = World::new();
    let (phone, tab) = leading(&world);
    phone.fault("/pull", Fault::Status(401, None));
    tab.sync_with("{}").unwrap_err();
    tab.engine.auto_sync().signal(Signal::Hidden);
    none(&tab, Reason::Stopped, "switchUser");
    // A browser takes the lead from a tab that is hidden.
    tab.engine.auto_sync().signal(Signal::Leader(false));
    none(&tab, Reason::Stopped, "switchUser");
    tab.sync();
    none(&tab, Reason::Hidden, "visible");
    tab.engine.auto_sync().stop(None).unwrap();
    none(&tab, Reason::NotStarted, "startAutoSync");
}

#[test]
fn users_without_cycles_are_told_why() {
    let world = World::new();
    let config = r#"{"entities":{"tasks":{}},"autoStartSync":true,"excludedSyncUserIds":["ann"]}"#;
    let tab = leader_tab(&world.device("phone").with_config(config));
    none(&tab, Reason::Excluded, "excludedSyncUserIds");
    let bob = tab.engine.explanations().next_sync("bob").unwrap();
    assert_eq!(bob.reason, Reason::NotOpen);
    assert!(bob.because.contains("switchUser"));
    let wrong = tab.engine.explanations().next_sync("").unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);

    // A user whose database is open, but who is not the current one.
    let world = World::new();
    let tab = leader_tab(&world.device("phone").with_config(AUTO));
    tab.create_for("bob", "his");
    let bob = tab.engine.explanations().next_sync("bob").unwrap();
    assert_eq!(bob.reason, Reason::NotStarted);
    assert!(
        bob.because.contains("not the current user"),
        "{}",
        bob.because
    );
}

#[test]
fn a_refused_token_resumes_nothing_where_nothing_was_started() {
    let world = World::new();
    let phone = world.device("phone");
    let tab = leader_tab(&phone);
    phone.fault("/pull", Fault::Status(401, None));
    tab.sync_with("{}").unwrap_err();
    none(&tab, Reason::NotStarted, "startAutoSync");
}

#[test]
fn a_running_cycle_is_the_reason_while_it_runs() {
    let world = World::new();
    let (phone, tab) = leading(&world);
    phone.fault("/pull", Fault::Slow(500));
    let seen = with_auto_sync(&tab, async {
        let sync = tab
            .engine
            .synchronize("ann", Default::default(), None, Default::default());
        let look = async {
            tab.clock.sleep(100).await;
            why(&tab).reason
        };
        futures_util::future::join(sync, look).await.1
    });
    assert_eq!(seen, Reason::Running);
}
