//! When the log has grown enough for a checkpoint.

use crate::log::address::Seq;
use crate::state::segment_cache::Segments;

/// Fewer records than this are not worth a checkpoint.
pub const MIN_RECORDS: u64 = 256;

/// Fewer bytes than this are not worth a checkpoint either, unless there are [`MAX_RECORDS`].
pub const MIN_BYTES: u64 = 256 * 1024;

/// With this many records a checkpoint is due, however small they are.
pub const MAX_RECORDS: u64 = 2048;

/// Fewer dead bytes than this are not worth a compaction.
pub const MIN_DEAD_BYTES: u64 = 1024 * 1024;

/// How the log has grown since the last checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    since: Seq,
    records: u64,
    bytes: u64,
}

impl Growth {
    /// The position of the last checkpoint; 0 if there is none.
    #[must_use]
    pub const fn since(&self) -> Seq {
        self.since
    }

    /// Counts one more record.
    pub fn record(&mut self, bytes: usize) {
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Starts counting from a checkpoint.
    pub fn checkpointed(&mut self, at: Seq) {
        *self = Self {
            since: at,
            records: 0,
            bytes: 0,
        };
    }

    /// Returns the records since the last checkpoint, and their bytes.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// Returns true if anything was written since the last checkpoint.
    #[must_use]
    pub const fn has_grown(&self) -> bool {
        self.records > 1
    }

    /// Returns true if a checkpoint would pay for itself. Its cost grows with the directory, so it
    /// has to be spread over a proportional growth of the log.
    ///
    /// Called after every write: `directory_bytes`, which counts the rows, is called only when
    /// there is much to save.
    #[must_use]
    pub fn wants_checkpoint(&self, directory_bytes: &dyn Fn() -> u64, segments: &Segments) -> bool {
        if self.records >= MAX_RECORDS
            || (self.records >= MIN_RECORDS
                && self.bytes >= MIN_BYTES
                && self.bytes >= directory_bytes())
        {
            return true;
        }
        let (len, live) = segments
            .external()
            .fold((0_u64, 0_u64), |(len, live), (_, l, v)| {
                (len.saturating_add(u64::from(l)), live.saturating_add(v))
            });
        let dead = len.saturating_sub(live);
        dead >= MIN_DEAD_BYTES && dead > live
    }
}
