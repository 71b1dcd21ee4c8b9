//! What a cycle covered, how it ended, and what it left, as far as the next one is concerned.

use crate::model::error::{Code, Result};
use crate::model::status::SyncResult;

/// What a cycle covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// It pushes.
    pub pushes: bool,
    /// It pulls what the config's defaults pull.
    pub pulls: bool,
    /// It ignores the cursor.
    pub full: bool,
}

/// What the outbox holds after a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Anything at all.
    pub waiting: bool,
    /// When the first operation that the remote put off may be sent again, in milliseconds since
    /// 1970.
    pub postponed: Option<u64>,
}

/// How a cycle ended, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleOutcome {
    /// It did what it could.
    Success,
    /// It did not run.
    Skipped,
    /// Somebody stopped it.
    Stopped,
    /// It failed, and may succeed soon; the remote asked to wait so many milliseconds.
    Retry(Option<u64>),
    /// It failed, and may succeed once something has changed by itself: the next interval tries.
    Later,
    /// It failed, and will until somebody does something.
    Rest,
}

impl CycleOutcome {
    /// What a cycle's result means.
    #[must_use]
    pub fn of(result: &Result<SyncResult>) -> Self {
        let error = match result {
            Ok(result) if result.was_cancelled => return Self::Stopped,
            Ok(result) if result.was_skipped => return Self::Skipped,
            Ok(_) => return Self::Success,
            Err(error) => error,
        };
        match error.code() {
            Code::Cancelled => Self::Stopped,
            code if code.is_retryable() => Self::Retry(error.retry_after_ms()),
            // A hotel's sign-in page answers every request; a full disk is emptied; none says so.
            Code::Protocol
            | Code::Rejected
            | Code::Conflict
            | Code::StorageFull
            | Code::StorageUnavailable
            | Code::StorageLost
            | Code::Corrupt => Self::Later,
            _ => Self::Rest,
        }
    }
}
