//! How long a failure makes the next attempt wait.

use crate::model::checked_object::CheckedObject;

/// How delays are randomised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Full jitter: anywhere between 0 and the delay, so that clients that failed together do not
    /// come back together.
    #[default]
    Full,
    /// The delay itself.
    None,
}

/// How retryable requests are retried within a cycle, and automatic cycles after a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// How many attempts there are, including the first.
    pub max_attempts: u32,
    /// The first delay, in milliseconds.
    pub initial: u64,
    /// By how much each delay grows.
    pub factor: f64,
    /// The longest delay, in milliseconds.
    pub max: u64,
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
    /// Returns how long to wait before the next attempt, in milliseconds.
    ///
    /// `attempt` counts from 1 and `roll` is uniform over its whole range. The delay is never
    /// shorter than `asked`, the remote's own wish.
    #[must_use]
    pub fn delay(&self, attempt: u32, roll: u32, asked: Option<u64>) -> u64 {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial as f64 * self.factor.powi(exponent);
        // 0 times infinity is NaN.
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

pub(super) fn read_retry(given: CheckedObject<'_>) -> Retry {
    let usual = Retry::default();
    let Some(given) = given.object("retry") else {
        return usual;
    };
    Retry {
        max_attempts: given
            .whole("maxAttempts")
            .map_or(usual.max_attempts, |attempts| attempts as u32),
        initial: given.whole("initial").unwrap_or(usual.initial),
        factor: given.number("factor").unwrap_or(usual.factor),
        max: given.whole("max").unwrap_or(usual.max),
        jitter: given
            .choice("jitter", &[("full", Jitter::Full), ("none", Jitter::None)])
            .unwrap_or_default(),
    }
}
