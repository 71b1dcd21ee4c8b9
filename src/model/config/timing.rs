//! When automatic cycles begin.

use serde_json::Value;

use crate::model::checked_object::CheckedObject;

/// The shortest interval between automatic cycles, in milliseconds.
pub const MIN_INTERVAL_MS: u64 = 1_000;

/// The longest interval between automatic cycles, in milliseconds.
pub const MAX_INTERVAL_MS: u64 = 86_400_000;

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
    pub(super) fn read(given: CheckedObject<'_>) -> Self {
        let auto_start = given.flag("autoStartSync").unwrap_or(false);
        Self {
            auto_start,
            interval: given
                .whole("autoSyncInterval")
                .unwrap_or(DEFAULT_INTERVAL_MS),
            after_write: match given.value("syncAfterWrite") {
                None => Some(DEFAULT_AFTER_WRITE_MS),
                Some(value) => value.as_u64(),
            },
            on_reconnect: given.flag("syncOnReconnect").unwrap_or(true),
            on_visible: given.flag("syncOnVisible").unwrap_or(true),
            cold: read_cold(given, auto_start),
        }
    }
}

fn read_cold(given: CheckedObject<'_>, auto_start: bool) -> Option<ColdStart> {
    let asked = given.object("coldStart");
    if asked.is_none() && !auto_start {
        return None;
    }
    let given = asked.unwrap_or(CheckedObject(&Value::Null));
    let cold = ColdStart {
        strategy: given.choice("strategy", &STRATEGIES).unwrap_or_default(),
        threshold: given.whole("threshold").unwrap_or(HOUR_MS),
        delay: given.whole("delay").unwrap_or(500),
        max_duration: given.whole("maxDuration").unwrap_or(15_000),
    };
    (cold.strategy != ColdStrategy::Disabled).then_some(cold)
}
