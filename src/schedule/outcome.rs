//! The effects and the outcome of a cycle, as far as the next one depends on them.

use crate::model::error::{Code, Result};
use crate::model::status::SyncResult;

/// The work of a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// It pushes.
    pub pushes: bool,
    /// It pulls what the config's defaults pull, not only a scope.
    pub pulls: bool,
    /// It ignores the cursor.
    pub full: bool,
}

/// The state of the outbox after a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Operations are pending.
    pub waiting: bool,
    /// When the first operation that the remote postponed may be sent again, in milliseconds since
    /// 1970.
    pub postponed: Option<u64>,
}

/// The outcome of a cycle, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleOutcome {
    /// It ran to its end.
    Success,
    /// It did not run.
    Skipped,
    /// Somebody stopped it.
    Stopped,
    /// It failed and may succeed soon; the remote may have asked for a delay in milliseconds.
    Retry(Option<u64>),
    /// It failed and may succeed once the cause is gone: the next interval tries again.
    Later,
    /// It fails until somebody acts, for example signs in again.
    Rest,
}

impl CycleOutcome {
    /// Derives the outcome from a cycle's result.
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
            // These causes can go away unnoticed, such as a hotel's sign-in page, a full disk, or
            // another server behind the same address, which gets nothing.
            Code::Protocol
            | Code::OtherServer
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
