//! Why the next automatic cycle is when it is.

use crate::schedule::Schedule;
use crate::schedule::moment::Moment;

/// What begins the next automatic cycle, or keeps it from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Automatic cycles are not started, and nothing else asks for one.
    NotStarted,
    /// The last cycle failed in a way that needs somebody to act.
    Resting,
    Interval,
    Write,
    /// The first cycle after a sign-in.
    SignIn,
    /// The network came back, the page became visible, or sync was resumed.
    Resumed,
    /// The remote has changes.
    Hint,
    /// The last cycle failed.
    Retry,
    /// The remote asked for the delay.
    RetryAfter,
}

impl Schedule {
    /// Returns what begins the next cycle, and when, if one is planned. A pause is not looked at.
    #[must_use]
    pub fn why(&self, now: Moment) -> (Why, Option<Moment>) {
        if self.resting {
            let why = match self.auto {
                Some(_) => Why::Resting,
                None => Why::NotStarted,
            };
            return (why, None);
        }
        let wanted = match (self.pull, &self.push) {
            (true, None) => Why::Hint,
            (true, Some(push)) if push.due.left(now) == 0 => Why::Resumed,
            (true, Some(_)) => Why::Hint,
            (false, _) => Why::Write,
        };
        let reasons = [
            self.cold.map(|cold| (Why::SignIn, cold.due)),
            self.pull.then_some((wanted, now)),
            self.push.map(|push| (wanted, push.due)),
            self.auto.map(|auto| (Why::Interval, auto.next)),
        ];
        let Some((first, due)) = reasons
            .into_iter()
            .flatten()
            .min_by_key(|(_, at)| at.left(now))
        else {
            return (Why::NotStarted, None);
        };
        let patience = self.patience.filter(|_| self.failures > 0);
        let delays = [
            patience.map(|at| (Why::Retry, at)),
            self.asked.map(|at| (Why::RetryAfter, at)),
            // After a cycle that was skipped.
            self.patience.map(|at| (first, at)),
        ];
        let later = delays
            .into_iter()
            .flatten()
            .filter(|(_, at)| at.left(now) > due.left(now))
            // The first of those that are over last.
            .fold(None, |last: Option<(Why, Moment)>, (why, at)| match last {
                Some((_, before)) if before.left(now) >= at.left(now) => last,
                _ => Some((why, at)),
            });
        let (why, at) = later.unwrap_or((first, due));
        // What a failed cycle leaves to do is due at once, and is tried again.
        let why = match why {
            Why::Resumed if self.failures > 0 => Why::Retry,
            why => why,
        };
        (why, Some(at))
    }
}
