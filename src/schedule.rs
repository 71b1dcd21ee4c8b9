//! When the next automatic cycle of one user begins, and what it does. Times and random numbers are
//! arguments.
//!
//! This file has the reasons for a cycle; [`cycle`] hands out the due one and reacts to its
//! outcome.
//!
//! A deadline is stored on two clocks and is due when either has reached it: a machine that slept
//! is on time when it wakes, a clock that is set back delays nothing, and one that is set forward
//! costs one early cycle. Nothing here is a timer, so a pause has nothing to stop and a resume
//! nothing to restore.

use crate::model::config::Config;
use crate::model::config::timing::{ColdStart, ColdStrategy};
pub use crate::schedule::moment::{Moment, spread};
pub use crate::schedule::outcome::{CycleOutcome, Left, Reach};

pub mod cycle;
pub mod moment;
pub mod outcome;
pub mod why;

/// The least time between a cycle that failed, or was skipped, and the next automatic one, in
/// milliseconds: no config makes the schedule spin.
pub const LEAST_WAIT_MS: u64 = 1_000;

/// A page that becomes visible syncs if the last attempt is older than this, in milliseconds.
pub const FRESH_MS: u64 = 30_000;

/// Later writes delay a push by at most this many times the config's `syncAfterWrite`.
pub const MOST_DEBOUNCES: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    every: u64,
    next: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DuePush {
    due: Moment,
    /// Later writes delay it no further than this.
    latest: Moment,
}

impl DuePush {
    const fn at(due: Moment) -> Self {
        Self { latest: due, due }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cold {
    due: Moment,
    full: bool,
    /// `None` after a failure: a first pull that needs longer must end some day.
    timeout: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    reach: Reach,
    push: Option<DuePush>,
    pull: bool,
}

/// One user's schedule.
#[derive(Debug, Default)]
pub struct Schedule {
    auto: Option<Interval>,
    push: Option<DuePush>,
    pull: bool,
    cold: Option<Cold>,
    /// The earliest next cycle by our own delay.
    patience: Option<Moment>,
    /// The earliest next cycle by the remote's wish.
    asked: Option<Moment>,
    failures: u32,
    /// The last cycle failed in a way that needs somebody to act.
    resting: bool,
    paused: bool,
    /// [`Self::due`] handed out a cycle that has not been released.
    claimed: bool,
    /// The cycle that was handed out has begun.
    ran: bool,
    running: Option<Running>,
    attempted: Option<Moment>,
    /// This instance has pulled: from then on, a write may be pushed alone.
    pulled: bool,
}

impl Schedule {
    /// Starts automatic cycles, the first after one interval. `since` is the age of the last
    /// success in milliseconds, which counts towards that interval: reloading a page again and
    /// again must not delay a cycle for ever.
    pub fn start(&mut self, now: Moment, interval: u64, roll: u32, since: Option<u64>) {
        let first = spread(interval, roll)
            .saturating_sub(since.unwrap_or(0))
            .max(LEAST_WAIT_MS.min(interval));
        self.auto = Some(Interval {
            every: interval,
            next: now.after(first),
        });
        self.failures = 0;
        self.patience = None;
        self.resting = false;
    }

    /// Returns true if automatic cycles are started and not paused.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.auto.is_some() && !self.paused
    }

    /// Stops automatic cycles.
    pub fn stop(&mut self) {
        self.auto = None;
        self.push = None;
        self.pull = false;
        self.cold = None;
        self.failures = 0;
        self.patience = None;
    }

    /// Returns true if automatic cycles are started.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.auto.is_some()
    }

    /// Plans the first cycle after a sign-in, if the strategy wants one. `last_success` is in
    /// milliseconds since 1970.
    pub fn cold_start(&mut self, now: Moment, cold: &ColdStart, last_success: Option<u64>) {
        let age = last_success.and_then(|at| now.wall.checked_sub(at));
        let wanted = match cold.strategy {
            ColdStrategy::Disabled => false,
            ColdStrategy::FullSync | ColdStrategy::Incremental => true,
            // A success in the future only shows that the clock was wrong.
            ColdStrategy::Adaptive => age.is_none_or(|age| age >= cold.threshold),
        };
        let full = cold.strategy == ColdStrategy::FullSync;
        self.cold = wanted.then(|| Cold {
            due: now.after(cold.delay),
            full,
            timeout: Some(cold.max_duration),
        });
    }

    /// Pauses or resumes. A resume retries cycles that had stopped after a failure.
    pub fn set_paused(&mut self, paused: bool, now: Moment, config: &Config) {
        self.paused = paused;
        if !paused {
            self.wake(now, config);
        }
    }

    /// Retries after somebody fixed the cause of a failure.
    pub fn wake(&mut self, now: Moment, config: &Config) {
        self.failures = 0;
        self.patience = None;
        if std::mem::take(&mut self.resting) && self.auto.is_some() {
            self.want(now, config);
        }
    }

    /// Schedules the push of a local write. Returns true if the schedule is due earlier than
    /// before.
    pub fn wrote(&mut self, now: Moment, config: &Config) -> bool {
        let (Some(debounce), true, true) = (
            config.timing.after_write,
            self.auto.is_some(),
            pushes(config),
        ) else {
            return false;
        };
        let (due, latest) = (
            now.after(debounce),
            now.after(debounce.saturating_mul(MOST_DEBOUNCES)),
        );
        match &mut self.push {
            Some(push) => {
                let before = push.due.left(now);
                push.latest = push.latest.earlier(latest);
                push.due = due.earlier(push.latest);
                push.due.left(now) < before
            }
            None => {
                self.push = Some(DuePush { latest, due });
                true
            }
        }
    }

    /// Forgets the push: nothing is pending.
    pub const fn nothing_waits(&mut self) {
        self.push = None;
    }

    /// Schedules a pull, since the remote has changes.
    pub fn hinted(&mut self, config: &Config) {
        self.pull |= pulls(config);
    }

    /// Schedules a cycle if the network came back.
    pub fn online(&mut self, now: Moment, config: &Config) {
        self.patience = None;
        if self.auto.is_some() && config.timing.on_reconnect {
            self.want(now, config);
        }
    }

    /// Schedules a cycle if the page became visible and the last attempt is old.
    pub fn visible(&mut self, now: Moment, config: &Config) {
        if self.auto.is_none() || !config.timing.on_visible {
            return;
        }
        if self
            .attempted
            .is_none_or(|attempted| attempted.age(now) >= FRESH_MS)
        {
            self.patience = None;
            self.want(now, config);
        } else if self.push.is_some() {
            self.push = Some(DuePush::at(now));
        }
    }

    /// Records that another tab synced this user.
    pub fn synced_elsewhere(&mut self, now: Moment, roll: u32) {
        self.cold = None;
        self.failures = 0;
        self.patience = None;
        self.attempted = Some(now);
        self.rearm(now, roll);
    }

    /// Records when an earlier instance last attempted a cycle, in milliseconds since 1970.
    pub fn attempted_at(&mut self, now: Moment, wall: u64) {
        let age = now.wall.saturating_sub(wall);
        self.attempted = Some(Moment {
            elapsed: now.elapsed.saturating_sub(age),
            wall,
        });
    }

    /// Returns the milliseconds until a cycle is due; `None` while a cycle runs or if there is no
    /// reason for one.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<u64> {
        if self.claimed || self.running.is_some() {
            return None;
        }
        self.next(now).map(|next| next.left(now))
    }

    /// Returns when the next cycle begins, in milliseconds since 1970, if that is in the future.
    #[must_use]
    pub fn next_at(&self, now: Moment) -> Option<u64> {
        self.next(now)
            .filter(|next| next.left(now) > 0)
            .map(|next| next.on_wall(now))
    }

    /// Returns when a failed cycle is retried, in milliseconds since 1970.
    #[must_use]
    pub fn next_retry_at(&self, now: Moment) -> Option<u64> {
        if self.failures == 0 {
            None
        } else {
            self.next_at(now)
        }
    }

    fn next(&self, now: Moment) -> Option<Moment> {
        if self.paused || self.resting {
            return None;
        }
        let at_once = self.pull.then_some(now);
        let reasons = [
            at_once,
            self.auto.map(|auto| auto.next),
            self.push.map(|push| push.due),
            self.cold.map(|cold| cold.due),
        ];
        let first = reasons
            .into_iter()
            .flatten()
            .min_by_key(|at| at.left(now))?;
        // The last of them: no automatic cycle runs before both delays are over.
        let delays = [self.patience, self.asked];
        delays
            .into_iter()
            .flatten()
            .chain([first])
            .max_by_key(|at| at.left(now))
    }

    /// Makes an ordinary cycle due now.
    fn want(&mut self, now: Moment, config: &Config) {
        self.pull |= pulls(config);
        if pushes(config) {
            self.push = Some(DuePush::at(now));
        }
    }

    /// Starts the interval again.
    fn rearm(&mut self, now: Moment, roll: u32) {
        if let Some(auto) = &mut self.auto {
            auto.next = now.after(spread(auto.every, roll));
        }
    }
}

fn pushes(config: &Config) -> bool {
    config.defaults.direction.unwrap_or_default().pushes()
}

fn pulls(config: &Config) -> bool {
    config.defaults.direction.unwrap_or_default().pulls()
}
