//! What a call in one tab means to the others: cycles, pauses, sign-outs, and a lock that is not
//! given back.
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

use datum_sync::engine::auto_sync::Signal;
use datum_sync::model::error::Code;
use datum_sync::model::status::{SkipReason, State};
use datum_sync::plan::write::Write;
use support::live::{AUTO, MINUTE, create};
use support::lives::{Life, together, turn, until};
use support::world::{Device, Fault, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

fn with_strategy(device: Device, strategy: &str) -> Device {
    device.with_config(&format!(r#"{{"entities":{{"tasks":{{}}}},"retry":{{"maxAttempts":1}},"syncRequestStrategy":"{strategy}"}}"#))
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
            while b
                .ended
                .borrow()
                .last()
                .is_none_or(|ended| ended.as_ref().unwrap().was_skipped)
            {
                b.sync("{}");
                let tries = b.ended.borrow().len();
                until(&b, || b.ended.borrow().len() > tries).await;
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
            until(&b, || !a.ended.borrow().is_empty()).await;
            turn().await;
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
                (State::Completed, 0)
            );
            a.sync("{}");
            until(&b, || a.ended.borrow().len() == 2).await;
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
                .any(|status| status.status == State::Cancelled),
            "{strategy}"
        );
    }
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
            until(&b, || {
                !a.ended.borrow().is_empty() && !b.ended.borrow().is_empty()
            })
            .await;
            turn().await;
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
fn a_pause_and_its_end_hold_in_every_tab_of_the_user() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
        phone.fault("/pull", Fault::Slow(5_000));
        b.sync("{}");
        until(&a, || a.status().status == State::Syncing).await;
        a.tab.engine.pauses().pause(Some("ann")).await.unwrap();
        until(&a, || !b.ended.borrow().is_empty()).await;
        assert!(
            b.ended.borrow()[0].as_ref().unwrap().was_cancelled,
            "the cycle in flight stops, whichever tab runs it"
        );
        turn().await;
        assert_eq!(
            (a.status().status, b.status().status),
            (State::Paused, State::Paused)
        );
        b.sync("{}");
        until(&a, || b.ended.borrow().len() == 2).await;
        assert_eq!(
            b.ended.borrow()[1].as_ref().unwrap().skip_reason,
            Some(SkipReason::Paused)
        );
        b.tab.engine.pauses().resume(None).await.unwrap();
        turn().await;
        assert_eq!(
            (a.status().status, b.status().status),
            (State::Cancelled, State::Cancelled),
            "as the last cycle ended"
        );
        a.tab.engine.pauses().pause(None).await.unwrap();
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
        b.tab.engine.auto_sync().signal(Signal::Leader(true));
        create(&b.tab.engine, "ann", "private").await;
        turn().await;
        let wipe = datum_sync::engine::users::LogoutOptions {
            flush: 0,
            wipe: true,
            force: true,
        };
        a.tab.engine.users().logout("ann", wipe).await.unwrap();
        turn().await;
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
    assert_eq!(b.status().status, State::Idle);
}

#[test]
fn a_sign_out_and_a_switch_concern_one_tab() {
    let world = World::new();
    let phone = world.device("phone").with_config(ONE_TRY);
    let (a, b) = (phone.open(), phone.open());
    let (a, b) = (Life::of(a), Life::of(b));
    together(&[&a, &b], async {
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
        turn().await;
        assert_eq!(
            (
                a.tab.engine.current_user().as_deref(),
                b.tab.engine.current_user().as_deref()
            ),
            (Some("bob"), Some("ann"))
        );
        create(&b.tab.engine, "ann", "milk").await;
        b.sync("{}");
        until(&b, || !b.ended.borrow().is_empty()).await;
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
        State::Idle
    );
}

/// A write through one tab while it lives.
async fn write(life: &Life, write: Write) {
    life.tab
        .engine
        .entities()
        .write("ann", "tasks", vec![write])
        .await
        .unwrap();
}

/// Begins a cycle whose request is under way when this returns, and lets the lock over tabs hold
/// nobody back.
async fn begins(phone: &Device, life: &Life, options: &str) {
    phone.requests();
    life.sync(options);
    until(life, || !phone.wire.seen.borrow().is_empty()).await;
    phone.locks.borrow_mut().clear();
}

#[test]
fn what_is_deleted_while_another_tab_sends_it_does_not_come_back() {
    for made_here in [true, false] {
        let world = World::new();
        let phone = world.device("phone").with_config(ONE_TRY);
        let (a, b) = (Life::of(phone.open()), Life::of(phone.open()));
        let (sends, deletes) = if made_here { (&b, &a) } else { (&a, &b) };
        together(&[&a, &b], async {
            write(
                &a,
                Write::Create {
                    draft: r#"{"id":"t","title":"milk"}"#.to_owned(),
                },
            )
            .await;
            turn().await;
            phone.fault("/push", Fault::Slow(2_000));
            begins(&phone, sends, r#"{"direction":"pushOnly"}"#).await;
            write(
                deletes,
                Write::Delete {
                    id: "t".to_owned(),
                    soft: false,
                },
            )
            .await;
            deletes.sync("{}");
            until(&a, || !deletes.ended.borrow().is_empty()).await;
            assert!(
                sends.ended.borrow().is_empty(),
                "the create arrives after the delete"
            );
            until(&a, || !sends.ended.borrow().is_empty()).await;
            for life in [&a, &b] {
                let before = life.ended.borrow().len();
                life.sync("{}");
                until(&a, || life.ended.borrow().len() > before).await;
            }
        });
        assert!(
            world
                .server
                .rows("ann")
                .iter()
                .all(|row| row.data.is_none()),
            "made here: {made_here}"
        );
        assert_eq!(
            (a.tab.titles(), b.tab.titles(), a.tab.pending()),
            (vec![], vec![], 0)
        );
    }
}

#[test]
fn a_page_that_comes_late_undoes_nothing_that_was_pushed_since() {
    for options in [
        r#"{"direction":"pullOnly"}"#,
        r#"{"direction":"pullOnly","forceFullSync":true}"#,
    ] {
        let world = World::new();
        let (phone, laptop) = (
            world.device("phone").with_config(ONE_TRY),
            world.device("laptop").open(),
        );
        let (a, b) = (Life::of(phone.open()), Life::of(phone.open()));
        a.tab.create(r#"{"id":"t","title":"milk"}"#);
        a.tab.sync();
        laptop.sync();
        laptop.patch("t", r#"{"n":1}"#);
        laptop.sync();
        together(&[&a, &b], async {
            turn().await;
            phone.fault("/pull", Fault::LazyRows(2_000));
            begins(&phone, &a, options).await;
            write(
                &b,
                Write::Patch {
                    id: "t".to_owned(),
                    changes: r#"{"title":"oat milk"}"#.to_owned(),
                },
            )
            .await;
            b.sync(r#"{"direction":"pushOnly"}"#);
            until(&b, || !b.ended.borrow().is_empty()).await;
            assert!(a.ended.borrow().is_empty(), "the page comes after the push");
            until(&b, || !a.ended.borrow().is_empty()).await;
            turn().await;
        });
        for tab in [&a.tab, &b.tab] {
            let task = tab.read("t").unwrap();
            assert_eq!(
                (&task["title"], &task["n"]),
                (&"oat milk".into(), &1.into()),
                "{options}"
            );
        }
    }
}
