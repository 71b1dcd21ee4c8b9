//! The cycle that is due, and what follows from how it ended.

use crate::model::config::{Config, Direction, Options};
use crate::schedule::moment::Moment;
use crate::schedule::outcome::{CycleOutcome, Left, Reach};
use crate::schedule::{DuePush, LEAST_WAIT_MS, Running, Schedule, pulls};

impl Schedule {
    /// Returns the options of the cycle that is due, if one is. It is handed out once, until
    /// [`Self::released`].
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
        if let Some(cold) = cold {
            options.force_full_sync = cold.full.then_some(true);
            options.timeout = cold.timeout;
            // A sign-in sees the remote's data first.
            let both = usual.pushes() && usual.pulls();
            options.direction = Some(if both { Direction::PullThenPush } else { usual });
        } else {
            let direction = match (interval, self.push.is_some(), self.pull) {
                (false, true, false) if self.pulled => Direction::PushOnly,
                (false, false, true) => Direction::PullOnly,
                _ => usual,
            };
            options.direction = Some(direction);
        }
        Some(options)
    }

    /// Releases the cycle that was handed out. `outcome` and `left` only count if it never began.
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

    /// Records that a cycle begins, automatic or not. Later requests need another one.
    pub fn began(&mut self, now: Moment, reach: Reach) {
        self.attempted = Some(now);
        self.ran = true;
        let push = if reach.pushes { self.push.take() } else { None };
        let pull = reach.pulls && std::mem::take(&mut self.pull);
        self.running = Some(Running { reach, push, pull });
    }

    /// Records how that cycle ended, from which the next one follows.
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
            // The work of this cycle is still to be done.
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
                let open = |delay: Moment| delay.left(now) < LEAST_WAIT_MS;
                if self.patience.is_none_or(open) {
                    self.patience = Some(now.after(LEAST_WAIT_MS));
                }
            }
            CycleOutcome::Retry(asked) => self.failed(now, asked, config, roll),
            CycleOutcome::Later => {
                self.cold = None;
                self.rearm(now, roll);
            }
            CycleOutcome::Rest => self.resting = true,
        }
    }

    fn failed(&mut self, now: Moment, asked: Option<u64>, config: &Config, roll: u32) {
        self.failures = self.failures.saturating_add(1);
        if let Some(cold) = &mut self.cold {
            cold.timeout = None;
        }
        if self.auto.is_some() {
            self.want(now, config);
        }
        let delay = config.retry.delay(self.failures, roll, None);
        self.patience = Some(now.after(delay.max(LEAST_WAIT_MS)));
        self.asked = asked.map(|ms| now.after(ms)).or(self.asked);
        self.rearm(now, roll);
    }

    fn succeeded(&mut self, now: Moment, reach: Reach, left: Left, config: &Config, roll: u32) {
        self.failures = 0;
        self.resting = false;
        self.patience = None;
        self.asked = None;
        // If the config never pulls, a push is a whole cycle.
        if reach.pulls || !pulls(config) {
            self.pulled = true;
            self.cold = self
                .cold
                .filter(|cold| cold.full && !reach.full && reach.pulls);
            self.rearm(now, roll);
        }
        if let (Some(until), Some(_), None) = (left.postponed, self.auto, self.push) {
            self.push = Some(DuePush::at(
                now.after(until.saturating_sub(now.wall).max(LEAST_WAIT_MS)),
            ));
        }
    }
}
