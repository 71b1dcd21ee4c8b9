//! Tabs of one user show one status, whichever of them syncs, dies or sleeps.

use crate::support::auto_sync::{AUTO, MINUTE, create};
use crate::support::cycle_ends::CycleEnds;
use crate::support::running_tabs::{RunningTab, let_all_run, run_together, wait_until};
use crate::support::world::{Fault, ONE_TRY, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::model::error::Code;
use datum_sync::model::status::{Phase, SyncState, SyncStatus};

/// Asserts that from the first cycle on progress grows, and that the cycle ends once.
fn assert_one_cycle(shown: &[SyncStatus]) {
    let first = shown
        .iter()
        .position(|status| status.status == SyncState::Syncing)
        .expect("the cycle was seen");
    let (mut progress, mut ends) = (0.0, 0);
    for status in &shown[first..] {
        assert!(
            ends == 0 || status.is_terminal(),
            "after its end: {status:?}"
        );
        assert!(
            status.progress >= progress,
            "{} after {progress}",
            status.progress
        );
        progress = status.progress;
        ends += u32::from(status.is_terminal() && ends == 0);
    }
    assert_eq!(ends, 1);
}

#[test]
fn a_cycle_is_shown_the_same_in_every_tab_while_it_runs_and_after_it() {
    for (fault, expected) in [
        (None, SyncState::Completed),
        (Some(Fault::Status(503, None)), SyncState::Failed),
    ] {
        let world = World::new();
        let laptop = world.device("laptop").open();
        for n in 0..3 {
            laptop.create(&format!(r#"{{"title":"{n}"}}"#));
        }
        laptop.sync();
        let phone = world.device("phone").with_config(ONE_TRY);
        phone.open().sync();
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (RunningTab::new(a), RunningTab::new(b));
        let before = b.status().last_completed_at;
        run_together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(3_000));
            phone.fault("/pull", Fault::Slow(3_000));
            if let Some(fault) = fault {
                phone.remote.faults.borrow_mut()[1] = ("/pull", fault);
            }
            a.sync(r#"{"overrideBatchSize":1}"#);
            wait_until(&a, || b.status().phase == Some(Phase::Pushing)).await;
            assert_eq!(b.common(), a.common());
            if expected == SyncState::Completed {
                wait_until(&a, || b.status().phase == Some(Phase::Pulling)).await;
                assert!(b.status().progress >= 0.5 && b.status().last_started_at.is_some());
                assert_eq!(b.common(), a.common());
            }
            wait_until(&a, || a.status().is_terminal()).await;
            let_all_run().await;
        });
        assert_eq!((a.status().status, b.common()), (expected, a.common()));
        assert_eq!(
            b.status().errors.len(),
            usize::from(expected == SyncState::Failed)
        );
        assert_eq!(
            b.status().last_completed_at != before,
            expected == SyncState::Completed
        );
        assert_eq!(
            b.tab
                .run(b.tab.engine.metadata().last_result("ann"))
                .unwrap(),
            a.tab
                .run(a.tab.engine.metadata().last_result("ann"))
                .unwrap()
        );
        assert_one_cycle(&a.shown.borrow());
        assert_one_cycle(&b.shown.borrow());
    }
}

#[test]
fn a_tab_that_is_opened_during_a_cycle_elsewhere_sees_it() {
    let world = World::new();
    let phone = world.device("phone");
    let (a, b) = (phone.open(), phone.open());
    b.run(b.engine.users().logout("ann", Default::default()))
        .unwrap();
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(30_000));
        a.sync("{}");
        wait_until(&a, || a.status().phase == Some(Phase::Pulling)).await;
        assert_eq!(b.status().status, SyncState::Idle);
        b.tab.engine.sign_in("ann").await.unwrap();
        let_all_run().await;
        assert_eq!(
            (b.status().phase, b.common()),
            (Some(Phase::Pulling), a.common())
        );
        wait_until(&a, || a.status().is_terminal()).await;
        let_all_run().await;
        assert_eq!(
            (b.status().status, b.common()),
            (SyncState::Completed, a.common())
        );
    });
}

#[test]
fn a_tab_that_dies_or_freezes_while_it_syncs_is_not_believed_for_ever() {
    for (frozen, says_so) in [(true, false), (true, true), (false, false), (false, true)] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (RunningTab::new(a), RunningTab::new(b));
        run_together(&[&a, &b], async {
            phone.fault("/pull", Fault::Slow(40_000));
            a.sync("{}");
            wait_until(&b, || b.status().status == SyncState::Syncing).await;
            // Longer than the limit for silent tabs; this one sends heartbeats.
            b.tab.engine.host().clock.sleep(25_000).await;
            assert_eq!(b.status().status, SyncState::Syncing);
            if says_so {
                a.tab.engine.tabs().leave_all();
            }
            if frozen {
                a.frozen.set(true)
            } else {
                a.kill()
            }
            b.tab
                .engine
                .host()
                .clock
                .sleep(match (says_so, frozen) {
                    (true, _) => 1,
                    // A crashed tab's lock is free, a sleeping tab's is not.
                    (_, false) => 5_000,
                    (_, true) => 16_000,
                })
                .await;
            assert_eq!(
                (b.status().status, b.status().phase),
                (SyncState::Cancelled, None)
            );
            if frozen {
                a.frozen.set(false);
                wait_until(&b, || a.status().is_terminal()).await;
                let_all_run().await;
                assert_eq!(
                    (b.status().status, b.common()),
                    (SyncState::Completed, a.common()),
                    "it came back and ended well"
                );
            }
        });
        let shown = b.shown.borrow();
        let backwards = shown.windows(2).find(|pair| {
            pair[0].status == SyncState::Syncing && pair[1].progress < pair[0].progress
        });
        assert_eq!(backwards, None);
    }
}

#[test]
fn two_cycles_at_once_where_no_lock_holds_are_never_mixed() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b, c) = (phone.open(), phone.open(), phone.open());
    let (a, b, c) = (RunningTab::new(a), RunningTab::new(b), RunningTab::new(c));
    run_together(&[&a, &b, &c], async {
        phone.fault("/pull", Fault::Slow(2_000));
        a.sync("{}");
        wait_until(&c, || c.status().phase == Some(Phase::Pulling)).await;
        phone.locks.borrow_mut().clear();
        phone.fault("/pull", Fault::Slow(4_000));
        b.sync("{}");
        wait_until(&c, || b.status().status == SyncState::Syncing).await;
        let_all_run().await;
        assert_eq!(c.common(), b.common(), "the later one");
        wait_until(&c, || a.ended.borrow().len() + b.ended.borrow().len() == 2).await;
        let_all_run().await;
    });
    assert_eq!((a.common(), c.common()), (b.common(), b.common()));
    let shown = c.shown.borrow();
    let cycles: Vec<_> = shown
        .iter()
        .filter(|status| status.status == SyncState::Syncing)
        .collect();
    for pair in cycles.windows(2) {
        assert!(
            pair[0].last_started_at <= pair[1].last_started_at,
            "back to the earlier one"
        );
        assert!(
            pair[0].last_started_at < pair[1].last_started_at
                || pair[0].progress <= pair[1].progress,
            "backwards"
        );
    }
    let mut ends = CycleEnds::default();
    for status in shown.iter() {
        ends.see(status).unwrap();
    }
}

#[test]
fn the_leader_tells_every_tab_when_the_next_cycle_begins() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        a.tab.engine.auto_sync().signal(Signal::Leader(true));
        wait_until(&a, || a.status().next_sync_at.is_some()).await;
        let_all_run().await;
        assert_eq!(b.common(), a.common());
        assert_eq!((a.status().is_leader, b.status().is_leader), (true, false));
        assert_eq!(
            b.tab.engine.auto_sync().next_sync_time("ann"),
            a.tab.engine.auto_sync().next_sync_time("ann")
        );
        a.tab.engine.host().clock.sleep(16 * MINUTE).await;
        let_all_run().await;
        assert_eq!(
            (a.status().status, b.common()),
            (SyncState::Completed, a.common()),
            "after an automatic cycle too"
        );
        let planned = b.status().next_sync_at;
        assert!(planned.is_some());
        a.tab.engine.tabs().leave_all();
        let_all_run().await;
        assert_eq!(b.status().next_sync_at, None, "nobody plans");
        b.tab.engine.auto_sync().signal(Signal::Leader(true));
        a.tab.engine.auto_sync().signal(Signal::Leader(false));
        let_all_run().await;
        let_all_run().await;
        assert!(b.status().next_sync_at.is_some());
        assert_eq!((a.common(), a.status().is_leader), (b.common(), false));
    });
}

#[test]
fn malformed_messages_change_nothing() {
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
        a.run(a.engine.tabs().on_message("ann", word));
        a.run(a.engine.tabs().on_message("nobody", word));
    }
    assert_eq!(a.engine.status_hub("ann").unwrap().current(), before);
    assert!(a.sync().is_success);
}

#[test]
fn an_instance_that_is_closed_while_it_syncs_tells_the_others_how_it_ended() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(30_000));
        a.sync("{}");
        wait_until(&b, || b.status().phase == Some(Phase::Pulling)).await;
        a.tab.engine.close().await;
        let_all_run().await;
    });
    assert_eq!(
        (b.status().status, b.status().errors[0].code),
        (SyncState::Failed, Code::Closed)
    );
    assert_eq!(
        b.shown
            .borrow()
            .iter()
            .filter(|status| status.is_terminal())
            .count(),
        1
    );
}

#[test]
fn a_message_that_waits_for_the_log_is_neither_lost_nor_shown_too_late() {
    let world = World::new();
    let a = world.device("phone").open();
    let word = |number: u32, rest: &str| {
        format!(
            r#"{{"tab":7,"word":{number},"head":{},{rest}}}"#,
            if rest.contains("began") { 99 } else { 0 }
        )
    };
    let at_first = word(
        1,
        r#""began":5,"status":{"status":"syncing","progress":0.5}"#,
    );
    let ended = word(
        2,
        r#""began":5,"status":{"status":"completed","progress":1}"#,
    );
    let plans = word(
        3,
        r#""leads":true,"status":{"status":"completed","nextSyncAt":"2027-01-01T00:00:00.000Z"}"#,
    );
    a.run(a.engine.tabs().on_message("ann", &at_first));
    assert_eq!(
        a.engine.status_hub("ann").unwrap().current().status,
        SyncState::Syncing
    );
    // A write holds the log. Messages that do not need it are handled first.
    let all = futures_util::future::join4(
        create(&a.engine, "ann", "milk"),
        a.engine.tabs().on_message("ann", &ended),
        a.engine.tabs().on_message("ann", &at_first),
        a.engine.tabs().on_message("ann", &plans),
    );
    a.run(all);
    let status = a.engine.status_hub("ann").unwrap().current();
    assert_eq!(
        (status.status, status.progress),
        (SyncState::Completed, 1.0)
    );
    assert!(status.next_sync_at.is_some());
}
