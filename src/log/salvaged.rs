//! What was saved into a log from one that was lost.

use crate::log::address::Seq;
use crate::util::collections::seq_map::SeqMap;
use crate::util::hash::hash;

/// The part of a lost log that a tab has saved into this one. A tab that wakes up later saves only
/// what it knows beyond that: the rest has gone on since, and may be long done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The last record of the lost log that the tab knew.
    pub head: Seq,
    /// Hashes of the ids of the saved operations and dead letters, ascending.
    pub ops: Vec<u64>,
}

impl Salvaged {
    /// Returns true if this operation was saved.
    #[must_use]
    pub fn has(&self, op_id: &str) -> bool {
        self.ops.binary_search(&hash(op_id.as_bytes())).is_ok()
    }

    /// Describes the operations and dead letters of a log up to this record.
    pub fn new<'a>(head: Seq, op_ids: impl Iterator<Item = &'a str>) -> Self {
        let nothing = Self::default();
        let ops = op_ids.map(|op_id| hash(op_id.as_bytes())).collect();
        nothing.joined(&Self { head, ops })
    }

    /// Adds what was saved at another time.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let mut ops: SeqMap<()> = SeqMap::default();
        for op in self.ops.iter().chain(&other.ops) {
            ops.insert(*op, ());
        }
        Self {
            head: self.head.max(other.head),
            ops: ops.keys(),
        }
    }
}
