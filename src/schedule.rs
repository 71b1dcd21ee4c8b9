//! When the next automatic cycle of one user begins, and what it does. Times and dice are
//! arguments.
//!
//! A deadline is kept on two clocks and is due when either has passed it: a machine that slept is
//! on time when it wakes, a clock that is set back delays nothing, one that is set forward costs
//! one early cycle. Nothing here is a timer, so a pause has nothing to stop and a resume nothing to
//! restore.

use crate::model::config::timing::{ColdStart, ColdStrategy};
use crate::model::config::{Config, Direction, Options};
pub use crate::schedule::moment::{Moment, spread};
pub use crate::schedule::outcome::{CycleOutcome, Left, Reach};

pub mod moment;
pub mod outcome;

/// The least time between a cycle that failed, or was skipped, and the next automatic one, in
/// milliseconds: no config makes the schedule spin.
pub const LEAST_WAIT_MS: u64 = 1_000;

/// A page that becomes visible syncs if the last attempt is older than this, in milliseconds.
pub const FRESH_MS: u64 = 30_000;

/// Later writes put off a push by at most this many times the config's `syncAfterWrite`.
pub const MOST_DEBOUNCES: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    every: u64,
    next: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Push {
    latest: Moment,
    due: Moment,
}

impl Push {
    const fn at(due: Moment) -> Self {
        Self { latest: due, due }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cold {
    due: Moment,
    full: bool,
    /// None once it has failed: a first pull that needs longer must end some day.
    timeout: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    reach: Reach,
    push: Option<Push>,
    pull: bool,
}

/// One user's schedule.
#[derive(Debug, Default)]
pub struct Schedule {
    auto: Option<Interval>,
    push: Option<Push>,
    pull: bool,
    cold: Option<Cold>,
    /// Not before this, by our own patience.
    patience: Option<Moment>,
    /// Not before this, by the remote's word.
    asked: Option<Moment>,
    failures: u32,
    resting: bool,
    paused: bool,
    /// [`Self::due`] has handed out a cycle that has not been released.
    claimed: bool,
    /// What was handed out has begun.
    ran: bool,
    running: Option<Running>,
    attempted: Option<Moment>,
    /// This instance has pulled: from then on, a write may be pushed alone.
    pulled: bool,
}

impl Schedule {
    /// Starts automatic cycles, the first after one interval. `since` is the age of the last
    /// success where that counts, in milliseconds: reloading a page again and again must not put
    /// off a cycle for ever.
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

    /// Whether automatic cycles are to run.
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

    /// Whether automatic cycles were started.
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
            // A success that lies ahead tells of a clock that was wrong, and of nothing else.
            ColdStrategy::Adaptive => age.is_none_or(|age| age >= cold.threshold),
        };
        let full = cold.strategy == ColdStrategy::FullSync;
        self.cold = wanted.then(|| Cold {
            due: now.after(cold.delay),
            full,
            timeout: Some(cold.max_duration),
        });
    }

    /// Sync was paused, or may run again. A resume gives what rested another chance.
    pub fn set_paused(&mut self, paused: bool, now: Moment, config: &Config) {
        self.paused = paused;
        if !paused {
            self.wake(now, config);
        }
    }

    /// Somebody did something about what failed.
    pub fn wake(&mut self, now: Moment, config: &Config) {
        self.failures = 0;
        self.patience = None;
        if std::mem::take(&mut self.resting) && self.auto.is_some() {
            self.want(now, config);
        }
    }

    /// A local write waits. Answers whether the schedule is due earlier than it was.
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
                self.push = Some(Push { latest, due });
                true
            }
        }
    }

    /// Nothing waits to be pushed any more.
    pub const fn nothing_waits(&mut self) {
        self.push = None;
    }

    /// The remote has something new.
    pub fn hinted(&mut self, config: &Config) {
        self.pull |= pulls(config);
    }

    /// The network came back.
    pub fn online(&mut self, now: Moment, config: &Config) {
        self.patience = None;
        if self.auto.is_some() && config.timing.on_reconnect {
            self.want(now, config);
        }
    }

    /// The page became visible.
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
            self.push = Some(Push::at(now));
        }
    }

    /// Another tab has synced this user.
    pub fn synced_elsewhere(&mut self, now: Moment, roll: u32) {
        self.cold = None;
        self.failures = 0;
        self.patience = None;
        self.attempted = Some(now);
        self.rearm(now, roll);
    }

    /// When an earlier instance last attempted a cycle, in milliseconds since 1970.
    pub fn attempted_at(&mut self, now: Moment, wall: u64) {
        let age = now.wall.saturating_sub(wall);
        self.attempted = Some(Moment {
            elapsed: now.elapsed.saturating_sub(age),
            wall,
        });
    }

    /// The cycle that is due, if one is. It is handed out once, until [`Self::released`].
    pub fn due(&mut self, now: Moment, config: &Config) -> Option<Options> {
        if self.left(now) != Some(0) {
            return None;
        }
        let interval = self.auto.is_some_and(|auto| auto.next.left(now) == 0);
        let cold = self.cold.filter(|cold| cold.due.left(now) == 0);
        self.claimed = true;
        self.ran = false;
        let usual = config.defaults.direction.unwrap_or_default();
        let mut options = Options::default();
        match cold {
            Some(cold) => {
                options.force_full_sync = cold.full.then_some(true);
                options.timeout = cold.timeout;
                options.direction = Some(if usual.pushes() && usual.pulls() {
                    Direction::PullThenPush
                } else {
                    usual
                });
            }
            None => {
                options.direction = Some(match (interval, self.push.is_some(), self.pull) {
                    (false, true, false) if self.pulled => Direction::PushOnly,
                    (false, false, true) => Direction::PullOnly,
                    _ => usual,
                });
            }
        }
        Some(options)
    }

    /// The cycle that was handed out is over. Where it never began, this is how it ended.
    pub fn released(
        &mut self,
        now: Moment,
        outcome: CycleOutcome,
        left: Left,
        config: &Config,
        roll: u32,
    ) {
        self.claimed = false;
        if !self.ran {
            self.apply(now, outcome, left, config, roll);
        }
    }

    /// A cycle begins, whoever asked for it. What is asked for from now on needs another one.
    pub fn began(&mut self, now: Moment, reach: Reach) {
        self.attempted = Some(now);
        self.ran = true;
        let push = if reach.pushes { self.push.take() } else { None };
        let pull = reach.pulls && std::mem::take(&mut self.pull);
        self.running = Some(Running { reach, push, pull });
    }

    /// That cycle has ended. Answers at once; the next one follows from it.
    pub fn ended(
        &mut self,
        now: Moment,
        outcome: CycleOutcome,
        left: Left,
        config: &Config,
        roll: u32,
    ) {
        self.attempted = Some(now);
        self.apply(now, outcome, left, config, roll);
    }

    fn apply(
        &mut self,
        now: Moment,
        outcome: CycleOutcome,
        left: Left,
        config: &Config,
        roll: u32,
    ) {
        let Running { reach, push, pull } = self.running.take().unwrap_or(Running {
            reach: Reach::default(),
            push: None,
            pull: false,
        });
        if outcome != CycleOutcome::Success && outcome != CycleOutcome::Later {
            // What this cycle was to do is still to be done.
            self.push = push.or(self.push);
            self.pull |= pull;
        }
        if !left.waiting {
            self.push = None;
        }
        match outcome {
            CycleOutcome::Success => self.succeeded(now, reach, left, config, roll),
            CycleOutcome::Stopped => {}
            CycleOutcome::Skipped => {
                if self
                    .patience
                    .is_none_or(|patience| patience.left(now) < LEAST_WAIT_MS)
                {
                    self.patience = Some(now.after(LEAST_WAIT_MS));
                }
            }
            CycleOutcome::Retry(asked) => {
                self.failures = self.failures.saturating_add(1);
                if let Some(cold) = &mut self.cold {
                    cold.timeout = None;
                }
                if self.auto.is_some() {
                    self.want(now, config);
                }
                self.patience = Some(
                    now.after(
                        config
                            .retry
                            .delay(self.failures, roll, None)
                            .max(LEAST_WAIT_MS),
                    ),
                );
                self.asked = asked.map(|ms| now.after(ms)).or(self.asked);
                self.rearm(now, roll);
            }
            CycleOutcome::Later => {
                self.cold = None;
                self.rearm(now, roll);
            }
            CycleOutcome::Rest => self.resting = true,
        }
    }

    fn succeeded(&mut self, now: Moment, reach: Reach, left: Left, config: &Config, roll: u32) {
        self.failures = 0;
        self.resting = false;
        self.patience = None;
        self.asked = None;
        // Where the config never pulls, a push is all that there is to do.
        if reach.pulls || !pulls(config) {
            self.pulled = true;
            self.cold = self
                .cold
                .filter(|cold| cold.full && !reach.full && reach.pulls);
            self.rearm(now, roll);
        }
        if let (Some(until), Some(_), None) = (left.postponed, self.auto, self.push) {
            self.push = Some(Push::at(
                now.after(until.saturating_sub(now.wall).max(LEAST_WAIT_MS)),
            ));
        }
    }

    /// Milliseconds until a cycle is due; none where only something new will make one due.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<u64> {
        if self.claimed || self.running.is_some() {
            return None;
        }
        self.next(now).map(|next| next.left(now))
    }

    /// When the next cycle begins, in milliseconds since 1970, as long as it lies ahead.
    #[must_use]
    pub fn next_at(&self, now: Moment) -> Option<u64> {
        self.next(now)
            .filter(|next| next.left(now) > 0)
            .map(|next| next.on_wall(now))
    }

    /// When a cycle that failed is tried again, in milliseconds since 1970.
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
        // Whichever comes last: nothing automatic runs before both gates are open.
        let gates = [self.patience, self.asked];
        gates
            .into_iter()
            .flatten()
            .chain([first])
            .max_by_key(|at| at.left(now))
    }

    // Now, and everything that an ordinary cycle does.
    fn want(&mut self, now: Moment, config: &Config) {
        self.pull |= pulls(config);
        if pushes(config) {
            self.push = Some(Push::at(now));
        }
    }

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
