//! Sort keys in order: a list of sorted runs of bounded length, as the rows of a table are. An
//! insert, a removal and a rank take a binary search and a move within one run.

use std::cmp::Ordering;

use crate::query::sort_key::{SortKey, identity};
use crate::util::collections::run_index::compare_bytes;

/// The longest run, which is what an insert or a removal moves at most.
const RUN: usize = 128;

/// What keys are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// All of the key.
    Place,
    /// The identity at its end.
    Identity,
}

/// Keys in order.
#[derive(Debug)]
pub(super) struct SortedKeys {
    /// No run is empty.
    runs: Vec<Vec<SortKey>>,
    len: usize,
    by: By,
}

impl SortedKeys {
    pub(super) const fn new(by: By) -> Self {
        Self {
            runs: Vec::new(),
            len: 0,
            by,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn order(&self, key: &SortKey, probe: &[u8]) -> Ordering {
        match self.by {
            By::Place => compare_bytes(key.bytes(), probe),
            By::Identity => compare_bytes(key.identity(), identity(probe)),
        }
    }

    /// Finds the run that has or would have a key, and the position within it.
    fn seek(&self, probe: &[u8]) -> (usize, Result<usize, usize>) {
        let is_below = |run: &Vec<SortKey>| {
            run.last()
                .is_none_or(|last| self.order(last, probe).is_lt())
        };
        // Keys that come in order are greater than all that are there.
        if self.runs.last().is_none_or(is_below) {
            let last = self.runs.len().saturating_sub(1);
            return (last, Err(self.runs.last().map_or(0, Vec::len)));
        }
        let at = self.runs.partition_point(is_below);
        let within = self.runs.get(at).map_or(Err(0), |run| {
            run.binary_search_by(|key| self.order(key, probe))
        });
        (at, within)
    }

    fn before(&self, run: usize) -> usize {
        let earlier = self.runs.get(..run).unwrap_or_default();
        earlier
            .iter()
            .fold(0, |sum: usize, run| sum.saturating_add(run.len()))
    }

    /// Returns how many keys are less than this one.
    pub(super) fn rank(&self, probe: &[u8]) -> usize {
        let (run, within) = self.seek(probe);
        let within = within.unwrap_or_else(|at| at);
        self.before(run).saturating_add(within)
    }

    /// Returns the key that compares equal.
    pub(super) fn get(&self, probe: &[u8]) -> Option<&SortKey> {
        let (run, within) = self.seek(probe);
        self.runs.get(run)?.get(within.ok()?)
    }

    /// Inserts a key that is not there yet.
    pub(super) fn insert(&mut self, key: SortKey) {
        let (at, within) = self.seek(key.bytes());
        let (Ok(within) | Err(within)) = within;
        self.len = self.len.saturating_add(1);
        let next = at.saturating_add(1);
        let is_last = next >= self.runs.len();
        let Some(run) = self.runs.get_mut(at) else {
            return self.runs.push(vec![key]);
        };
        if run.len() < RUN {
            return run.insert(within, key);
        }
        if is_last && within == run.len() {
            // Keys that come in order fill their runs.
            return self.runs.push(vec![key]);
        }
        run.insert(within, key);
        let second = run.split_off(RUN / 2);
        self.runs.insert(next, second);
    }

    /// Removes the key that compares equal.
    pub(super) fn remove(&mut self, probe: &[u8]) -> Option<SortKey> {
        let (at, within) = self.seek(probe);
        let run = self.runs.get_mut(at)?;
        let within = within.ok()?;
        let key = run.remove(within);
        if run.is_empty() {
            self.runs.remove(at);
        }
        self.len = self.len.saturating_sub(1);
        Some(key)
    }

    /// Returns the greatest key.
    pub(super) fn last(&self) -> Option<&SortKey> {
        self.runs.last()?.last()
    }

    /// Removes and returns the greatest key.
    pub(super) fn pop(&mut self) -> Option<SortKey> {
        let run = self.runs.last_mut()?;
        let key = run.pop();
        if run.is_empty() {
            self.runs.pop();
        }
        self.len = self.len.saturating_sub(1);
        key
    }

    /// Returns the key with so many before it.
    pub(super) fn at(&self, rank: usize) -> Option<&SortKey> {
        self.from(rank).next()
    }

    /// Iterates from the key with so many before it.
    pub(super) fn from(&self, rank: usize) -> impl Iterator<Item = &SortKey> {
        let (run, within) = self.locate(rank);
        let first = self.runs.get(run).and_then(|run| run.get(within..));
        let rest = self.runs.get(run.saturating_add(1)..).unwrap_or_default();
        first
            .unwrap_or_default()
            .iter()
            .chain(rest.iter().flatten())
    }

    /// Iterates backwards, from the key that has `rank - 1` before it.
    pub(super) fn back_from(&self, rank: usize) -> impl Iterator<Item = &SortKey> {
        let (run, within) = self.locate(rank);
        let last = self.runs.get(run).and_then(|run| run.get(..within));
        let rest = self.runs.get(..run).unwrap_or_default();
        last.unwrap_or_default()
            .iter()
            .rev()
            .chain(rest.iter().rev().flat_map(|run| run.iter().rev()))
    }

    fn locate(&self, rank: usize) -> (usize, usize) {
        let mut left = rank;
        for (at, run) in self.runs.iter().enumerate() {
            match left.checked_sub(run.len()) {
                Some(rest) => left = rest,
                None => return (at, left),
            }
        }
        (self.runs.len(), 0)
    }
}
