//! Cycles: their status, their metadata, and how they are stopped, repeated and kept apart.
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

use std::rc::Rc;

use datum_sync::engine::cycle::{Cancel, Stop};
use datum_sync::model::error::Code;
use datum_sync::model::status::State;
use datum_sync::plan::write::Write;
use support::world::{Fault, World};

const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

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

#[test]
fn every_cycle_ends_in_one_terminal_status() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone"),
        world.device("laptop").with_config(ONE_TRY),
    );
    let (a, b) = (phone.open(), laptop.open());
    for n in 0..20 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    a.sync();
    let subscription = b.engine.status_hub("ann").unwrap().subscribe();
    let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
    let follow = {
        let seen = Rc::clone(&seen);
        async move {
            while let Some(status) = subscription.next().await {
                seen.borrow_mut().push((status.status, status.progress));
                if seen
                    .borrow()
                    .iter()
                    .filter(|(state, _)| matches!(state, State::Completed | State::Failed))
                    .count()
                    == 2
                {
                    break;
                }
            }
        }
    };
    laptop.fault("/pull", Fault::Status(403, None));
    let engine = Rc::clone(&b.engine);
    let cycles = async move {
        let small = || datum_sync::model::config::Options {
            batch_size: Some(5),
            ..Default::default()
        };
        assert_eq!(
            engine
                .synchronize("ann", small(), None, Rc::default())
                .await
                .unwrap_err()
                .code(),
            Code::Forbidden
        );
        engine
            .synchronize("ann", small(), None, Rc::default())
            .await
            .unwrap();
    };
    b.run(futures_util::future::join(follow, cycles));

    let seen = seen.borrow();
    let ends: Vec<State> = seen
        .iter()
        .map(|(state, _)| *state)
        .filter(|state| matches!(state, State::Completed | State::Failed))
        .collect();
    assert_eq!(ends, [State::Failed, State::Completed]);
    let second: Vec<f64> = seen
        .iter()
        .skip_while(|(state, _)| *state != State::Failed)
        .skip(1)
        .map(|(_, progress)| *progress)
        .collect();
    assert!(
        second.windows(2).all(|pair| pair[0] <= pair[1]),
        "{second:?}"
    );
    assert!(
        second.iter().any(|progress| (0.1..0.99).contains(progress)),
        "progress is real: {second:?}"
    );
    assert_eq!(second.last(), Some(&1.0));
}

#[test]
fn metadata_tells_of_failures_and_of_every_device() {
    let world = World::new();
    let (phone, laptop) = (
        world.device("phone"),
        world.device("laptop").with_config(ONE_TRY),
    );
    let (a, b) = (phone.open(), laptop.open());
    assert!(b.run(b.engine.metadata().local("ann")).unwrap().is_none());
    assert!(b.run(b.engine.metadata().remote("ann")).unwrap().is_none());
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    laptop.fault("/pull", Fault::Status(503, None));
    b.sync_with("{}").unwrap_err();

    let failed = b.run(b.engine.metadata().local("ann")).unwrap().unwrap();
    assert_eq!((failed.retry_count, failed.is_never_synced), (1, true));
    assert!(failed.error_message.is_some() && failed.last_sync_time.is_some());
    b.sync();
    let mended = b.run(b.engine.metadata().local("ann")).unwrap().unwrap();
    assert_eq!(
        (
            mended.retry_count,
            mended.error_message,
            mended.is_never_synced
        ),
        (0, None, false)
    );
    assert_eq!(mended.entity_counts.get("tasks").unwrap().count, 1);

    let remote = a.run(a.engine.metadata().remote("ann")).unwrap().unwrap();
    assert_eq!(
        remote
            .devices
            .iter()
            .map(|(device, _)| device)
            .collect::<Vec<_>>(),
        ["laptop", "phone"]
    );
    assert_eq!(remote.data_hash, mended.data_hash);
    use datum_sync::model::metadata::MetadataComparison::{
        InSync, LocalNewer, NeverSynced, RemoteNewer,
    };
    assert_eq!(a.run(a.engine.metadata().compare("ann")).unwrap(), InSync);
    b.create(r#"{"title":"tea"}"#);
    assert_eq!(
        b.run(b.engine.metadata().compare("ann")).unwrap(),
        LocalNewer
    );
    b.sync();
    assert_eq!(
        a.run(a.engine.metadata().compare("ann")).unwrap(),
        RemoteNewer
    );
    a.run(a.engine.metadata().clear("ann", true, true)).unwrap();
    assert_eq!(
        a.run(a.engine.metadata().compare("ann")).unwrap(),
        NeverSynced
    );
    phone.requests();
    a.sync();
    assert_eq!(a.titles(), ["milk", "tea"]);
    assert_eq!(phone.requests(), ["POST /pull", "PUT /metadata"]);
}

#[test]
fn stopping_a_cycle_stops_it_and_the_next_one_runs() {
    // A cycle that a pause has stopped says how it ended once nothing is paused any more.
    for (stop, expected) in [
        (Stop::Abort, State::Cancelled),
        (Stop::Pause, State::Cancelled),
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        a.create(r#"{"title":"milk"}"#);
        let cancel = Rc::new(Cancel::default());
        let hook = Rc::clone(&cancel);
        *phone.wire.on_request.borrow_mut() = Some(Box::new(move |_| hook.stop(stop)));
        phone.fault("/push", Fault::Slow(1_000_000));

        let result = a
            .run(
                a.engine
                    .synchronize("ann", Default::default(), None, cancel),
            )
            .unwrap();

        assert!(result.was_cancelled && !result.is_success);
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().status,
            expected
        );
        *phone.wire.on_request.borrow_mut() = None;
        assert!(a.sync().is_success);
        assert_eq!(a.pending(), 0);
    }
}

#[test]
fn a_timeout_is_an_error_that_can_be_tried_again() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Slow(1_000_000));

    let error = a.sync_with(r#"{"timeout":500}"#).unwrap_err();

    assert!(error.code() == Code::Timeout && error.is_retryable());
    assert!(a.sync().is_success);
}

#[test]
fn pause_resume_and_close_say_what_they_do() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.run(a.engine.pauses().pause(None)).unwrap();
    a.run(a.engine.pauses().pause(None)).unwrap();
    assert!(a.sync().was_skipped);
    assert_eq!(phone.requests().len(), 0);
    a.run(a.engine.pauses().resume(None)).unwrap();
    assert!(a.sync().is_success);
    let subscription = a.engine.status_hub("ann").unwrap().subscribe();
    a.run(a.engine.close());
    a.run(a.engine.close());
    assert!(a.run(subscription.next()).is_some());
    assert!(a.run(subscription.next()).is_none(), "the feed ends");
    assert_eq!(a.sync_with("{}").unwrap_err().code(), Code::Closed);
    assert_eq!(
        a.run(a.engine.entities().read_all("ann", "tasks", false))
            .unwrap_err()
            .code(),
        Code::Closed
    );
}

#[test]
fn a_retry_waits_as_long_as_the_server_asks() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    phone.fault("/push", Fault::Status(429, Some(7_000)));
    let before = world.clock.now();

    assert!(a.sync().is_success);

    assert!(world.clock.now() - before >= 7_000);
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    for n in 0..8 {
        a.create(&format!(r#"{{"title":"{n}"}}"#));
    }
    world.server.configure(|config| config.max_operations = 3);

    assert!(a.sync().is_success);

    assert_eq!((a.pending(), world.server.rows("ann").len()), (0, 8));
}

#[test]
fn concurrent_creates_share_transactions() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.counts().transactions;

    let creates = (0..1000).map(|n| {
        a.engine.entities().write(
            "ann",
            "tasks",
            vec![Write::Create {
                draft: format!(r#"{{"title":"{n}"}}"#),
            }],
        )
    });
    let all = a.run(futures_util::future::join_all(creates));

    assert!(all.iter().all(Result::is_ok));
    assert!(phone.counts().transactions - before <= 3);
    assert_eq!(a.titles().len(), 1000);
}

#[test]
fn a_call_that_fails_takes_back_only_its_own_writes_from_a_shared_commit() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    a.create(r#"{"id":"x","n":0}"#);
    let patch = |n: u32| Write::Patch {
        id: "x".to_owned(),
        changes: format!(r#"{{"n":{n}}}"#),
    };
    let create = |id: &str| Write::Create {
        draft: format!(r#"{{"id":"{id}","n":9}}"#),
    };
    let write = |writes| a.engine.entities().write("ann", "tasks", writes);
    let before = phone.counts().transactions;

    let (_, good, bad, last) = a.run(futures_util::future::join4(
        write(vec![create("first")]),
        write(vec![patch(1), create("y")]),
        write(vec![
            patch(2),
            Write::Delete {
                id: "y".to_owned(),
                soft: false,
            },
            create("z"),
            create("first"),
        ]),
        write(vec![create("z")]),
    ));

    assert!(good.is_ok() && last.is_ok(), "{good:?} {last:?}");
    assert_eq!(bad.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(
        phone.counts().transactions - before,
        1,
        "they did share one"
    );
    assert_eq!(a.read("x").unwrap()["n"], 1);
    assert!(a.read("y").is_some() && a.read("z").is_some());
    assert!(a.sync().is_success);
    assert_eq!(world.server.rows("ann").len(), 4);
}

#[test]
fn a_thousand_calls_at_once_are_one_commit_and_are_made_known_once() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let before = phone.counts().transactions;

    let create = |n: u32| {
        a.engine.entities().write(
            "ann",
            "tasks",
            vec![Write::Create {
                draft: format!(r#"{{"id":"{n:03}"}}"#),
            }],
        )
    };
    let written = a.run(futures_util::future::join_all((0..1000).map(create)));

    assert!(written.iter().all(Result::is_ok));
    assert_eq!(phone.counts().transactions - before, 1);
    assert_eq!(a.pending(), 1000);
}

#[test]
fn a_call_that_is_given_up_while_it_leads_takes_no_other_along() {
    // The second is given up before the lead comes to it, and just as it has.
    for order in [["second", "first"], ["first", "second"]] {
        let world = World::new();
        let a = world.device("phone").open();
        let write = |id: &str| {
            Box::pin(a.engine.entities().write(
                "ann",
                "tasks",
                vec![Write::Create {
                    draft: format!(r#"{{"id":"{id}"}}"#),
                }],
            ))
        };
        let mut calls = ["first", "second", "last"].map(|id| (id, write(id)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for (_, call) in &mut calls {
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        let mut left = Vec::from(calls);

        for given_up in order {
            left.retain(|(id, _)| *id != given_up);
        }

        assert!(a.run(left.remove(0).1).is_ok());
        assert!(
            a.read("last").is_some() && a.read("first").is_none() && a.read("second").is_none()
        );
    }
}

#[test]
fn every_read_that_waits_ends_with_its_feed() {
    let world = World::new();
    let a = world.device("phone").open();
    let subscription = a.engine.status_hub("ann").unwrap().subscribe();
    assert!(a.run(subscription.next()).is_some());
    let close = async { subscription.end() };

    let (one, two, ()) = a.run(futures_util::future::join3(
        subscription.next(),
        subscription.next(),
        close,
    ));

    assert!(one.is_none() && two.is_none());
}

#[test]
fn a_long_page_is_read_in_slices_where_reading_takes_its_time() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    let drafts = (0..1_000).map(|n| Write::Create {
        draft: format!(r#"{{"n":{n}}}"#),
    });
    laptop
        .run(
            laptop
                .engine
                .entities()
                .write("ann", "tasks", drafts.collect()),
        )
        .unwrap();
    laptop.sync();
    for (toil, at_least) in [(0, 0), (8, 7)] {
        let a = world.device(&format!("phone {toil}")).open();
        a.engine.host().toil.set(toil);

        assert!(
            a.sync_with(r#"{"direction":"pullOnly"}"#)
                .unwrap()
                .is_success
        );

        let breaths = a.engine.host().breaths.get();
        assert!(
            breaths >= at_least && (toil > 0 || breaths == 0),
            "{breaths} of {at_least}"
        );
        assert_eq!(a.titles().len(), 1_000, "nothing of it is left out");
    }
}

#[test]
fn pages_grow_where_they_come_quickly_and_nobody_has_said_how_long_they_are() {
    let world = World::new();
    let laptop = world.device("laptop").open();
    let drafts = (0..7_500).map(|n| Write::Create {
        draft: format!(r#"{{"n":{n}}}"#),
    });
    laptop
        .run(
            laptop
                .engine
                .entities()
                .write("ann", "tasks", drafts.collect()),
        )
        .unwrap();
    laptop.sync();
    let limits_of = |name: &str, prepare: &dyn Fn(&support::world::Device), options: &str| {
        let device = world.device(name);
        prepare(&device);
        let limits: Rc<std::cell::RefCell<Vec<u64>>> = Rc::default();
        let seen = Rc::clone(&limits);
        *device.wire.on_request.borrow_mut() = Some(Box::new(move |request| {
            if request.path == "/pull" {
                let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                seen.borrow_mut().push(asked["limit"].as_u64().unwrap());
            }
        }));
        let tab = device.open();
        assert!(tab.sync_with(options).unwrap().is_success);
        assert_eq!(tab.titles().len(), 7_500);
        limits.take()
    };
    assert_eq!(
        limits_of("quick", &|_| {}, "{}"),
        [1_000, 2_000, 4_000, 4_000]
    );
    assert_eq!(
        limits_of(
            "slow at first",
            &|device| device.fault("/pull", Fault::Slow(1_000)),
            "{}"
        ),
        [1_000, 1_000, 2_000, 4_000]
    );
    assert_eq!(
        limits_of("asked", &|_| {}, r#"{"overrideBatchSize":2500}"#),
        [2_500, 2_500, 2_500]
    );
    assert_eq!(
        limits_of(
            "an adapter",
            &|device| device.wire.takes_any_limit.set(false),
            "{}"
        ),
        [1_000; 8]
    );
}
