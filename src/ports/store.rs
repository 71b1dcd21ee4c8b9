//! The store port: one append-only log and its segment bodies, for one user of one app.
//!
//! Every method is one transaction, which happens as a whole or fails. A store knows no entities:
//! it keeps bytes, and appends only after its head.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, Superseded};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};

/// One commit, ready to be written.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The record's sequence number: the head that it was planned against, plus one.
    pub seq: Seq,
    pub record: Rc<[u8]>,
    /// Segment bodies outside the record.
    pub bodies: Vec<(BodyId, Rc<[u8]>)>,
    /// Set if the record is a checkpoint: opening starts here, and earlier records are emptied.
    pub checkpoint: Option<Superseded>,
}

/// Why an append was refused.
#[derive(Debug)]
pub enum AppendError {
    /// Another instance appended first. Nothing was written: tail, apply, plan again.
    Stale,
    /// Nothing was written. One exception: if a connection was lost for good while it committed,
    /// the outcome is unknown. If the record was written, the next append is
    /// [`AppendError::Stale`], and its tail brings the record.
    Failed(Error),
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Records in order, from the last checkpoint on.
pub type Records = Vec<(Seq, Rc<[u8]>)>;

/// The result of a tail.
#[derive(Debug)]
pub enum Tail {
    /// The records after the given one; empty if that is the head.
    Records(Records),
    /// A compaction has emptied or freed one of the records: load again.
    Compacted,
}

impl Tail {
    /// Classifies the records that were found after `after`.
    #[must_use]
    pub fn of(after: Seq, found: Records) -> Self {
        // Freed keys leave a gap: the records after it do not continue the caller's state.
        let gap = found
            .first()
            .is_some_and(|(seq, _)| *seq != after.saturating_add(1));
        if gap || found.iter().any(|(_, record)| record.is_empty()) {
            Self::Compacted
        } else {
            Self::Records(found)
        }
    }
}

/// Returns the error for a log other than the one that the caller loaded, which was lost.
pub(crate) fn lost() -> Error {
    Error::new(
        Code::StorageLost,
        "The stored data is gone: the browser has removed it; load again.",
    )
}

/// Returns the error for a log that was removed on request.
pub(crate) fn wiped() -> Error {
    Error::new(
        Code::Closed,
        "This user's data was removed from this device; `switchUser` signs the user in again, and the next sync fetches it.",
    )
}

/// One user's log. Implementations are handles: dropping one never loses what an append has
/// written.
///
/// If the log was lost under an open handle, evicted or damaged by the browser, `tail`, `append`,
/// `free` and `bodies` fail with `storageLost` until `load` is called, which returns the present
/// log. So nothing is ever appended to a new log as if it were the old one. If another instance has
/// wiped the log on request, every call fails with `closed`, for good: the state that this handle's
/// owner has in memory must not come back.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Store {
    /// Returns the records from the last checkpoint on, or from the start; no bodies.
    async fn load(&self) -> Result<Records>;

    /// Returns the records after `after`.
    async fn tail(&self, after: Seq) -> Result<Tail>;

    /// Writes the record and its bodies, and empties what it supersedes, or does nothing at all.
    /// Resolves only once the transaction has completed.
    ///
    /// # Errors
    /// Fails with [`AppendError::Stale`] if the sequence number is taken.
    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError>;

    /// Returns segment bodies, in the order of `ids`; `None` for a missing one.
    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>>;

    /// Removes the keys below a checkpoint of the log. The caller must know that no open instance
    /// has loaded earlier records: nothing would fence its next append. Keys that remain after a
    /// failure are harmless.
    async fn free(&self, below: Seq) -> Result<()>;

    /// Removes everything of this user, for good; this handle and every other one are closed.
    async fn wipe(&self) -> Result<()>;

    /// Closes the storage for now; the next call opens it again. An append is
    /// [`AppendError::Stale`] until a `load` or `tail` has begun after this, because other
    /// instances may have written in the meantime.
    fn rest(&self);

    /// Closes the storage. Later calls fail with `closed`.
    fn close(&self);

    /// Returns true once after `load`, if the log that was lost was one in memory, which stood in
    /// for the storage while that was not available.
    fn took_over(&self) -> bool {
        false
    }
}
