//! When an automatic cycle is due after one that failed, was stopped or left work behind.

use super::schedule_support::{
    BOTH, EMPTY, HOUR, MIDDLE, MINUTE, WAITING, at, config, cycle, started, without_reasons,
};
use datum_sync::model::config::Direction;
use datum_sync::model::config::timing::{ColdStart, ColdStrategy};
use datum_sync::model::error::{Code, Error};
use datum_sync::model::status::SyncResult;
use datum_sync::schedule::{CycleOutcome, Left, Reach, Schedule};

#[test]
fn a_failure_is_tried_again_later_each_time_and_never_before_the_remote_asked() {
    let config = config(r#","retry":{"initial":2000,"factor":3,"max":30000,"jitter":"none"}"#);
    let mut schedule = started(15 * MINUTE);
    let mut now = 15 * MINUTE;
    for wait in [2_000, 6_000, 18_000, 30_000, 30_000] {
        assert!(
            cycle(
                &mut schedule,
                at(now),
                CycleOutcome::Retry(None),
                EMPTY,
                &config
            )
            .is_some()
        );
        assert_eq!(schedule.left(at(now)), Some(wait));
        assert_eq!(schedule.next_retry_at(at(now)), Some(at(now + wait).wall));
        now += wait;
    }
    assert!(
        cycle(
            &mut schedule,
            at(now),
            CycleOutcome::Retry(Some(5 * MINUTE)),
            EMPTY,
            &config
        )
        .is_some()
    );
    schedule.hinted(&config);
    schedule.wrote(at(now), &config);
    schedule.online(at(now), &config);
    schedule.visible(at(now + MINUTE), &config);
    schedule.wake(at(now), &config);
    assert_eq!(
        schedule.left(at(now)),
        Some(5 * MINUTE),
        "nothing automatic undercuts what the remote asked for"
    );
    now += 5 * MINUTE;
    assert!(
        cycle(
            &mut schedule,
            at(now),
            CycleOutcome::Success,
            EMPTY,
            &config
        )
        .is_some()
    );
    assert_eq!(
        (schedule.left(at(now)), schedule.next_retry_at(at(now))),
        (Some(15 * MINUTE), None)
    );
    now += 15 * MINUTE;
    assert!(
        cycle(
            &mut schedule,
            at(now),
            CycleOutcome::Retry(None),
            EMPTY,
            &config
        )
        .is_some()
    );
    assert_eq!(
        schedule.left(at(now)),
        Some(2_000),
        "a success forgets the failures before"
    );
}

#[test]
fn no_config_makes_the_schedule_spin() {
    let config = config(r#","retry":{"initial":0,"factor":100,"max":0},"syncAfterWrite":0"#);
    let mut schedule = started(1_000);
    for n in 1..=200 {
        assert!(
            cycle(
                &mut schedule,
                at(n * 1_000),
                CycleOutcome::Retry(Some(0)),
                WAITING,
                &config
            )
            .is_some()
        );
        assert_eq!(schedule.left(at(n * 1_000)), Some(1_000));
    }
}

#[test]
fn a_network_that_is_back_ends_our_own_patience() {
    let config = config(r#","retry":{"initial":60000,"jitter":"none"}"#);
    let mut schedule = started(15 * MINUTE);
    cycle(
        &mut schedule,
        at(15 * MINUTE),
        CycleOutcome::Retry(None),
        EMPTY,
        &config,
    );
    schedule.online(at(15 * MINUTE + 1), &config);
    assert_eq!(schedule.left(at(15 * MINUTE + 1)), Some(0));
    let mut quiet = started(15 * MINUTE);
    quiet.online(at(0), &without_reasons());
    assert_eq!(quiet.left(at(0)), Some(15 * MINUTE));
}

#[test]
fn what_only_somebody_can_mend_rests_until_somebody_does() {
    let config = config("");
    for code in [
        Code::Unauthorized,
        Code::Forbidden,
        Code::ClientOutdated,
        Code::UserMismatch,
        Code::InvalidConfig,
    ] {
        assert_eq!(
            CycleOutcome::of(&Err(Error::new(code, "no"))),
            CycleOutcome::Rest,
            "{code:?}"
        );
    }
    let resting = || {
        let mut schedule = started(15 * MINUTE);
        cycle(
            &mut schedule,
            at(15 * MINUTE),
            CycleOutcome::Rest,
            WAITING,
            &config,
        );
        schedule.wrote(at(HOUR), &config);
        schedule.hinted(&config);
        schedule.online(at(HOUR), &config);
        schedule.visible(at(HOUR), &config);
        assert_eq!(
            (
                schedule.left(at(24 * HOUR)),
                schedule.next_at(at(24 * HOUR))
            ),
            (None, None)
        );
        schedule
    };
    let mut resumed = resting();
    resumed.set_paused(false, at(24 * HOUR), &config);
    assert_eq!(resumed.left(at(24 * HOUR)), Some(0));
    let mut synced = resting();
    synced.began(at(24 * HOUR), BOTH);
    synced.ended(at(24 * HOUR), CycleOutcome::Success, EMPTY, &config, MIDDLE);
    assert_eq!(synced.left(at(24 * HOUR)), Some(15 * MINUTE));
}

#[test]
fn what_may_mend_itself_waits_for_the_interval() {
    let config = config("");
    for code in [Code::Protocol, Code::StorageFull, Code::Corrupt] {
        assert_eq!(
            CycleOutcome::of(&Err(Error::new(code, "no"))),
            CycleOutcome::Later,
            "{code:?}"
        );
    }
    let mut schedule = started(15 * MINUTE);
    cycle(
        &mut schedule,
        at(15 * MINUTE),
        CycleOutcome::Later,
        WAITING,
        &config,
    );
    assert_eq!(schedule.left(at(15 * MINUTE)), Some(15 * MINUTE));
}

#[test]
fn a_cycle_that_was_stopped_leaves_what_it_was_to_do() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.wrote(at(0), &config);
    assert!(
        cycle(
            &mut schedule,
            at(1_000),
            CycleOutcome::Stopped,
            WAITING,
            &config
        )
        .is_some()
    );
    assert_eq!(schedule.left(at(1_000)), Some(0));
}

#[test]
fn an_operation_that_the_remote_put_off_is_sent_when_its_time_has_come() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.wrote(at(0), &config);
    let left = Left {
        waiting: true,
        postponed: Some(at(31_000).wall),
    };
    cycle(
        &mut schedule,
        at(1_000),
        CycleOutcome::Success,
        left,
        &config,
    );
    assert_eq!(schedule.left(at(1_000)), Some(30_000));
    assert_eq!(
        cycle(
            &mut schedule,
            at(31_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushOnly)
    );
    assert_eq!(schedule.left(at(31_000)), Some(15 * MINUTE - 30_000));
}

#[test]
fn an_explicit_cycle_puts_off_the_next_one_by_an_interval() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.began(at(10 * MINUTE), BOTH);
    assert_eq!(schedule.left(at(15 * MINUTE)), None, "not beside it");
    schedule.ended(
        at(15 * MINUTE),
        CycleOutcome::Success,
        EMPTY,
        &config,
        MIDDLE,
    );
    assert_eq!(schedule.left(at(15 * MINUTE)), Some(15 * MINUTE));
    schedule.synced_elsewhere(at(20 * MINUTE), MIDDLE);
    assert_eq!(
        schedule.left(at(20 * MINUTE)),
        Some(15 * MINUTE),
        "and so does one of another tab"
    );
}

#[test]
fn a_reload_does_not_begin_the_interval_anew() {
    let mut schedule = Schedule::default();
    schedule.start(at(0), 15 * MINUTE, MIDDLE, Some(10 * MINUTE));
    assert_eq!(schedule.left(at(0)), Some(5 * MINUTE));
    schedule.start(at(0), 15 * MINUTE, MIDDLE, Some(24 * HOUR));
    assert_eq!(schedule.left(at(0)), Some(1_000));
}

#[test]
fn a_cold_start_is_planned_by_its_strategy() {
    use ColdStrategy::{Adaptive, Disabled, FullSync, Incremental};
    let config = config("");
    let success = |age: u64| Some(at(24 * HOUR).wall - age);
    let now = at(24 * HOUR);
    for (strategy, last, planned, full) in [
        (Disabled, None, false, None),
        (Incremental, success(1), true, None),
        (FullSync, success(1), true, Some(true)),
        (Adaptive, None, true, None),
        (Adaptive, success(HOUR), true, None),
        (Adaptive, success(HOUR - 1), false, None),
        (Adaptive, Some(now.wall + 1), true, None),
    ] {
        let cold = ColdStart {
            strategy,
            threshold: HOUR,
            delay: 500,
            max_duration: 15_000,
        };
        let mut schedule = Schedule::default();
        schedule.cold_start(now, &cold, last);
        assert_eq!(
            schedule.left(now),
            planned.then_some(500),
            "{strategy:?} {last:?}"
        );
        let options = schedule.due(at(24 * HOUR + 500), &config);
        assert_eq!(options.is_some(), planned);
        if let Some(options) = options {
            assert_eq!(
                (options.direction, options.timeout),
                (Some(Direction::PullThenPush), Some(15_000))
            );
            assert_eq!(options.force_full_sync, full);
        }
    }
}

#[test]
fn a_cold_start_that_failed_is_tried_again_with_all_the_time_that_a_cycle_has() {
    let config = config("");
    let cold = ColdStart {
        strategy: ColdStrategy::FullSync,
        threshold: HOUR,
        delay: 500,
        max_duration: 15_000,
    };
    let mut schedule = Schedule::default();
    schedule.cold_start(at(0), &cold, None);
    schedule.due(at(500), &config).unwrap();
    let reach = Reach { full: true, ..BOTH };
    schedule.began(at(500), reach);
    schedule.ended(at(15_500), CycleOutcome::Retry(None), EMPTY, &config, 0);
    schedule.released(at(15_500), CycleOutcome::Retry(None), EMPTY, &config, 0);
    assert_eq!(schedule.left(at(15_500)), Some(1_000));
    let again = schedule.due(at(16_500), &config).unwrap();
    assert_eq!((again.timeout, again.force_full_sync), (None, Some(true)));
    schedule.began(at(16_500), reach);
    schedule.ended(at(16_600), CycleOutcome::Success, EMPTY, &config, 0);
    schedule.released(at(16_600), CycleOutcome::Success, EMPTY, &config, 0);
    assert_eq!(schedule.left(at(16_600)), None, "once a sign-in");
}

#[test]
fn what_a_result_means_for_the_next_cycle() {
    assert_eq!(
        CycleOutcome::of(&Ok(SyncResult::default())),
        CycleOutcome::Success
    );
    assert_eq!(
        CycleOutcome::of(&Ok(SyncResult {
            was_skipped: true,
            ..SyncResult::default()
        })),
        CycleOutcome::Skipped
    );
    assert_eq!(
        CycleOutcome::of(&Ok(SyncResult {
            was_cancelled: true,
            ..SyncResult::default()
        })),
        CycleOutcome::Stopped
    );
    let limited = Error::new(Code::RateLimited, "slow down").with_retry_after(Some(7));
    assert_eq!(
        CycleOutcome::of(&Err(limited)),
        CycleOutcome::Retry(Some(7))
    );
    assert_eq!(
        CycleOutcome::of(&Err(Error::new(Code::Timeout, "late"))),
        CycleOutcome::Retry(None)
    );
}
