//! How many operations go into one push, and rows into one page: fewer if the remote finds a request
//! too large (but not below the size that went through last), fails on it or answers too late. Grows
//! again while requests are quick: at most doubled, and by half the gap to the size that was refused
//! last. One of each for each open user.

use std::cell::Cell;

/// A request that took less than this is quick, in milliseconds.
const QUICK_MS: u64 = 2_000;

/// A page that took longer than this is followed by a smaller one, in milliseconds: what has come is
/// stored now and then, however slow the link is.
const LONG_MS: u64 = 10_000;

/// After this many quick requests, the refused size is forgotten: the remote's limit may have
/// changed.
const FORGET: u32 = 64;

/// Adapts the number of operations in one push, or of rows in one page.
#[derive(Debug)]
pub struct BatchSize {
    most: Cell<usize>,
    /// The size of the last push that succeeded.
    good: Cell<usize>,
    /// The size that the remote refused as too large.
    refused: Cell<usize>,
    quick: Cell<u32>,
    /// The last page did not come.
    failing: Cell<bool>,
}

impl Default for BatchSize {
    fn default() -> Self {
        Self {
            most: Cell::new(usize::MAX),
            good: Cell::new(0),
            refused: Cell::new(usize::MAX),
            quick: Cell::new(0),
            failing: Cell::new(false),
        }
    }
}

impl BatchSize {
    /// Returns the most operations for the next push, given the most that are allowed.
    pub fn limit(&self, allowed: usize) -> usize {
        self.most.get().min(allowed).max(1)
    }

    /// Records that the remote refused a push of `sent` operations as too large.
    pub fn too_large(&self, sent: usize) {
        self.halve(sent);
        self.refused.set(sent);
        // A smaller size that has worked before will work again.
        let good = self.good.get();
        if good < sent {
            self.most.set(self.most.get().max(good));
        }
    }

    /// Records that the remote did not answer a push of `sent` operations in time.
    pub fn too_slow(&self, sent: usize) {
        self.halve(sent);
    }

    fn halve(&self, sent: usize) {
        self.most.set((sent / 2).max(1));
        self.quick.set(0);
    }

    /// Records that requests of size `went` succeed, and those of size `failed` do not.
    pub fn found(&self, went: usize, failed: usize) {
        self.most.set(went.max(1));
        self.refused.set(failed);
        self.quick.set(0);
    }

    /// Records that a page of `asked` rows did not come. The next one is smaller: as large as the
    /// last that came, a quarter, or one row, which shows whether the size is the cause.
    pub fn page_failed(&self, asked: usize) {
        let good = self.good.replace(0);
        let smaller = match (good < asked, self.failing.replace(true)) {
            (true, false) if good > 0 => good,
            (_, false) => asked / 4,
            (_, true) => 1,
        };
        self.found(smaller, asked);
    }

    /// Returns what is known, to be [`Self::restore`]d if a single row does not come either.
    pub fn known(&self) -> (usize, usize) {
        (self.most.get(), self.refused.get())
    }

    /// Forgets what was learnt from failures that the size has not caused.
    pub fn restore(&self, (most, refused): (usize, usize)) {
        self.most.set(most);
        self.refused.set(refused);
        self.failing.set(false);
    }

    /// Records a page of `asked` rows that took `ms` milliseconds, and whether it was full.
    pub fn page_came(&self, asked: usize, ms: u64, full: bool) {
        self.failing.set(false);
        if full && ms > LONG_MS {
            self.halve(asked);
        } else if full {
            self.succeeded(asked, ms);
        }
    }

    /// Records a successful push of `sent` operations that took `ms` milliseconds.
    pub fn succeeded(&self, sent: usize, ms: u64) {
        self.good.set(sent);
        let (most, quick) = (self.most.get(), self.quick.get().saturating_add(1));
        if ms > QUICK_MS || most == usize::MAX {
            return;
        }
        self.quick.set(quick % FORGET);
        if quick == FORGET {
            self.refused.set(usize::MAX);
        }
        // A smaller push proves nothing about larger ones.
        if sent >= most {
            let gap = self.refused.get().saturating_sub(most) / 2;
            // Close to the refused size is close enough.
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
        let batch_size = BatchSize::default();
        let mut refused = 0;
        for _ in 0..40 {
            let sent = batch_size.limit(1000);
            if sent > 700 {
                refused += 1;
                batch_size.too_large(sent);
            } else {
                batch_size.succeeded(sent, 10);
            }
        }
        assert!(refused <= 4, "{refused}");
        assert!(
            batch_size.limit(1000) > 560 && batch_size.limit(1000) <= 700,
            "{}",
            batch_size.limit(1000)
        );
    }

    #[test]
    fn a_quick_remote_gets_twice_as_many_up_to_what_is_allowed() {
        let batch_size = BatchSize::default();
        assert_eq!(batch_size.limit(1000), 1000);
        batch_size.too_slow(1000);
        batch_size.too_slow(500);
        assert_eq!(batch_size.limit(1000), 250);
        batch_size.succeeded(250, 5_000);
        batch_size.succeeded(20, 10);
        assert_eq!(
            batch_size.limit(1000),
            250,
            "neither slow ones nor small ones say more"
        );
        batch_size.succeeded(250, 10);
        assert_eq!(batch_size.limit(1000), 500);
        batch_size.succeeded(500, 10);
        batch_size.succeeded(1000, 10);
        assert_eq!((batch_size.limit(1000), batch_size.limit(10)), (1000, 10));
    }
}
