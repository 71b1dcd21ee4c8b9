//! Tabs of one user beside each other: one status in all of them, one cycle at a time, and what a pause,
//! a sign-out and a frozen tab mean to the others.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects, missing_docs)]

mod support;

use datum_sync::datum::auto::Signal;
use datum_sync::error::Code;
use datum_sync::status::{Phase, SkipReason, State, SyncStatus};
use support::live::{AUTO, MINUTE, create};
use support::lives::{Life, together, turn, until};
use support::world::{Device, Fault, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

fn with_strategy(device: Device, strategy: &str) -> Device {
    device.with_config(&format!(r#"{{"entities":{{"tasks":{{}}}},"retry":{{"maxAttempts":1}},"syncRequestStrategy":"{strategy}"}}"#))
}

/// Snapshots from the beginning of the first cycle on: their progress grows, and they end once.
fn assert_one_cycle(shown: &[SyncStatus]) {
    let first = shown.iter().position(|status| status.status == State::Syncing).expect("the cycle was seen");
    let (mut progress, mut ends) = (0.0, 0);
    for status in &shown[first..] {
        assert!(ends == 0 || status.is_terminal(), "after its end: {status:?}");
        assert!(status.progress >= progress, "{} after {progress}", status.progress);
        progress = status.progress;
        ends += u32::from(status.is_terminal() && ends == 0);
    }
    assert_eq!(ends, 1);
}

#[test]
fn a_cycle_is_shown_the_same_in_every_tab_while_it_runs_and_after_it() {
    for (fault, expected) in [(None, State::Completed), (Some(Fault::Status(503, None)), State::Failed)] {
        let world = World::new();
        let laptop = world.device("laptop").open();
        for n in 0..3 {
            laptop.create(&format!(r#"{{"title":"{n}"}}"#));
        }
        laptop.sync();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (Life::of(a), Life::of(b));
        together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(3_000));
            phone.fault("/pull", Fault::Slow(3_000));
            if let Some(fault) = fault {
                phone.wire.faults.borrow_mut()[1] = ("/pull", fault);
            }
            a.sync(r#"{"overrideBatchSize":1}"#);
            until(&a, || b.status().phase == Some(Phase::Pushing)).await;
            assert_eq!(b.common(), a.common());
            if expected == State::Completed {
                until(&a, || b.status().phase == Some(Phase::Pulling)).await;
                assert!(b.status().progress >= 0.5 && b.status().last_started_at.is_some());
                assert_eq!(b.common(), a.common());
            }
            until(&a, || a.status().is_terminal()).await;
            turn().await;
        });
        assert_eq!((a.status().status, b.common()), (expected, a.common()));
        assert_eq!(b.status().errors.len(), usize::from(expected == State::Failed));
        assert_eq!(b.status().last_completed_at.is_some(), expected == State::Completed);
        assert_eq!(b.tab.run(b.tab.engine.last_result("ann")).unwrap(), a.tab.run(a.tab.engine.last_result("ann")).unwrap());
        assert_one_cycle(&a.shown.borrow());
        assert_one_cycle(&b.shown.borrow());
    }
}

#[test]
fn a_tab_that_is_opened_during_a_cycle_elsewhere_sees_it() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.run(b.engine.logout("ann", Default::default())).unwrap();
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(30_000));
        a.sync("{}");
        until(&a, || a.status().phase == Some(Phase::Pulling)).await;
        assert_eq!(b.status().status, State::Idle);
        b.tab.engine.sign_in("ann").await.unwrap();
        turn().await;
        assert_eq!((b.status().phase, b.common()), (Some(Phase::Pulling), a.common()));
        until(&a, || a.status().is_terminal()).await;
        turn().await;
        assert_eq!((b.status().status, b.common()), (State::Completed, a.common()));
    });
}

#[test]
fn a_tab_that_dies_or_freezes_while_it_syncs_is_not_believed_for_ever() {
    for (frozen, says_so) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (Life::of(a), Life::of(b));
        together(&[&a, &b], async {
            phone.fault("/pull", Fault::Slow(40_000));
            a.sync("{}");
            until(&b, || b.status().status == State::Syncing).await;
            // Longer than a silent tab would be believed: it is not silent.
            b.tab.engine.host().clock.sleep(25_000).await;
            assert_eq!(b.status().status, State::Syncing);
            if says_so {
                a.tab.engine.put_away();
            }
            if frozen {
                a.frozen.set(true)
            } else {
                a.kill()
            }
            b.tab.engine.host().clock.sleep(if says_so { 1 } else { 20_000 }).await;
            assert_eq!((b.status().status, b.status().phase), (State::Cancelled, None));
            if frozen {
                a.frozen.set(false);
                until(&b, || a.status().is_terminal()).await;
                turn().await;
                assert_eq!((b.status().status, b.common()), (State::Completed, a.common()), "it came back and ended well");
            }
        });
        let shown = b.shown.borrow();
        let backwards = shown.windows(2).find(|pair| pair[0].status == State::Syncing && pair[1].progress < pair[0].progress);
        assert_eq!(backwards, None);
    }
}

#[test]
fn a_frozen_tab_loses_the_lock_and_stops_its_cycle_when_it_wakes_up() {
    for strategy in ["sequential", "joinInFlight", "skipConcurrent"] {
        let world = World::new();
        let phone = with_strategy(world.device("phone"), strategy);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (Life::of(a), Life::of(b));
        together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(3_600_000));
            a.sync(r#"{"timeout":3600000}"#);
            until(&b, || b.status().status == State::Syncing).await;
            a.frozen.set(true);
            phone.requests();
            let began = world.clock.now();
            while b.ended.borrow().last().is_none_or(|ended| ended.as_ref().unwrap().was_skipped) {
                b.sync("{}");
                let tries = b.ended.borrow().len();
                until(&b, || b.ended.borrow().len() > tries).await;
                b.tab.engine.host().clock.sleep(1_000).await;
                assert!(world.clock.now() - began < MINUTE, "{strategy}: the lock is never given back");
            }
            assert!(b.ended.borrow().last().unwrap().as_ref().unwrap().is_success, "{strategy}");
            assert!(world.clock.now() - began >= 15_000, "{strategy}: not before the other had been silent for long");
            a.frozen.set(false);
            until(&b, || !a.ended.borrow().is_empty()).await;
            turn().await;
            let ended = a.ended.borrow()[0].clone().unwrap();
            assert!(ended.was_cancelled && !ended.is_success, "{strategy}: {ended:?}");
            assert_eq!(a.common(), b.common(), "{strategy}: both show the later cycle");
            assert_eq!((b.status().status, b.status().pending_operations), (State::Completed, 0));
            a.sync("{}");
            until(&b, || a.ended.borrow().len() == 2).await;
            assert!(a.ended.borrow()[1].as_ref().unwrap().is_success, "{strategy}: and it can sync again");
        });
        assert_eq!(world.server.rows("ann").len(), 1, "{strategy}: pushed once, whoever did it");
        assert!(a.shown.borrow().iter().any(|status| status.status == State::Cancelled), "{strategy}");
    }
}

#[test]
fn a_call_while_another_tab_syncs_does_what_the_request_strategy_says() {
    for (strategy, fails) in [("sequential", false), ("skipConcurrent", false), ("joinInFlight", false), ("joinInFlight", true)] {
        let world = World::new();
        let phone = with_strategy(world.device("phone"), strategy);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (Life::of(a), Life::of(b));
        together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(2_000));
            if fails {
                phone.fault("/pull", Fault::Status(403, None));
            }
            a.sync("{}");
            until(&b, || b.status().status == State::Syncing).await;
            b.sync("{}");
            until(&b, || !a.ended.borrow().is_empty() && !b.ended.borrow().is_empty()).await;
            turn().await;
        });
        let (ours, theirs) = (a.ended.borrow()[0].clone(), b.ended.borrow()[0].clone());
        let pushes = phone.requests().iter().filter(|request| *request == "POST /pull").count();
        match (strategy, fails) {
            ("sequential", _) => {
                assert_eq!((ours.unwrap().pushed_count, theirs.unwrap().pushed_count, pushes), (1, 0, 2), "one after the other");
            }
            ("skipConcurrent", _) => {
                let theirs = theirs.unwrap();
                assert_eq!((theirs.was_skipped, theirs.skip_reason, pushes), (true, Some(SkipReason::InProgress), 1));
            }
            (_, true) => {
                let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
                assert_eq!((ours.code(), ours.message(), pushes), (Code::Forbidden, theirs.message(), 1));
                assert_eq!(ours.status(), theirs.status());
            }
            _ => {
                let ours = ours.unwrap();
                assert_eq!((ours.pushed_count, pushes), (1, 1));
                assert_eq!(ours, theirs.unwrap(), "the same result, all of it");
            }
        }
        assert_eq!(a.common(), b.common(), "{strategy}");
    }
}

#[test]
fn a_joined_cycle_that_died_with_its_tab_is_run_here() {
    let world = World::new();
    let phone = with_strategy(world.device("phone"), "joinInFlight");
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        create(&a.tab.engine, "ann", "milk").await;
        phone.fault("/push", Fault::Slow(5_000));
        a.sync("{}");
        until(&b, || b.status().status == State::Syncing).await;
        b.sync("{}");
        b.tab.engine.host().clock.sleep(1_000).await;
        // The browser frees what it held.
        a.kill();
        until(&b, || !b.ended.borrow().is_empty()).await;
    });
    assert_eq!(b.ended.borrow()[0].as_ref().unwrap().pushed_count, 1);
}

#[test]
fn two_cycles_at_once_where_no_lock_holds_are_never_mixed() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b, c) = (phone.open(), phone.open(), phone.open());
    let (a, b, c) = (Life::of(a), Life::of(b), Life::of(c));
    together(&[&a, &b, &c], async {
        phone.fault("/pull", Fault::Slow(2_000));
        a.sync("{}");
        until(&c, || c.status().phase == Some(Phase::Pulling)).await;
        phone.locks.borrow_mut().clear();
        phone.fault("/pull", Fault::Slow(4_000));
        b.sync("{}");
        until(&c, || b.status().status == State::Syncing).await;
        turn().await;
        assert_eq!(c.common(), b.common(), "the later one");
        until(&c, || a.ended.borrow().len() + b.ended.borrow().len() == 2).await;
        turn().await;
    });
    assert_eq!((a.common(), c.common()), (b.common(), b.common()));
    let shown = c.shown.borrow();
    let cycles: Vec<_> = shown.iter().filter(|status| status.status == State::Syncing).collect();
    for pair in cycles.windows(2) {
        assert!(pair[0].last_started_at <= pair[1].last_started_at, "back to the earlier one");
        assert!(pair[0].last_started_at < pair[1].last_started_at || pair[0].progress <= pair[1].progress, "backwards");
    }
    assert_eq!(shown.iter().filter(|status| status.is_terminal()).count(), 1, "of the later one: {shown:?}");
}

#[test]
fn the_next_cycle_is_told_to_every_tab_by_the_one_that_leads() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        a.tab.engine.signal(Signal::Leader(true));
        until(&a, || a.status().next_sync_at.is_some()).await;
        turn().await;
        assert_eq!(b.common(), a.common());
        assert_eq!((a.status().is_leader, b.status().is_leader), (true, false));
        assert_eq!(b.tab.engine.next_sync_time("ann"), a.tab.engine.next_sync_time("ann"));
        a.tab.engine.host().clock.sleep(16 * MINUTE).await;
        turn().await;
        assert_eq!((a.status().status, b.common()), (State::Completed, a.common()), "after an automatic cycle too");
        let planned = b.status().next_sync_at;
        assert!(planned.is_some());
        a.tab.engine.put_away();
        turn().await;
        assert_eq!(b.status().next_sync_at, None, "nobody plans");
        b.tab.engine.signal(Signal::Leader(true));
        a.tab.engine.signal(Signal::Leader(false));
        turn().await;
        turn().await;
        assert!(b.status().next_sync_at.is_some());
        assert_eq!((a.common(), a.status().is_leader), (b.common(), false));
    });
}

#[test]
fn a_pause_and_its_end_hold_in_every_tab_of_the_user() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(5_000));
        b.sync("{}");
        until(&a, || a.status().status == State::Syncing).await;
        a.tab.engine.pause(Some("ann")).await.unwrap();
        until(&a, || !b.ended.borrow().is_empty()).await;
        assert!(b.ended.borrow()[0].as_ref().unwrap().was_cancelled, "the cycle in flight stops, whichever tab runs it");
        turn().await;
        assert_eq!((a.status().status, b.status().status), (State::Paused, State::Paused));
        b.sync("{}");
        until(&a, || b.ended.borrow().len() == 2).await;
        assert_eq!(b.ended.borrow()[1].as_ref().unwrap().skip_reason, Some(SkipReason::Paused));
        b.tab.engine.resume(None).await.unwrap();
        turn().await;
        assert_eq!((a.status().status, b.status().status), (State::Cancelled, State::Cancelled), "as the last cycle ended");
        a.tab.engine.pause(None).await.unwrap();
        turn().await;
    });
    let opened_later = phone.open();
    let d = Life::of(opened_later);
    together(&[&a, &d], async {
        until(&a, || d.status().status == State::Paused).await;
    });
}

#[test]
fn a_wipe_in_one_tab_leaves_nothing_in_the_others_and_nothing_comes_back() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        b.tab.engine.signal(Signal::Leader(true));
        create(&b.tab.engine, "ann", "private").await;
        turn().await;
        let wipe = datum_sync::datum::users::LogoutOptions { flush: 0, wipe: true, force: true };
        a.tab.engine.logout("ann", wipe).await.unwrap();
        turn().await;
        assert_eq!(b.tab.engine.current_user(), None, "signed out there too");
        assert!(b.tab.engine.opened("ann").is_none());
        b.tab.engine.host().clock.sleep(20 * MINUTE).await;
    });
    assert!(phone.requests().iter().all(|request| request != "POST /push"), "nothing of it was sent, or saved again");
    assert!(b.tab.run(b.tab.engine.user_ids()).unwrap().is_empty(), "and nothing is on the device");
    assert_eq!(b.status().status, State::Idle);
}

#[test]
fn a_sign_out_and_a_switch_concern_one_tab() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        a.tab.engine.switch_user(None, "bob", None).await.unwrap();
        a.tab.engine.logout("ann", Default::default()).await.unwrap();
        turn().await;
        assert_eq!((a.tab.engine.current_user().as_deref(), b.tab.engine.current_user().as_deref()), (Some("bob"), Some("ann")));
        create(&b.tab.engine, "ann", "milk").await;
        b.sync("{}");
        until(&b, || !b.ended.borrow().is_empty()).await;
        assert!(b.ended.borrow()[0].as_ref().unwrap().is_success);
    });
    assert_eq!(a.tab.run(a.tab.engine.status_hub("bob").map(|hub| std::future::ready(hub.current().status)).unwrap()), State::Idle);
}

#[test]
fn words_that_make_no_sense_change_nothing() {
    let world = World::new();
    let a = world.device("phone").open();
    let before = a.engine.status_hub("ann").unwrap().current();
    for word in [
        "",
        "null",
        "[]",
        "{",
        r#"{"tab":1}"#,
        r#"{"tab":"x","word":-1,"status":7}"#,
        r#"{"tab":2,"word":1,"status":{"status":"sleeping"},"began":{}}"#,
        "\u{0}",
    ] {
        a.run(a.engine.heard_word("ann", word));
        a.run(a.engine.heard_word("nobody", word));
    }
    assert_eq!(a.engine.status_hub("ann").unwrap().current(), before);
    assert!(a.sync().is_success);
}

#[test]
fn an_instance_that_is_closed_while_it_syncs_tells_the_others_how_it_ended() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(30_000));
        a.sync("{}");
        until(&b, || b.status().phase == Some(Phase::Pulling)).await;
        a.tab.engine.close().await;
        turn().await;
    });
    assert_eq!((b.status().status, b.status().errors[0].code), (State::Failed, Code::Closed));
    assert_eq!(b.shown.borrow().iter().filter(|status| status.is_terminal()).count(), 1);
}

#[test]
fn a_clock_that_is_set_back_hides_no_cycle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        b.sync("{}");
        until(&a, || a.status().status == State::Completed).await;
        for life in [&a, &b] {
            life.tab.engine.host().skew.set(-3_600_000);
        }
        phone.fault("/pull", Fault::Status(503, None));
        a.sync("{}");
        until(&a, || a.status().status == State::Failed).await;
        turn().await;
    });
    assert_eq!(b.common(), a.common());
}
