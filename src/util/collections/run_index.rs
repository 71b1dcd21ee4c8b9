//! A sorted index from strings to positions in a vector, for many keys: a list of sorted runs of
//! bounded length. `BTreeMap` does the same in ten times the code, most of which balances the tree.

use std::cmp::Ordering;

/// The longest run, which is what an insert or a removal moves at most.
const RUN: usize = 128;

fn compare(a: &str, b: &str) -> Ordering {
    compare_bytes(a.as_bytes(), b.as_bytes())
}

/// Compares bytes eight at a time: ids that start with a time have long common prefixes, and in
/// WebAssembly `memcmp` goes byte by byte.
pub fn compare_bytes(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let (Some((x, more)), Some((y, other))) = (a.split_first_chunk(), b.split_first_chunk()) {
        let order = u64::from_be_bytes(*x).cmp(&u64::from_be_bytes(*y));
        if order.is_ne() {
            return order;
        }
        (a, b) = (more, other);
    }
    a.cmp(b)
}

pub(super) type Run = Vec<(Box<str>, usize)>;

/// Positions by key.
#[derive(Debug, Default)]
pub(super) struct RunIndex {
    /// No run is empty, and each ends before the next one begins.
    runs: Vec<Run>,
    len: usize,
}

impl RunIndex {
    /// Finds the run that has or would have a key, and the position within it.
    fn seek(&self, key: &str) -> (usize, Result<usize, usize>) {
        // New keys mostly are the greatest: one comparison, while a search among a thousand takes
        // ten.
        if self
            .runs
            .last()
            .and_then(|run| run.last())
            .is_none_or(|(last, _)| compare(last, key).is_lt())
        {
            return (self.runs.len(), Err(0));
        }
        let run = self.runs.partition_point(|run| {
            run.last()
                .is_some_and(|(last, _)| compare(last, key).is_lt())
        });
        let within = self.runs.get(run).map_or(Err(0), |run| {
            run.binary_search_by(|(have, _)| compare(have, key))
        });
        (run, within)
    }

    pub(super) fn get(&self, key: &str) -> Option<usize> {
        let (run, within) = self.seek(key);
        self.runs
            .get(run)?
            .get(within.ok()?)
            .map(|(_, place)| *place)
    }

    /// Inserts a key; does nothing if it is present.
    pub(super) fn insert(&mut self, key: &str, place: usize) {
        let (mut at, within) = self.seek(key);
        let Err(mut within) = within else { return };
        if at == self.runs.len() {
            // The greatest key: it starts a new run if the last one is full, so that runs stay
            // full.
            match self.runs.last().filter(|last| last.len() < RUN) {
                Some(last) => {
                    at = at.saturating_sub(1);
                    within = last.len();
                }
                None => self.runs.push(Run::new()),
            }
        }
        let Some(run) = self.runs.get_mut(at) else {
            return;
        };
        run.insert(within, (key.into(), place));
        self.len = self.len.saturating_add(1);
        if run.len() > RUN {
            let second = run.split_off(RUN / 2);
            self.runs.insert(at.saturating_add(1), second);
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<usize> {
        let (at, within) = self.seek(key);
        let run = self.runs.get_mut(at)?;
        let (_, place) = run.remove(within.ok()?);
        if run.is_empty() {
            self.runs.remove(at);
        }
        self.len = self.len.saturating_sub(1);
        Some(place)
    }

    /// Removes and returns the run with the greatest keys.
    pub(super) fn pop_run(&mut self) -> Option<Run> {
        let run = self.runs.pop()?;
        self.len = self.len.saturating_sub(run.len());
        Some(run)
    }

    /// Iterates over the keys after `key`, which need not be present; over all keys if it is
    /// `None`.
    pub(super) fn after(&self, key: Option<&str>) -> After<'_> {
        let (run, within) = key.map_or((0, 0), |key| match self.seek(key) {
            (run, Ok(within)) => (run, within.saturating_add(1)),
            (run, Err(within)) => (run, within),
        });
        let mut runs = self.runs.get(run..).unwrap_or_default().iter();
        let run = runs
            .next()
            .and_then(|run| run.get(within..))
            .unwrap_or_default()
            .iter();
        After { run, runs }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

/// Iterates over keys and positions, in order of key.
pub(super) struct After<'a> {
    run: std::slice::Iter<'a, (Box<str>, usize)>,
    runs: std::slice::Iter<'a, Run>,
}

impl<'a> Iterator for After<'a> {
    type Item = (&'a str, usize);

    // Not inlined: compiled once for all callers.
    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, place)) = self.run.next() {
                return Some((key, *place));
            }
            self.run = self.runs.next()?.iter();
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::Bound;

    use super::RUN;
    use super::RunIndex;

    #[test]
    fn any_sequence_of_calls_does_what_a_tree_does() {
        let (mut places, mut tree) = (RunIndex::default(), BTreeMap::<String, usize>::new());
        let mut dice = 0x2545_f491_4f6c_dd1d_u64;
        for step in 0..20_000 {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            // First in order, then anywhere; and towards the end mostly away.
            // As long as ids are, and alike for more than a word.
            let number = if step < 1000 {
                step
            } else {
                (dice % 3000) as usize
            };
            let key = format!("task-of-ann-{number:05}");
            if (dice >> 32) % 10 < if step < 12_000 { 2 } else { 7 } {
                assert_eq!(places.remove(&key), tree.remove(&key));
            } else if !tree.contains_key(&key) {
                places.insert(&key, step);
                tree.insert(key.clone(), step);
            }
            assert_eq!(
                (places.get(&key), places.len()),
                (tree.get(&key).copied(), tree.len())
            );
            if step % 500 == 0 {
                let rest = tree.range::<str, _>((Bound::Excluded(key.as_str()), Bound::Unbounded));
                assert!(
                    places
                        .after(Some(&key))
                        .eq(rest.map(|(key, place)| (key.as_str(), *place)))
                );
                assert!(
                    places
                        .after(None)
                        .eq(tree.iter().map(|(key, place)| (key.as_str(), *place)))
                );
                assert!(
                    places
                        .runs
                        .iter()
                        .all(|run| !run.is_empty() && run.len() <= RUN)
                );
            }
        }
    }

    #[test]
    fn keys_in_order_fill_their_runs() {
        let mut places = RunIndex::default();
        (0..10 * RUN).for_each(|n| places.insert(&format!("{n:05}"), n));
        assert_eq!(places.runs.len(), 10);
    }
}
