//! When an automatic cycle is due: the rules alone, without an engine.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use datum_sync::model::config::timing::{ColdStart, ColdStrategy};
use datum_sync::model::config::{Config, Direction};
use datum_sync::model::error::{Code, Error};
use datum_sync::model::object_reader::ObjectReader;
use datum_sync::model::status::SyncResult;
use datum_sync::schedule::{CycleOutcome, Left, Moment, Reach, Schedule, spread};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const BOTH: Reach = Reach {
    pushes: true,
    pulls: true,
    full: false,
};
const EMPTY: Left = Left {
    waiting: false,
    postponed: None,
};
const WAITING: Left = Left {
    waiting: true,
    postponed: None,
};
/// A roll that leaves an interval as it is.
const MIDDLE: u32 = u32::MAX / 2 + 1;

fn config(more: &str) -> Config {
    let json: serde_json::Value =
        serde_json::from_str(&format!(r#"{{"entities":{{"tasks":{{}}}}{more}}}"#)).unwrap();
    Config::read(ObjectReader::new(&json, Code::InvalidConfig, "The config").unwrap()).unwrap()
}

fn without_reasons() -> Config {
    config(r#","syncOnReconnect":false,"syncOnVisible":false"#)
}

/// Both clocks, as long as nobody sets one.
fn at(ms: u64) -> Moment {
    Moment {
        elapsed: 5_000 + ms,
        wall: 1_790_000_000_000 + ms,
    }
}

fn started(interval: u64) -> Schedule {
    let mut schedule = Schedule::default();
    schedule.start(at(0), interval, MIDDLE, None);
    schedule
}

/// Runs what is due to its end, at one moment.
fn cycle(
    schedule: &mut Schedule,
    now: Moment,
    outcome: CycleOutcome,
    left: Left,
    config: &Config,
) -> Option<Direction> {
    let direction = schedule.due(now, config)?.direction.unwrap();
    schedule.began(
        now,
        Reach {
            pushes: direction.pushes(),
            pulls: direction.pulls(),
            full: false,
        },
    );
    schedule.ended(now, outcome, left, config, MIDDLE);
    schedule.released(now, outcome, left, config, MIDDLE);
    Some(direction)
}

#[test]
fn an_interval_is_spread_by_a_tenth_either_way() {
    assert_eq!(
        [
            spread(900_000, 0),
            spread(900_000, MIDDLE),
            spread(900_000, u32::MAX)
        ],
        [810_000, 900_000, 990_000]
    );
    assert_eq!(spread(1_000, u32::MAX), 1_100);
    assert_eq!(spread(86_400_000, u32::MAX), 95_040_000);
}

#[test]
fn a_started_schedule_is_due_after_each_interval_and_a_stopped_one_never() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    assert_eq!(
        (
            schedule.left(at(0)),
            schedule.due(at(15 * MINUTE - 1), &config)
        ),
        (Some(15 * MINUTE), None)
    );
    assert_eq!(schedule.next_at(at(0)), Some(at(15 * MINUTE).wall));
    assert_eq!(
        cycle(
            &mut schedule,
            at(15 * MINUTE),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushThenPull)
    );
    assert_eq!(schedule.left(at(15 * MINUTE)), Some(15 * MINUTE));
    schedule.stop();
    assert_eq!(
        (
            schedule.left(at(HOUR)),
            schedule.next_at(at(HOUR)),
            schedule.due(at(HOUR), &config)
        ),
        (None, None, None)
    );
}

#[test]
fn what_is_due_is_handed_out_once() {
    let config = config("");
    let mut schedule = started(MINUTE);
    assert!(schedule.due(at(MINUTE), &config).is_some());
    assert!(schedule.due(at(MINUTE), &config).is_none());
    schedule.released(at(MINUTE), CycleOutcome::Skipped, EMPTY, &config, MIDDLE);
    assert_eq!(
        schedule.left(at(MINUTE)),
        Some(1_000),
        "a skipped cycle is asked for again, but not at once"
    );
    assert!(schedule.due(at(MINUTE + 1_000), &config).is_some());
}

#[test]
fn a_machine_that_slept_is_due_when_it_wakes() {
    let schedule = started(15 * MINUTE);
    let awake = Moment {
        elapsed: at(MINUTE).elapsed,
        wall: at(8 * HOUR).wall,
    };
    assert_eq!(schedule.left(awake), Some(0));
    // And the other way round, where the wall clock was stopped.
    assert_eq!(
        schedule.left(Moment {
            elapsed: at(8 * HOUR).elapsed,
            wall: at(MINUTE).wall
        }),
        Some(0)
    );
}

#[test]
fn a_clock_set_back_a_day_delays_nothing_and_the_next_time_is_told_by_the_new_clock() {
    let schedule = started(15 * MINUTE);
    let back = Moment {
        elapsed: at(5 * MINUTE).elapsed,
        wall: at(5 * MINUTE).wall - 24 * HOUR,
    };
    assert_eq!(schedule.left(back), Some(10 * MINUTE));
    assert_eq!(schedule.next_at(back), Some(back.wall + 10 * MINUTE));
}

#[test]
fn a_clock_set_forward_costs_one_early_cycle() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    let forward = |ms: u64| Moment {
        elapsed: at(ms).elapsed,
        wall: at(ms).wall + 24 * HOUR,
    };
    assert!(
        cycle(
            &mut schedule,
            forward(MINUTE),
            CycleOutcome::Success,
            EMPTY,
            &config
        )
        .is_some()
    );
    assert_eq!(schedule.left(forward(MINUTE)), Some(15 * MINUTE));
}

#[test]
fn the_times_of_one_deadline_do_not_flicker_with_the_clocks_grain() {
    let schedule = started(15 * MINUTE);
    let told: Vec<_> = (0..50)
        .map(|n| {
            schedule.next_at(Moment {
                elapsed: at(n * 7).elapsed + n % 2,
                wall: at(n * 7).wall,
            })
        })
        .collect();
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
}

#[test]
fn writes_are_put_together_for_a_while_but_not_for_ever() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    assert!(
        schedule.wrote(at(0), &config),
        "the first one wakes the loop"
    );
    assert!(!schedule.wrote(at(300), &config), "a later one does not");
    assert_eq!(schedule.left(at(300)), Some(1_000));
    for n in 1..=60 {
        schedule.wrote(at(n * 100), &config);
    }
    assert_eq!(
        schedule.left(at(4_999)),
        Some(1),
        "at most five times as long as for one"
    );
    assert!(schedule.due(at(5_000), &config).is_some());
}

#[test]
fn writes_wait_for_the_interval_where_the_config_says_so_or_nothing_was_started() {
    let quiet = config(r#","syncAfterWrite":false"#);
    let mut schedule = started(15 * MINUTE);
    assert!(!schedule.wrote(at(0), &quiet));
    assert_eq!(schedule.left(at(0)), Some(15 * MINUTE));
    let mut idle = Schedule::default();
    assert!(!idle.wrote(at(0), &config("")));
    assert_eq!(idle.left(at(0)), None);
}

#[test]
fn a_write_is_pushed_alone_once_this_instance_has_pulled_and_a_hint_is_pulled_alone() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.wrote(at(0), &config);
    // A page that is reloaded after each write must pull some day.
    assert_eq!(
        cycle(
            &mut schedule,
            at(1_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushThenPull)
    );
    schedule.wrote(at(2_000), &config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(3_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushOnly)
    );
    assert_eq!(
        schedule.left(at(3_000)),
        Some(15 * MINUTE - 2_000),
        "a push alone does not put off the pull"
    );
    schedule.hinted(&config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(3_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PullOnly)
    );
    schedule.wrote(at(4_000), &config);
    schedule.hinted(&config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(4_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushThenPull),
        "both in one"
    );
    assert_eq!(schedule.left(at(4_000)), Some(15 * MINUTE));
}

#[test]
fn a_config_that_only_pushes_or_only_pulls_is_never_asked_for_the_other() {
    let pull = config(r#","defaultSyncDirection":"pullOnly""#);
    let mut schedule = started(MINUTE);
    assert!(!schedule.wrote(at(0), &pull));
    assert_eq!(
        cycle(
            &mut schedule,
            at(MINUTE),
            CycleOutcome::Success,
            WAITING,
            &pull
        ),
        Some(Direction::PullOnly)
    );
    let push = config(r#","defaultSyncDirection":"pushOnly""#);
    let mut schedule = started(MINUTE);
    schedule.hinted(&push);
    assert_eq!(schedule.left(at(0)), Some(MINUTE));
    assert_eq!(
        cycle(
            &mut schedule,
            at(MINUTE),
            CycleOutcome::Success,
            EMPTY,
            &push
        ),
        Some(Direction::PushOnly)
    );
    assert_eq!(
        schedule.left(at(MINUTE)),
        Some(MINUTE),
        "and it does not spin"
    );
}

#[test]
fn hints_during_a_cycle_cause_exactly_one_more() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.hinted(&config);
    let options = schedule.due(at(0), &config).unwrap();
    assert_eq!(options.direction, Some(Direction::PullOnly));
    schedule.began(
        at(0),
        Reach {
            pushes: false,
            pulls: true,
            full: false,
        },
    );
    for _ in 0..10 {
        schedule.hinted(&config);
    }
    assert!(schedule.due(at(1), &config).is_none(), "one at a time");
    schedule.ended(at(2), CycleOutcome::Success, EMPTY, &config, MIDDLE);
    schedule.released(at(2), CycleOutcome::Success, EMPTY, &config, MIDDLE);
    assert!(cycle(&mut schedule, at(2), CycleOutcome::Success, EMPTY, &config).is_some());
    assert_eq!(schedule.left(at(2)), Some(15 * MINUTE));
}

#[test]
fn a_hint_is_pulled_without_automatic_cycles_too() {
    let config = config("");
    let mut schedule = Schedule::default();
    schedule.hinted(&config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(0),
            CycleOutcome::Retry(None),
            EMPTY,
            &config
        ),
        Some(Direction::PullOnly)
    );
    assert_eq!(schedule.left(at(0)).map(|ms| ms >= 1_000), Some(true));
    assert_eq!(
        cycle(
            &mut schedule,
            at(MINUTE),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PullOnly)
    );
    assert_eq!(schedule.left(at(MINUTE)), None);
}

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
fn a_page_that_becomes_visible_syncs_if_the_last_attempt_is_old_or_writes_wait() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.visible(at(0), &config);
    assert!(
        cycle(&mut schedule, at(0), CycleOutcome::Success, EMPTY, &config).is_some(),
        "never attempted"
    );
    schedule.visible(at(29_999), &config);
    assert!(schedule.due(at(29_999), &config).is_none());
    schedule.wrote(at(29_999), &config);
    schedule.visible(at(29_999), &config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(29_999),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushOnly)
    );
    schedule.visible(at(60_000), &config);
    assert_eq!(
        cycle(
            &mut schedule,
            at(60_000),
            CycleOutcome::Success,
            EMPTY,
            &config
        ),
        Some(Direction::PushThenPull)
    );
    schedule.visible(at(HOUR), &without_reasons());
    assert_eq!(schedule.left(at(60_001)), Some(15 * MINUTE - 1));
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
fn a_paused_schedule_keeps_its_times_and_has_them_back_when_it_is_resumed() {
    let config = config("");
    let mut schedule = started(15 * MINUTE);
    schedule.set_paused(true, at(MINUTE), &config);
    schedule.set_paused(true, at(2 * MINUTE), &config);
    schedule.wrote(at(3 * MINUTE), &config);
    assert_eq!(
        (schedule.left(at(HOUR)), schedule.next_at(at(3 * MINUTE))),
        (None, None)
    );
    schedule.nothing_waits();
    schedule.set_paused(false, at(4 * MINUTE), &config);
    assert_eq!(schedule.left(at(4 * MINUTE)), Some(11 * MINUTE));
    let mut never = Schedule::default();
    never.set_paused(true, at(0), &config);
    never.set_paused(false, at(1), &config);
    assert_eq!(
        never.left(at(1)),
        None,
        "a resume starts nothing that was not started"
    );
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
