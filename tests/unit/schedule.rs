//! When an automatic cycle is due: intervals, clocks, writes and hints.

use super::schedule_support::{
    EMPTY, HOUR, MIDDLE, MINUTE, WAITING, at, config, cycle, started, without_reasons,
};
use datum_sync::model::config::Direction;
use datum_sync::schedule::{CycleOutcome, Moment, Reach, Schedule, spread};

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
