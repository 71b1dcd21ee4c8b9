//! Pausing and resuming: for one user and for all, in any order, with databases open and not.

use std::cell::RefCell;
use std::rc::Rc;

use crate::support::world::{Fault, Tab, World};
use datum_sync::model::status::{SkipReason, SyncResult, SyncState};
use futures_util::future::{LocalBoxFuture, join, join_all};

fn sync(a: &Tab, user: &str) -> SyncResult {
    a.run(
        a.engine
            .synchronize(user, Default::default(), None, Rc::default()),
    )
    .unwrap()
}

fn state(a: &Tab, user: &str) -> SyncState {
    a.engine.status_hub(user).unwrap().current().status
}

#[test]
fn a_pause_of_everybody_holds_for_those_who_come_later() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.run(a.engine.pauses().pause(None)).unwrap();
    for user in ["ann", "bob"] {
        assert_eq!(
            (sync(&a, user).skip_reason, state(&a, user)),
            (Some(SkipReason::Paused), SyncState::Paused)
        );
    }
    assert_eq!(
        state(&a, "carl"),
        SyncState::Paused,
        "whose database has never been open"
    );

    a.run(a.engine.pauses().resume(Some("bob"))).unwrap();

    assert!(sync(&a, "bob").is_success);
    assert!(sync(&a, "ann").was_skipped && sync(&a, "carl").was_skipped);
    a.run(a.engine.pauses().resume(None)).unwrap();
    for user in ["ann", "bob", "carl"] {
        assert!(sync(&a, user).is_success);
    }
}

#[test]
fn one_user_is_paused_and_resumed_without_their_database() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();

    a.run(a.engine.pauses().pause(Some("bob"))).unwrap();

    assert!(a.engine.opened("bob").is_none());
    assert_eq!(a.run(a.engine.users().ids()).unwrap(), ["ann"]);
    assert_eq!(
        (state(&a, "bob"), state(&a, "ann")),
        (SyncState::Paused, SyncState::Idle)
    );
    assert!(sync(&a, "ann").is_success);
    assert!(sync(&a, "bob").was_skipped);
    a.run(a.engine.pauses().pause(Some("bob"))).unwrap();
    a.run(a.engine.pauses().resume(Some("bob"))).unwrap();
    assert_eq!(state(&a, "bob"), SyncState::Idle);
    assert!(sync(&a, "bob").is_success);
    for bad in ["", "a\u{7}"] {
        assert!(
            a.run(a.engine.pauses().pause(Some(bad))).is_err()
                && a.run(a.engine.pauses().resume(Some(bad))).is_err()
        );
    }
}

#[test]
fn after_a_pause_the_status_says_again_how_the_last_cycle_ended() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#);
    let a = phone.open();
    let pause = || {
        a.run(a.engine.pauses().pause(None)).unwrap();
        a.run(a.engine.pauses().pause(Some("ann"))).unwrap();
        assert_eq!(state(&a, "ann"), SyncState::Paused);
        a.run(a.engine.pauses().resume(None)).unwrap();
        state(&a, "ann")
    };
    assert_eq!(pause(), SyncState::Idle);
    sync(&a, "ann");
    assert_eq!(pause(), SyncState::Completed);
    phone.fault("/pull", Fault::Lost);
    a.sync_with("{}").unwrap_err();
    assert_eq!(pause(), SyncState::Failed);
    let b = phone.open();
    assert_eq!(
        (
            state(&b, "ann"),
            b.run(b.engine.pauses().pause(None)).is_ok(),
            b.run(b.engine.pauses().resume(None)).is_ok()
        ),
        (SyncState::Idle, true, true)
    );
    assert_eq!(
        state(&b, "ann"),
        SyncState::Idle,
        "no cycle has run since the page was opened"
    );
}

#[test]
fn a_pause_stops_the_cycle_in_flight_and_its_promise_says_so() {
    for resumed_at_once in [false, true] {
        for strategy in ["sequential", "skipConcurrent", "joinInFlight"] {
            let world = World::new();
            let phone = world.device("phone").with_config(&format!(
                r#"{{"entities":{{"tasks":{{}}}},"syncRequestStrategy":"{strategy}"}}"#
            ));
            let a = phone.open();
            a.create_for("ann", "milk");
            phone.fault("/push", Fault::Slow(1_000_000));
            let before = world.clock.now();
            let meanwhile = async {
                a.engine.host().clock.sleep(10).await;
                let resume = async {
                    if resumed_at_once {
                        a.engine.pauses().resume(Some("ann")).await.unwrap();
                    }
                };
                join(a.engine.pauses().pause(None), resume).await.0.unwrap();
            };

            let (cycle, ()) = a.run(join(
                a.engine
                    .synchronize("ann", Default::default(), None, Rc::default()),
                meanwhile,
            ));

            let cycle = cycle.unwrap();
            assert!(
                cycle.was_cancelled
                    && !cycle.is_success
                    && cycle
                        .error
                        .is_none_or(|error| error.code == datum_sync::model::error::Code::Cancelled)
            );
            assert!(world.clock.now() - before < 1_000, "at once");
            assert_eq!(
                state(&a, "ann"),
                if resumed_at_once {
                    SyncState::Cancelled
                } else {
                    SyncState::Paused
                }
            );
            a.run(a.engine.pauses().resume(None)).unwrap();
            assert_eq!(state(&a, "ann"), SyncState::Cancelled, "never stuck");
            assert!(sync(&a, "ann").is_success);
        }
    }
}

#[test]
fn a_cycle_that_waits_for_the_lock_of_another_tab_can_be_paused_and_times_out() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let held = a
        .run(datum_sync::ports::host::Host::try_lock(
            a.engine.host(),
            "datum-sync:datum/ann",
        ))
        .unwrap();
    let pause = async {
        a.engine.host().clock.sleep(10).await;
        a.engine.pauses().pause(Some("ann")).await
    };

    let (cycle, paused) = a.run(join(
        a.engine
            .synchronize("ann", Default::default(), None, Rc::default()),
        pause,
    ));

    assert!(paused.is_ok() && cycle.unwrap().was_cancelled);
    a.run(a.engine.pauses().resume(None)).unwrap();
    let before = world.clock.now();
    assert_eq!(
        a.sync_with(r#"{"timeout":500}"#).unwrap_err().code(),
        datum_sync::model::error::Code::Timeout
    );
    assert!(
        world.clock.now() - before <= 600,
        "the timeout counts from the call's turn on"
    );
    drop(held);
    assert!(sync(&a, "ann").is_success);
}

#[test]
fn a_call_that_meets_work_which_is_no_cycle_waits_and_runs() {
    for strategy in ["skipConcurrent", "joinInFlight"] {
        let world = World::new();
        let phone = world.device("phone").with_config(&format!(
            r#"{{"entities":{{"tasks":{{}}}},"syncRequestStrategy":"{strategy}"}}"#
        ));
        let a = phone.open();
        let clear = a.engine.metadata().clear("ann", true, false);

        let (cleared, cycle) = a.run(join(
            clear,
            a.engine
                .synchronize("ann", Default::default(), None, Rc::default()),
        ));

        assert!(cleared.is_ok() && cycle.unwrap().is_success, "{strategy}");
    }
}

#[test]
fn no_sequence_of_pauses_resumes_and_closes_leaves_a_promise_pending() {
    let mut dice = 1_u64;
    let mut roll = |sides: u64| {
        // SplitMix64.
        dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % sides
    };
    let mut run_to_the_end = 0;
    for round in 0..300 {
        let world = World::new();
        let strategy = ["sequential", "skipConcurrent", "joinInFlight"][round % 3];
        let phone = world.device("phone").with_config(&format!(
            r#"{{"entities":{{"tasks":{{}}}},"syncRequestStrategy":"{strategy}"}}"#
        ));
        let a = phone.open();
        let log = RefCell::new(Vec::new());
        let mut acts: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
        for _ in 0..12 {
            let (wait, user) = (roll(60), ["ann", "bob"][roll(2) as usize]);
            let (what, whose) = (roll(16), (roll(3) > 0).then_some(user));
            let (a, log) = (&a, &log);
            if roll(2) == 0 {
                phone.fault("/push", Fault::Slow(roll(50)));
                phone.fault("/pull", Fault::Slow(roll(50)));
            }
            acts.push(Box::pin(async move {
                a.engine.host().clock.sleep(wait).await;
                log.borrow_mut().push((wait, what, whose));
                // Any result will do; a call that never ends is a deadlock, which the clock
                // reports.
                match what {
                    0..3 => drop(a.engine.pauses().pause(whose).await),
                    3..6 => drop(a.engine.pauses().resume(whose).await),
                    6 => a.engine.close().await,
                    7 => drop(a.engine.metadata().clear(user, true, false).await),
                    8 => drop(a.engine.users().logout(user, Default::default()).await),
                    9 => drop(a.engine.users().switch(None, user, None).await),
                    10 => {
                        let draft = r#"{"title":"x"}"#.to_owned();
                        drop(
                            a.engine
                                .entities()
                                .write(
                                    user,
                                    "tasks",
                                    vec![datum_sync::plan::write::Write::Create { draft }],
                                )
                                .await,
                        );
                    }
                    _ => drop(
                        a.engine
                            .synchronize(user, Default::default(), None, Rc::default())
                            .await,
                    ),
                }
            }));
        }
        a.run(join_all(acts));
        if a.engine.is_closed() {
            continue;
        }
        run_to_the_end += 1;
        let log = log.borrow();
        a.run(a.engine.pauses().resume(None)).unwrap();
        for user in ["ann", "bob"] {
            assert!(
                !matches!(state(&a, user), SyncState::Paused | SyncState::Syncing),
                "{user}: {log:?}"
            );
            assert!(sync(&a, user).is_success, "{user}: {log:?}");
            assert_eq!(state(&a, user), SyncState::Completed, "{user}: {log:?}");
        }
    }
    assert!(run_to_the_end > 50);
}
