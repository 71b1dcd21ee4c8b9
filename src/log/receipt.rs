//! Receipts: the known outcome of an entity's last operation after it left the outbox.

/// The most field hashes in one receipt; the oldest are dropped first.
pub(crate) const MAX_FIELD_HASHES: usize = 64;

/// How an operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// The server has the operation as it was written.
    #[default]
    Applied,
    /// It met a conflict, and the server has a merge or its own row instead.
    Merged,
    /// The server rejected it for good, and it became a dead letter.
    Rejected,
}

impl ReceiptOutcome {
    /// Returns the public name.
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
    /// Returns the receipt after a conflict with the server's row at `version` was settled with
    /// more than this device's own values. `merging`: the result has still to be pushed.
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
            whole: false,
            suspect: false,
            merging,
            ..self
        }
    }
}

/// The known outcome of an entity's last operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    pub outcome: ReceiptOutcome,
    /// When it ended by this device's clock, in milliseconds since 1970.
    pub at: u64,
    /// The version of the last write that the server acknowledged; 0 if there is none.
    pub version: u64,
    /// The acknowledged write was a delete.
    pub deleted: bool,
    /// This device created the row, so that all its values are its own. False after a conflict.
    pub whole: bool,
    /// The server was restored, and may have forgotten the write.
    pub suspect: bool,
    /// A conflict of a pending operation was settled with more than this device's own values.
    pub merging: bool,
    /// Hashes of the values that this device set or replaced.
    pub field_hashes: Box<[u64]>,
}

/// The restore of a server from an older state, until the full pull after it is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// The greatest version that the server kept; `None` if it cannot tell.
    pub kept: Option<u64>,
    /// Receipts from before this time do not count.
    pub since: u64,
}
