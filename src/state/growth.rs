//! TODO

use crate::log::address::Seq;
use crate::state::replica::Replica;

/// Fewer records than this are not worth a checkpoint.
const MIN_RECORDS: u64 = 256;

/// Nor fewer bytes than this, unless the records are many.
const MIN_BYTES: u64 = 256 * 1024;

/// From here on a checkpoint is due, however small the records are.
const MAX_RECORDS: u64 = 2048;

/// Dead bytes that are not worth a compaction.
const MIN_DEAD_BYTES: u64 = 1024 * 1024;

/// How the log has grown since the last checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    pub(crate) since: Seq,
    records: u64,
    bytes: u64,
}

impl Growth {
    /// One more record.
    pub fn record(&mut self, bytes: usize) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// A checkpoint was written.
    pub fn checkpointed(&mut self, at: Seq) {
        *self = Self {
            since: at,
            records: 0,
            bytes: 0,
        };
    }
}

impl Replica {
    /// Whether a checkpoint would pay for itself: its cost grows with the directory, so that it is
    /// spread over a proportional growth of the log.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        if self.is_pulling_all() {
            // A sweep goes by the records that rows were confirmed in; a checkpoint renews them
            // all.
            return false;
        }
        // Asked after every write: the rows are counted only when there is much to save.
        let (records, bytes) = (self.growth.records, self.growth.bytes);
        if records >= MAX_RECORDS
            || (records >= MIN_RECORDS && bytes >= MIN_BYTES && bytes >= self.directory_bytes())
        {
            return true;
        }
        let (len, live) = self
            .segments
            .external()
            .fold((0_u64, 0_u64), |(len, live), (_, l, v)| {
                (len.saturating_add(u64::from(l)), live.saturating_add(v))
            });
        let dead = len.saturating_sub(live);
        dead >= MIN_DEAD_BYTES && dead > live
    }

    /// Returns true while a full pull is under way.
    #[must_use]
    pub fn is_pulling_all(&self) -> bool {
        self.cursors
            .values()
            .any(|state| state.full_since.is_some())
    }

    /// The place of the checkpoint that the state was folded from; 0 where there is none.
    #[must_use]
    pub const fn checkpointed_at(&self) -> Seq {
        self.growth.since
    }

    /// Whether anything was written since the last checkpoint that another one could do without.
    #[must_use]
    pub const fn has_grown(&self) -> bool {
        self.growth.records > 1
    }

    fn directory_bytes(&self) -> u64 {
        let rows = self.entities.values().fold(0_u64, |sum, rows| {
            sum.saturating_add(rows.iter().count() as u64)
        });
        rows.saturating_mul(24)
    }
}
