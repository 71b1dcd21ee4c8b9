//! When automatic cycles begin.

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

/// What the first cycle after a sign-in does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColdStrategy {
    /// No cycle runs.
    Disabled,
    /// Pulls everything, ignoring the cursor.
    FullSync,
    /// Syncs unless the last success is recent enough.
    #[default]
    Adaptive,
    /// Syncs always.
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
    pub strategy: ColdStrategy,
    /// [`ColdStrategy::Adaptive`] skips the cycle if the last success is younger, in milliseconds.
    pub threshold: u64,
    /// How long after the sign-in it begins, in milliseconds.
    pub delay: u64,
    /// How long it may take, in milliseconds.
    pub max_duration: u64,
}

/// When automatic cycles begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A sign-in starts automatic cycles.
    pub auto_start: bool,
    /// The default interval of automatic cycles, in milliseconds.
    pub interval: u64,
    /// How long after a local write it is pushed, in milliseconds; `None` if it waits for the next
    /// interval.
    pub after_write: Option<u64>,
    /// Syncs when the network comes back.
    pub on_reconnect: bool,
    /// Syncs when the page becomes visible.
    pub on_visible: bool,
    /// The cycle after a sign-in, if there is one.
    pub cold: Option<ColdStart>,
}

impl Timing {
    /// Reads its members of `DatumConfig`.
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
