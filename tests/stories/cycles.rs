//! Cycles: how they end, and how they are stopped, paused and timed out.

use std::rc::Rc;

use crate::support::world::{Fault, ONE_TRY, World};
use datum_sync::engine::cycle::cancel::{Cancel, Stop};
use datum_sync::model::error::Code;
use datum_sync::model::status::SyncState;

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
                    .filter(|(state, _)| matches!(state, SyncState::Completed | SyncState::Failed))
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
    let ends: Vec<SyncState> = seen
        .iter()
        .map(|(state, _)| *state)
        .filter(|state| matches!(state, SyncState::Completed | SyncState::Failed))
        .collect();
    assert_eq!(ends, [SyncState::Failed, SyncState::Completed]);
    let second: Vec<f64> = seen
        .iter()
        .skip_while(|(state, _)| *state != SyncState::Failed)
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
fn stopping_a_cycle_stops_it_and_the_next_one_runs() {
    // A cycle that a pause has stopped says how it ended once nothing is paused any more.
    for (stop, expected) in [
        (Stop::Abort, SyncState::Cancelled),
        (Stop::Pause, SyncState::Cancelled),
    ] {
        let world = World::new();
        let phone = world.device("phone");
        let a = phone.open();
        a.sync();
        a.create(r#"{"title":"milk"}"#);
        let cancel = Rc::new(Cancel::default());
        let hook = Rc::clone(&cancel);
        *phone.remote.on_request.borrow_mut() = Some(Box::new(move |_| hook.stop(stop)));
        phone.fault("/push", Fault::Slow(1_000_000));
        let before = world.clock.now();

        let result = a
            .run(
                a.engine
                    .synchronize("ann", Default::default(), None, cancel),
            )
            .unwrap();

        assert!(result.was_cancelled && !result.is_success);
        assert!(world.clock.now() - before < 1_000, "at once");
        assert_eq!(
            a.engine.status_hub("ann").unwrap().current().status,
            expected
        );
        *phone.remote.on_request.borrow_mut() = None;
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
fn metrics_count_what_was_done() {
    let world = World::new();
    let phone = world
        .device("phone")
        .with_config(r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#);
    let a = phone.open();
    a.create(r#"{"title":"milk"}"#);
    a.sync();
    phone.fault("/pull", Fault::Status(503, None));
    a.sync_with("{}").unwrap_err();
    let requests = phone.requests().len() as u64;

    let metrics = a.engine.metrics();

    assert_eq!(
        (
            metrics.cycles,
            metrics.successful_cycles,
            metrics.failed_cycles
        ),
        (2, 1, 1)
    );
    assert_eq!(metrics.requests, requests);
    assert_eq!(metrics.active_users, ["ann"]);
    assert!(metrics.bytes_pushed > 0 && metrics.bytes_pulled > 0 && metrics.commits >= 4);
}

/// The feed tells cycles apart by when they began, however many begin within a millisecond.
#[test]
fn three_cycles_within_a_millisecond_have_three_starts() {
    let world = World::new();
    let phone = world.device("phone");
    let a = phone.open();
    let mut starts = std::collections::BTreeSet::new();
    let before = world.clock.now();
    for _ in 0..3 {
        a.sync();
        let shown = a.engine.status_hub("ann").unwrap().current();
        starts.insert(shown.last_started_at.clone());
    }
    assert_eq!(world.clock.now(), before, "the clock stands still");
    assert_eq!(starts.len(), 3, "{starts:?}");
}
