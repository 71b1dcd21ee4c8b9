//! Every cycle that a tab has seen begin is seen to end, once, whichever message comes first.

use std::cell::Cell;
use std::rc::Rc;

use crate::support::auto_sync::{AUTO, create};
use crate::support::cycle_ends::CycleEnds;
use crate::support::running_tabs::{RunningTab, let_all_run, run_together, wait_until};
use crate::support::world::{Fault, ONE_TRY, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::status::{Phase, SyncState};

/// Cycles asked for in all tabs at once, some of which fail, while messages between the tabs are
/// late and overtake each other.
#[test]
fn every_cycle_that_a_tab_has_seen_begin_is_seen_to_end_before_the_next() {
    for lag in [0, 3, 40, 400] {
        let world = World::new();
        let phone = world.device("phone").with_config(&ONE_TRY.replace(
            "{\"entities",
            "{\"syncRequestStrategy\":\"sequential\",\"entities",
        ));
        let tabs: Vec<RunningTab> = (0..3).map(|_| RunningTab::new(phone.open())).collect();
        let all: Vec<&RunningTab> = tabs.iter().collect();
        run_together(&all, async {
            for round in 0..60_u32 {
                for tab in &tabs {
                    tab.lag.set(lag);
                    create(&tab.tab.engine, "ann", "milk").await;
                    tab.sync("{}");
                    phone.fault("/pull", Fault::Slow(5));
                    if round % 7 == 3 {
                        phone.fault("/push", Fault::Status(503, None));
                    }
                    tabs[0]
                        .tab
                        .engine
                        .host()
                        .clock
                        .sleep(u64::from(round % 5))
                        .await;
                }
                let asked = 3 * (round as usize + 1);
                wait_until(&tabs[0], || {
                    tabs.iter()
                        .map(|tab| tab.ended.borrow().len())
                        .sum::<usize>()
                        == asked
                })
                .await;
            }
            tabs[0].tab.engine.host().clock.sleep(1_000).await;
            let_all_run().await;
        });
        for tab in &tabs {
            let mut ends = CycleEnds::default();
            for status in tab.shown.borrow().iter() {
                ends.see(status)
                    .unwrap_or_else(|wrong| panic!("lag {lag}: {wrong}"));
            }
            assert!(tab.status().is_terminal());
        }
    }
}

/// Opening, the election of the leader and its plans are no news of a user without a cycle.
#[test]
fn a_fresh_feed_says_idle_once() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
    run_together(&[&a, &b], async {
        let_all_run().await;
        a.tab.engine.auto_sync().signal(Signal::Leader(true));
        wait_until(&a, || a.status().next_sync_at.is_some()).await;
        let_all_run().await;
        a.tab.engine.auto_sync().signal(Signal::Leader(false));
        b.tab.engine.auto_sync().signal(Signal::Leader(true));
        let_all_run().await;
        for tab in [&a, &b] {
            let states: Vec<SyncState> = tab.shown.borrow().iter().map(|s| s.status).collect();
            assert_eq!(states, [SyncState::Idle]);
        }
        create(&a.tab.engine, "ann", "milk").await;
        let_all_run().await;
        assert_eq!(
            a.shown.borrow().last().unwrap().pending_operations,
            1,
            "a pending operation is news"
        );
    });
}

/// A pause is the end of the cycle that it stops, also to a reader that is slow.
#[test]
fn a_slow_reader_sees_the_end_of_a_cycle_that_a_pause_has_stopped() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let a = RunningTab::new(phone.open());
    let slow = a.tab.engine.status_hub("ann").unwrap().subscribe();
    run_together(&[&a], async {
        phone.fault("/pull", Fault::Slow(2_000));
        a.sync("{}");
        wait_until(&a, || a.status().phase == Some(Phase::Pulling)).await;
        assert_eq!(slow.next().await.unwrap().status, SyncState::Syncing);
        a.tab.engine.pauses().pause(Some("ann")).await.unwrap();
        a.tab.engine.pauses().resume(Some("ann")).await.unwrap();
        a.sync("{}");
        wait_until(&a, || a.ended.borrow().len() == 2).await;
        let mut seen = Vec::new();
        while seen.last() != Some(&SyncState::Completed) {
            seen.push(slow.next().await.unwrap().status);
        }
        assert_eq!(seen[0], SyncState::Paused, "{seen:?}");
    });
}

/// A wipe elsewhere stops the cycle here; the feed says so before it says that nothing runs.
#[test]
fn a_cycle_that_a_wipe_elsewhere_stops_is_seen_to_end() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
    let wiped = Rc::new(Cell::new(false));
    run_together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(20_000));
        a.sync("{}");
        wait_until(&b, || b.status().status == SyncState::Syncing).await;
        let (by, done) = (b.clone(), Rc::clone(&wiped));
        b.spawn(async move {
            by.tab.engine.users().clear_data("ann").await.unwrap();
            done.set(true);
        });
        wait_until(&b, || wiped.get()).await;
        b.tab.engine.host().clock.sleep(30_000).await;
        let_all_run().await;
    });
    for tab in [&a, &b] {
        let mut ends = CycleEnds::default();
        for status in tab.shown.borrow().iter() {
            ends.see(status).unwrap();
        }
        assert_eq!(tab.status().status, SyncState::Idle);
    }
}

/// A tab that has signed the user out opens the user's database again, while another tab's cycle
/// still runs: a late reader of the feed sees the idle status between the two.
#[test]
fn a_cycle_that_goes_on_after_a_sign_out_is_shown_again_after_idle() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (RunningTab::new(phone.open()), RunningTab::new(phone.open()));
    let late = b.tab.engine.status_hub("ann").unwrap().subscribe();
    let mut ends = CycleEnds::default();
    run_together(&[&a, &b], async {
        create(&a.tab.engine, "ann", "milk").await;
        phone.fault("/pull", Fault::Slow(2_000));
        a.sync("{}");
        wait_until(&b, || b.status().status == SyncState::Syncing).await;
        while late.next().await.unwrap().status != SyncState::Syncing {}
        ends.see(&b.status()).unwrap();
        let options = LogoutOptions {
            flush: 0,
            ..LogoutOptions::default()
        };
        b.tab.engine.users().logout("ann", options).await.unwrap();
        create(&b.tab.engine, "ann", "tea").await;
        wait_until(&b, || b.status().status == SyncState::Syncing).await;
        // Only now does the reader go on.
        loop {
            let status = late.next().await.unwrap();
            ends.see(&status).unwrap();
            if status.status == SyncState::Syncing {
                break;
            }
        }
    });
}
