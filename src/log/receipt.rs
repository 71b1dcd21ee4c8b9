//! TODO

/// The most field_hashes that one receipt has; the oldest go first.
pub(crate) const MAX_FIELD_HASHES: usize = 64;

/// How an operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// The server has it as it was written.
    #[default]
    Applied,
    /// It met a conflict, and something else than it alone stands: a merge, or what the server had.
    Merged,
    /// The server will never take it: it became a dead letter.
    Rejected,
}

impl ReceiptOutcome {
    /// Its name on the public surface.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Merged => "merged",
            Self::Rejected => "rejected",
        }
    }
}

impl Receipt {
    /// The same once a conflict with what the server has at this version was settled with more than
    /// this device's own; `merging` where the outcome is still to be pushed.
    #[must_use]
    pub(crate) fn after_conflict(self, now: u64, merging: bool, version: u64) -> Self {
        let version = if self.suspect { version } else { self.version };
        let settled = if merging {
            self.outcome
        } else {
            ReceiptOutcome::Merged
        };
        Self {
            outcome: settled,
            at: if merging { self.at } else { now },
            version,
            suspect: false,
            merging,
            ..self
        }
    }
}

/// What is known of the last operation of one entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How it ended.
    pub outcome: ReceiptOutcome,
    /// When, by this device's clock, in milliseconds since 1970.
    pub at: u64,
    /// The version of the last write that the server has acknowledged; 0 where it has acknowledged
    /// none.
    pub version: u64,
    /// That was a delete.
    pub deleted: bool,
    /// This device made the row: each of its values is its own.
    pub whole: bool,
    /// The server was restored, and may have forgotten the write.
    pub suspect: bool,
    /// A conflict of what waits was settled with more than this device's own.
    pub merging: bool,
    /// Values that this device has put or replaced.
    pub field_hashes: Box<[u64]>,
}

/// A server that was restored from an older state, until everything has been pulled afresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// The greatest version that was not forgotten; none where the server cannot tell.
    pub kept: Option<u64>,
    /// Receipts from before this time do not count.
    pub since: u64,
}
