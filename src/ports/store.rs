//! The store port: one append-only log and its segment bodies, for one user of one app.
//!
//! Every method is one transaction, and every promise is kept or the answer is an error. A store
//! knows no entities: it keeps bytes, and refuses to append after anything but its head.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, Superseded};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};

/// One commit, ready to be written.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// The record's place: the head that it was planned against, plus one.
    pub seq: Seq,
    /// The record.
    pub record: Rc<[u8]>,
    /// Segment bodies that lie outside the record.
    pub bodies: Vec<(BodyId, Rc<[u8]>)>,
    /// This record is a checkpoint: opening starts here, and what lies before it is emptied.
    pub checkpoint: Option<Superseded>,
}

/// Why an append was refused.
#[derive(Debug)]
pub enum AppendError {
    /// Another instance appended first. Nothing was written: tail, apply, plan again.
    Stale,
    /// Nothing was written, for this reason. One exception: where a connection was lost for good
    /// while it committed, nobody can tell. The next append of that place is then
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

/// What a tail found.
#[derive(Debug)]
pub enum Tail {
    /// The records after the given place; empty where it is the head.
    Records(Records),
    /// A compaction emptied or freed a record that was asked for: load again.
    Compacted,
}

impl Tail {
    /// What the records found after a place say.
    #[must_use]
    pub fn of(after: Seq, found: Records) -> Self {
        // Freed keys leave a gap; what follows it is no continuation of what the caller knows.
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

/// The log is another one than the caller loaded: the browser, or the disk, has lost that.
pub(crate) fn lost() -> Error {
    Error::new(
        Code::StorageLost,
        "The stored data is gone: the browser has removed it; load again.",
    )
}

/// Somebody asked for the log to be removed.
pub(crate) fn wiped() -> Error {
    Error::new(
        Code::Closed,
        "This user's data was removed from this device in another tab; `switchUser` signs the user in again, and the next sync fetches it.",
    )
}

/// One user's log. Implementations are handles: dropping one never loses what an append promised.
///
/// Where the log was lost under an open handle, evicted or damaged by the browser, `tail`,
/// `append`, `free` and `bodies` answer `storageLost` until `load` is called, which gives the log
/// that there is. So nothing is ever appended to a fresh log as if it were the old one. Where
/// another instance wiped it, because somebody asked for that, every call answers `closed`, for
/// good: what this handle's owner knows must not come back.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Store {
    /// Everything from the last checkpoint on, or from the start; no bodies.
    ///
    /// # Errors
    /// What the storage says.
    async fn load(&self) -> Result<Records>;

    /// The records after `after`.
    ///
    /// # Errors
    /// What the storage says.
    async fn tail(&self, after: Seq) -> Result<Tail>;

    /// Writes the record and its bodies, and supersedes what it says, or nothing at all. Resolves
    /// only once the transaction has completed.
    ///
    /// # Errors
    /// [`AppendError::Stale`] where the place is taken.
    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError>;

    /// Segment bodies by key, in the order asked for; none where one is missing.
    ///
    /// # Errors
    /// What the storage says.
    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>>;

    /// Removes the keys below a checkpoint, which is in the log. The caller must know that no
    /// instance is open that has loaded what came before it: such a one would append there, as
    /// nothing fences it any more.
    ///
    /// # Errors
    /// What the storage says; what is left is harmless.
    async fn free(&self, below: Seq) -> Result<()>;

    /// Removes everything of this user, for good; the handle is closed, and so is every other one.
    ///
    /// # Errors
    /// What the storage says.
    async fn wipe(&self) -> Result<()>;

    /// Lets go of the storage for now; the next call comes back to it. An append answers
    /// [`AppendError::Stale`] until a `load` or `tail` was begun after this: who was away must look
    /// first.
    fn rest(&self);

    /// Lets go of the storage. Later calls answer `closed`.
    fn close(&self);
}
