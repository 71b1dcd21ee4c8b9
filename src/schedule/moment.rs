//! Moments on two clocks, and intervals with jitter.

/// Two estimates of one deadline count as equal if they differ by less, in milliseconds.
const CLOCK_GRAIN_MS: u64 = 1_000;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds by a clock that never goes back, and may stand still while the machine sleeps.
    pub elapsed: u64,
    /// Milliseconds since 1970, by a clock that may be set.
    pub wall: u64,
}

impl Moment {
    /// Returns the moment `ms` milliseconds later.
    #[must_use]
    pub const fn after(self, ms: u64) -> Self {
        Self {
            elapsed: self.elapsed.saturating_add(ms),
            wall: self.wall.saturating_add(ms),
        }
    }

    /// Returns the earlier of two moments on each clock.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self {
            elapsed: self.elapsed.min(other.elapsed),
            wall: self.wall.min(other.wall),
        }
    }

    /// Returns the milliseconds until this moment, by the clock that reaches it first.
    #[must_use]
    pub fn left(self, now: Self) -> u64 {
        self.elapsed
            .saturating_sub(now.elapsed)
            .min(self.wall.saturating_sub(now.wall))
    }

    /// Returns the milliseconds since this moment, by the clock that went further.
    #[must_use]
    pub fn age(self, now: Self) -> u64 {
        now.elapsed
            .saturating_sub(self.elapsed)
            .max(now.wall.saturating_sub(self.wall))
    }

    /// Returns this moment by the wall clock, even if that was set in the meantime.
    #[must_use]
    pub fn on_wall(self, now: Self) -> u64 {
        let reckoned = now.wall.saturating_add(self.left(now));
        if reckoned.abs_diff(self.wall) < CLOCK_GRAIN_MS {
            self.wall
        } else {
            reckoned
        }
    }
}

/// Returns an interval with jitter of up to a tenth either way, so that devices do not sync all at
/// once.
#[must_use]
pub fn spread(interval: u64, roll: u32) -> u64 {
    let tenth = interval / 10;
    let above = tenth
        .saturating_mul(2)
        .saturating_mul(u64::from(roll))
        .checked_div(u64::from(u32::MAX))
        .unwrap_or(0);
    interval.saturating_sub(tenth).saturating_add(above)
}
