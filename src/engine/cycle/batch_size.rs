//! How much goes into one push: halved where the remote finds a request too large or answers too
//! late, and doubled again where it is quick. Kept for as long as the instance lives.

use std::cell::Cell;

/// A push that took less, in milliseconds, is quick.
const QUICK_MS: u64 = 2_000;

/// After so many quick pushes, the remote may have been given another limit.
const FORGET: u32 = 64;

/// How many operations go into one push.
#[derive(Debug)]
pub struct BatchSize {
    most: Cell<usize>,
    /// So many went last.
    good: Cell<usize>,
    /// The remote has refused so many as too large.
    refused: Cell<usize>,
    quick: Cell<u32>,
    /// A push of so many has failed, and nobody knows yet whether they are to blame.
    suspect: Cell<usize>,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self {
            most: Cell::new(usize::MAX),
            good: Cell::new(0),
            refused: Cell::new(usize::MAX),
            quick: Cell::new(0),
            suspect: Cell::new(0),
        }
    }
}

impl BatchSize {
    /// The most operations of the next push, where so many are allowed.
    pub fn limit(&self, allowed: usize) -> usize {
        self.most.get().min(allowed).max(1)
    }

    /// The remote called a push of so many operations too large.
    pub fn too_large(&self, sent: usize) {
        self.too_slow(sent);
        self.refused.set(sent);
        // What has gone before will do again.
        self.most
            .set(self.most.get().max(if self.good.get() < sent {
                self.good.get()
            } else {
                0
            }));
    }

    /// It did not answer a push of so many in time.
    pub fn too_slow(&self, sent: usize) {
        self.most.set((sent / 2).max(1));
        self.quick.set(0);
    }

    /// It failed over a push of so many.
    pub fn failed(&self, sent: usize) {
        self.suspect.set(sent);
    }

    /// The same remote has just answered something else: the push it is that it fails over.
    pub fn is_well(&self) {
        let sent = self.suspect.take();
        if sent > 1 {
            self.too_slow(sent);
        }
    }

    /// It has answered a push of so many, in so many milliseconds.
    pub fn went(&self, sent: usize, ms: u64) {
        self.suspect.set(0);
        self.good.set(sent);
        let (most, quick) = (self.most.get(), self.quick.get().saturating_add(1));
        if ms > QUICK_MS || most == usize::MAX {
            return;
        }
        self.quick.set(quick % FORGET);
        if quick == FORGET {
            self.refused.set(usize::MAX);
        }
        // Fewer than there may be say nothing of more.
        if sent >= most {
            let gap = self.refused.get().saturating_sub(most) / 2;
            // Close to what was refused is close enough.
            self.most
                .set(most.saturating_add(if gap <= most / 8 { 0 } else { gap.min(most) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BatchSize;

    #[test]
    fn what_was_refused_is_approached_and_not_met_again() {
        let pace = BatchSize::default();
        let mut refused = 0;
        for _ in 0..40 {
            let sent = pace.limit(1000);
            if sent > 700 {
                refused += 1;
                pace.too_large(sent);
            } else {
                pace.went(sent, 10);
            }
        }
        assert!(refused <= 4, "{refused}");
        assert!(
            pace.limit(1000) > 560 && pace.limit(1000) <= 700,
            "{}",
            pace.limit(1000)
        );
    }

    #[test]
    fn a_quick_remote_gets_twice_as_many_up_to_what_is_allowed() {
        let pace = BatchSize::default();
        assert_eq!(pace.limit(1000), 1000);
        pace.too_slow(1000);
        pace.too_slow(500);
        assert_eq!(pace.limit(1000), 250);
        pace.went(250, 5_000);
        pace.went(20, 10);
        assert_eq!(
            pace.limit(1000),
            250,
            "neither slow ones nor small ones say more"
        );
        pace.went(250, 10);
        assert_eq!(pace.limit(1000), 500);
        pace.went(500, 10);
        pace.went(1000, 10);
        assert_eq!((pace.limit(1000), pace.limit(10)), (1000, 10));
    }
}
