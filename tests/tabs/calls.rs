//! What a call in one tab means for the others: cycles, pauses, sign-outs and wipes.

use crate::support::auto_sync::{AUTO, MINUTE, create};
use crate::support::running_tabs::{RunningTab, let_all_run, run_together, wait_until};
use crate::support::world::{Device, Fault, ONE_TRY, World};
use datum_sync::engine::auto_sync::Signal;
use datum_sync::engine::events::{Filter, Topic};
use datum_sync::engine::users::LogoutOptions;
use datum_sync::model::error::Code;
use datum_sync::model::status::{SkipReason, SyncState};

fn with_strategy(device: Device, strategy: &str) -> Device {
    device.with_config(&format!(r#"{{"entities":{{"tasks":{{}}}},"retry":{{"maxAttempts":1}},"syncRequestStrategy":"{strategy}"}}"#))
}

#[test]
fn a_call_while_another_tab_syncs_does_what_the_request_strategy_says() {
    for (strategy, fails) in [
        ("sequential", false),
        ("skipConcurrent", false),
        ("joinInFlight", false),
        ("joinInFlight", true),
    ] {
        let world = World::new();
        let phone = with_strategy(world.device("phone"), strategy);
        phone.open().sync();
        phone.requests();
        world.clock.advance(1_000);
        let (a, b) = (phone.open(), phone.open());
        let (a, b) = (RunningTab::new(a), RunningTab::new(b));
        run_together(&[&a, &b], async {
            create(&a.tab.engine, "ann", "milk").await;
            phone.fault("/push", Fault::Slow(2_000));
            if fails {
                phone.fault("/pull", Fault::Status(403, None));
            }
            a.sync("{}");
            wait_until(&b, || b.status().status == SyncState::Syncing).await;
            b.sync("{}");
            wait_until(&b, || {
                !a.ended.borrow().is_empty() && !b.ended.borrow().is_empty()
            })
            .await;
            let_all_run().await;
        });
        let (ours, theirs) = (a.ended.borrow()[0].clone(), b.ended.borrow()[0].clone());
        let pushes = phone
            .requests()
            .iter()
            .filter(|request| *request == "POST /pull")
            .count();
        match (strategy, fails) {
            ("sequential", _) => {
                assert_eq!(
                    (
                        ours.unwrap().pushed_count,
                        theirs.unwrap().pushed_count,
                        pushes
                    ),
                    (1, 0, 2),
                    "one after the other"
                );
            }
            ("skipConcurrent", _) => {
                let theirs = theirs.unwrap();
                assert_eq!(
                    (theirs.was_skipped, theirs.skip_reason, pushes),
                    (true, Some(SkipReason::InProgress), 1)
                );
            }
            (_, true) => {
                let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
                assert_eq!(
                    (ours.code(), ours.message(), pushes),
                    (Code::Forbidden, theirs.message(), 1)
                );
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
fn a_pause_and_its_end_hold_in_every_tab_of_the_user() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(5_000));
        b.sync("{}");
        wait_until(&a, || a.status().status == SyncState::Syncing).await;
        a.tab.engine.pauses().pause(Some("ann")).await.unwrap();
        wait_until(&a, || !b.ended.borrow().is_empty()).await;
        assert!(
            b.ended.borrow()[0].as_ref().unwrap().was_cancelled,
            "the cycle in flight stops, whichever tab runs it"
        );
        let_all_run().await;
        assert_eq!(
            (a.status().status, b.status().status),
            (SyncState::Paused, SyncState::Paused)
        );
        b.sync("{}");
        wait_until(&a, || b.ended.borrow().len() == 2).await;
        assert_eq!(
            b.ended.borrow()[1].as_ref().unwrap().skip_reason,
            Some(SkipReason::Paused)
        );
        b.tab.engine.pauses().resume(None).await.unwrap();
        let_all_run().await;
        assert_eq!(
            (a.status().status, b.status().status),
            (SyncState::Cancelled, SyncState::Cancelled),
            "as the last cycle ended"
        );
        a.tab.engine.pauses().pause(None).await.unwrap();
        let_all_run().await;
    });
    let opened_later = phone.open();
    let d = RunningTab::new(opened_later);
    run_together(&[&a, &d], async {
        wait_until(&a, || d.status().status == SyncState::Paused).await;
    });
}

#[test]
fn a_wipe_in_one_tab_leaves_nothing_in_the_others_and_nothing_comes_back() {
    let world = World::new();
    let phone = world.device("phone").with_config(AUTO);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        b.tab.engine.auto_sync().signal(Signal::Leader(true));
        create(&b.tab.engine, "ann", "private").await;
        let_all_run().await;
        let wipe = datum_sync::engine::users::LogoutOptions {
            flush: 0,
            wipe: true,
            force: true,
        };
        a.tab.engine.users().logout("ann", wipe).await.unwrap();
        let_all_run().await;
        assert_eq!(b.tab.engine.current_user(), None, "signed out there too");
        assert!(b.tab.engine.opened("ann").is_none());
        b.tab.engine.host().clock.sleep(20 * MINUTE).await;
    });
    assert!(
        phone
            .requests()
            .iter()
            .all(|request| request != "POST /push"),
        "nothing of it was sent, or saved again"
    );
    assert!(
        b.tab.run(b.tab.engine.users().ids()).unwrap().is_empty(),
        "and nothing is on the device"
    );
    assert_eq!(b.status().status, SyncState::Idle);
}

#[test]
fn a_sign_out_and_a_switch_concern_one_tab() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        a.tab
            .engine
            .users()
            .switch(None, "bob", None)
            .await
            .unwrap();
        a.tab
            .engine
            .users()
            .logout("ann", Default::default())
            .await
            .unwrap();
        let_all_run().await;
        assert_eq!(
            (
                a.tab.engine.current_user().as_deref(),
                b.tab.engine.current_user().as_deref()
            ),
            (Some("bob"), Some("ann"))
        );
        create(&b.tab.engine, "ann", "milk").await;
        b.sync("{}");
        wait_until(&b, || !b.ended.borrow().is_empty()).await;
        assert!(b.ended.borrow()[0].as_ref().unwrap().is_success);
    });
    assert_eq!(
        a.tab.run(
            a.tab
                .engine
                .status_hub("bob")
                .map(|hub| std::future::ready(hub.current().status))
                .unwrap()
        ),
        SyncState::Idle
    );
}

#[test]
fn signing_out_is_told_in_every_tab() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let filter = Filter {
        topics: vec![Topic::SignedOut],
        ..Filter::default()
    };
    let readers = [&a, &b].map(|tab| tab.engine.events(filter.clone()));
    let (a, b) = (RunningTab::new(a), RunningTab::new(b));
    run_together(&[&a, &b], async {
        for wipe in [false, true] {
            let options = LogoutOptions {
                flush: 0,
                wipe,
                force: false,
            };
            a.tab.engine.users().logout("ann", options).await.unwrap();
            let_all_run().await;
            let stays = (!wipe).then_some("ann");
            assert_eq!(b.tab.engine.current_user().as_deref(), stays);
            for (reader, source) in readers.iter().zip(["local", "otherTab"]) {
                let event = reader.next().await.unwrap();
                let event: serde_json::Value = serde_json::from_str(&event.text).unwrap();
                let told = (&event["userId"], &event["source"], &event["wiped"]);
                assert_eq!(told, (&"ann".into(), &source.into(), &wipe.into()));
            }
            a.tab
                .engine
                .users()
                .switch(None, "ann", None)
                .await
                .unwrap();
            let_all_run().await;
        }
        // Once each: a tab that has heard of the wipe does not tell it again when it looks.
        assert_eq!(b.tab.engine.current_user(), None);
        a.tab.engine.close().await;
        b.tab.engine.close().await;
        for reader in &readers {
            assert!(reader.next().await.is_none());
        }
    });
}
