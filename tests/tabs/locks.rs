//! The lock that lets one tab sync at a time: tabs that freeze or die while they hold it.

use crate::support::auto_sync::{MINUTE, create};
use crate::support::running_tabs::{RunningTab, let_all_run, run_together, wait_until};
use crate::support::world::{Device, Fault, World};
use datum_sync::model::status::SyncState;

#[test]
fn a_lock_that_is_never_given_back_stops_nobody_for_ever() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    let frozen = a
        .run(datum_sync::ports::host::Host::try_lock(
            a.engine.host(),
            "datum-sync:datum/ann",
        ))
        .unwrap();
    assert!(frozen.is_some());

    assert!(a.sync().is_success);

    assert_eq!(a.pending(), 0);
    drop(frozen);
}

fn with_strategy(device: Device, strategy: &str) -> Device {
    device.with_config(&format!(r#"{{"entities":{{"tasks":{{}}}},"retry":{{"maxAttempts":1}},"syncRequestStrategy":"{strategy}"}}"#))
}

#[test]
fn a_frozen_tab_loses_the_lock_and_stops_its_cycle_when_it_wakes_up() {
    for strategy in ["sequential", "joinInFlight", "skipConcurrent"] {
        let world = World::new();
        let phone = with_strategy(world.device("phone"), strategy);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (RunningTab::new(a), RunningTab::new(b));
        run_together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(3_600_000));
            a.sync(r#"{"timeout":3600000}"#);
            wait_until(&b, || b.status().status == SyncState::Syncing).await;
            a.frozen.set(true);
            phone.requests();
            let began = world.clock.now();
            while b
                .ended
                .borrow()
                .last()
                .is_none_or(|ended| ended.as_ref().unwrap().was_skipped)
            {
                b.sync("{}");
                let tries = b.ended.borrow().len();
                wait_until(&b, || b.ended.borrow().len() > tries).await;
                b.tab.engine.host().clock.sleep(1_000).await;
                assert!(
                    world.clock.now() - began < MINUTE,
                    "{strategy}: the lock is never given back"
                );
            }
            assert!(
                b.ended
                    .borrow()
                    .last()
                    .unwrap()
                    .as_ref()
                    .unwrap()
                    .is_success,
                "{strategy}"
            );
            assert!(
                world.clock.now() - began >= 15_000,
                "{strategy}: not before the other had been silent for long"
            );
            a.frozen.set(false);
            wait_until(&b, || !a.ended.borrow().is_empty()).await;
            let_all_run().await;
            let ended = a.ended.borrow()[0].clone().unwrap();
            assert!(
                ended.was_cancelled && !ended.is_success,
                "{strategy}: {ended:?}"
            );
            assert_eq!(
                a.common(),
                b.common(),
                "{strategy}: both show the later cycle"
            );
            assert_eq!(
                (b.status().status, b.status().pending_operations),
                (SyncState::Completed, 0)
            );
            a.sync("{}");
            wait_until(&b, || a.ended.borrow().len() == 2).await;
            assert!(
                a.ended.borrow()[1].as_ref().unwrap().is_success,
                "{strategy}: and it can sync again"
            );
        });
        assert_eq!(
            world.server.rows("ann").len(),
            1,
            "{strategy}: pushed once, whoever did it"
        );
        assert!(
            a.shown
                .borrow()
                .iter()
                .any(|status| status.status == SyncState::Cancelled),
            "{strategy}"
        );
    }
}

#[test]
fn a_joined_cycle_that_died_with_its_tab_is_run_here() {
    let world = World::new();
    let phone = with_strategy(world.device("phone"), "joinInFlight");
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        create(&a.tab.engine, "ann", "milk").await;
        phone.fault("/push", Fault::Slow(5_000));
        a.sync("{}");
        wait_until(&b, || b.status().status == SyncState::Syncing).await;
        b.sync("{}");
        b.tab.engine.host().clock.sleep(1_000).await;
        // The browser frees what it held.
        a.kill();
        wait_until(&b, || !b.ended.borrow().is_empty()).await;
    });
    assert_eq!(b.ended.borrow()[0].as_ref().unwrap().pushed_count, 1);
}
