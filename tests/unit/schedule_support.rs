//! Helpers: schedules, configs and clocks in short form.

use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::{Config, Direction};
use datum_sync::schedule::{CycleOutcome, Left, Moment, Reach, Schedule};

pub const MINUTE: u64 = 60_000;

pub const HOUR: u64 = 60 * MINUTE;

pub const BOTH: Reach = Reach {
    pushes: true,
    pulls: true,
    full: false,
};

pub const EMPTY: Left = Left {
    waiting: false,
    postponed: None,
};

pub const WAITING: Left = Left {
    waiting: true,
    postponed: None,
};

/// A random number that leaves an interval as it is.
pub const MIDDLE: u32 = u32::MAX / 2 + 1;

pub fn config(more: &str) -> Config {
    let json: serde_json::Value =
        serde_json::from_str(&format!(r#"{{"entities":{{"tasks":{{}}}}{more}}}"#)).unwrap();
    Config::read(CheckedObject(&json))
}

pub fn without_reasons() -> Config {
    config(r#","syncOnReconnect":false,"syncOnVisible":false"#)
}

/// Both clocks, as long as neither is set.
pub fn at(ms: u64) -> Moment {
    Moment {
        elapsed: 5_000 + ms,
        wall: 1_790_000_000_000 + ms,
    }
}

pub fn started(interval: u64) -> Schedule {
    let mut schedule = Schedule::default();
    schedule.start(at(0), interval, MIDDLE, None);
    schedule
}

/// Runs the due cycle to its end at one moment.
pub fn cycle(
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
