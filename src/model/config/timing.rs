//! When cycles begin by themselves, and how long a failure makes them wait.

use serde_json::Value;

use crate::model::config::DAY_MS;
use crate::model::object_reader::ObjectReader;

/// The shortest interval between automatic cycles, in milliseconds.
pub const MIN_INTERVAL_MS: u64 = 1_000;

/// The longest interval between automatic cycles, in milliseconds.
pub const MAX_INTERVAL_MS: u64 = DAY_MS;

const HOUR_MS: u64 = 3_600_000;

const DEFAULT_INTERVAL_MS: u64 = 900_000;

const DEFAULT_AFTER_WRITE_MS: u64 = 1_000;

/// What the first cycle after a sign-in is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColdStrategy {
    /// None.
    Disabled,
    /// One that ignores the cursor.
    FullSync,
    /// One, unless the last success is young enough.
    #[default]
    Adaptive,
    /// One, always.
    Incremental,
}

const STRATEGIES: [(&str, ColdStrategy); 4] = [
    ("disabled", ColdStrategy::Disabled),
    ("fullSync", ColdStrategy::FullSync),
    ("adaptive", ColdStrategy::Adaptive),
    ("incremental", ColdStrategy::Incremental),
];

/// The first cycle after a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdStart {
    /// What it is.
    pub strategy: ColdStrategy,
    /// How old the last success may be for [`ColdStrategy::Adaptive`] to leave it out, in
    /// milliseconds.
    pub threshold: u64,
    /// How long after the sign-in it begins, in milliseconds.
    pub delay: u64,
    /// How long it may take, in milliseconds.
    pub max_duration: u64,
}

/// When cycles begin by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A sign-in starts automatic cycles.
    pub auto_start: bool,
    /// Milliseconds between automatic cycles, where a start names no others.
    pub interval: u64,
    /// How long after a local write it is pushed, in milliseconds; none where it waits for the
    /// interval.
    pub after_write: Option<u64>,
    /// A network that comes back is a reason to sync.
    pub on_reconnect: bool,
    /// A page that becomes visible is a reason to sync.
    pub on_visible: bool,
    /// What a sign-in runs; none where it runs nothing.
    pub cold: Option<ColdStart>,
}

impl Timing {
    /// Reads its part of `DatumConfig`.
    pub fn read(given: &mut ObjectReader<'_>) -> Self {
        let auto_start = given.flag("autoStartSync").unwrap_or(false);
        let after_write = match given.value("syncAfterWrite") {
            None => Some(DEFAULT_AFTER_WRITE_MS),
            Some(Value::Bool(false)) => None,
            Some(value) => value.as_u64().filter(|ms| *ms <= HOUR_MS).or_else(|| {
                given.reject(
                    "syncAfterWrite",
                    &format!(
                        "must be a whole number of milliseconds from 0 to {HOUR_MS}, or false."
                    ),
                )
            }),
        };
        Self {
            auto_start,
            interval: given.whole_or(
                "autoSyncInterval",
                MIN_INTERVAL_MS,
                MAX_INTERVAL_MS,
                DEFAULT_INTERVAL_MS,
            ),
            after_write,
            on_reconnect: given.flag("syncOnReconnect").unwrap_or(true),
            on_visible: given.flag("syncOnVisible").unwrap_or(true),
            cold: read_cold(given, auto_start),
        }
    }
}

fn read_cold(given: &mut ObjectReader<'_>, auto_start: bool) -> Option<ColdStart> {
    let mut cold = ColdStart {
        strategy: ColdStrategy::default(),
        threshold: HOUR_MS,
        delay: 500,
        max_duration: 15_000,
    };
    let Some(mut given) = given.object("coldStart") else {
        return auto_start.then_some(cold);
    };
    cold.strategy = given.choice("strategy", &STRATEGIES).unwrap_or_default();
    cold.threshold = given.whole_or("threshold", 0, DAY_MS.saturating_mul(365), cold.threshold);
    cold.delay = given.whole_or("delay", 0, HOUR_MS, cold.delay);
    cold.max_duration = given.whole_or("maxDuration", 1, DAY_MS, cold.max_duration);
    given.reject_unknown();
    (cold.strategy != ColdStrategy::Disabled).then_some(cold)
}

/// How delays are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Anywhere between nothing and the delay: clients that failed together do not come back
    /// together.
    #[default]
    Full,
    /// The delay itself.
    None,
}

/// How a request that may succeed later is tried again within a cycle, and an automatic cycle after
/// it failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Tries, the first one included.
    pub max_attempts: u32,
    /// The first delay, in milliseconds.
    pub initial: u64,
    /// By how much each delay is longer.
    pub factor: f64,
    /// The longest delay, in milliseconds.
    pub max: u64,
    /// How delays are spread.
    pub jitter: Jitter,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial: 500,
            factor: 2.0,
            max: 60_000,
            jitter: Jitter::Full,
        }
    }
}

impl Retry {
    /// How long to wait before the next try, in milliseconds.
    ///
    /// `attempt` counts from 1, `roll` is uniform over its whole range, and `asked` is what the
    /// remote asked for: never less than that, whatever the dice say.
    #[must_use]
    pub fn delay(&self, attempt: u32, roll: u32, asked: Option<u64>) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial as f64 * self.factor.powi(exponent);
        // Nothing, however often it is multiplied, stays nothing: 0 times infinity is no number.
        let ceiling = if grown.is_nan() {
            0.0
        } else {
            grown.min(self.max as f64)
        };
        let waited = match self.jitter {
            Jitter::None => ceiling,
            Jitter::Full => ceiling * f64::from(roll) / f64::from(u32::MAX),
        };
        (waited as u64).max(asked.unwrap_or(0))
    }
}

pub(super) fn read_retry(given: &mut ObjectReader<'_>) -> Retry {
    let mut retry = Retry::default();
    let Some(mut given) = given.object("retry") else {
        return retry;
    };
    if let Some(attempts) = given.whole("maxAttempts", 1, 100) {
        retry.max_attempts = attempts as u32;
    }
    if let Some(factor) = given.number("factor") {
        if !(1.0..=100.0).contains(&factor) {
            given.reject::<()>("factor", "must be a number from 1 to 100.");
        }
        retry.factor = factor;
    }
    retry.initial = given.whole_or("initial", 0, 3_600_000, retry.initial);
    retry.max = given.whole_or("max", 0, DAY_MS, retry.max);
    retry.jitter = given
        .choice("jitter", &[("full", Jitter::Full), ("none", Jitter::None)])
        .unwrap_or_default();
    given.reject_unknown();
    retry
}
