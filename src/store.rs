//! The store port: one append-only log and its segment bodies, for one user of one app.
//!
//! Every method is one transaction, and every promise is kept or the answer is an error. A store
//! knows no entities: it keeps bytes, and refuses to append after anything but its head.

use std::rc::Rc;

use crate::error::{Error, Result};

#[cfg(target_arch = "wasm32")]
pub mod indexeddb;
pub mod memory;

/// The place of a record in the log; the first record has 1, and 0 is the head of an empty log.
pub type Seq = u64;

/// The key of a segment body: its record's place times [`BODIES_PER_RECORD`], plus its index, so never
/// below [`BODIES_PER_RECORD`]. A store may keep what is its own under 0.
pub type BodyId = u64;

/// How many bodies a record may have.
pub const BODIES_PER_RECORD: u64 = 1024;

/// How long an answer may be taken for durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Flushed to the disk before the append answers.
    #[default]
    Strict,
    /// Handed to the operating system: outlives the process, not a power cut.
    Relaxed,
}

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

/// What a checkpoint makes superfluous. Record keys stay, as they are the fence; only values go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superseded {
    /// Records to overwrite with empty values.
    pub records: Vec<Seq>,
    /// Bodies to remove.
    pub bodies: Vec<BodyId>,
}

/// Why an append was refused.
#[derive(Debug)]
pub enum AppendError {
    /// Another instance appended first. Nothing was written: tail, apply, plan again.
    Stale,
    /// Nothing was written, for this reason. One exception: where a connection was lost for good while it
    /// committed, nobody can tell. The next append of that place is then [`AppendError::Stale`], and its
    /// tail brings the record.
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
    /// A compaction emptied a record that was asked for: load again.
    Compacted,
}

/// One user's log. Implementations are handles: dropping one never loses what an append promised.
///
/// Where the log was removed under an open handle, by a wipe in another instance or by the browser,
/// `tail`, `append` and `bodies` answer `storageLost` until `load` is called, which gives the log that
/// there is. So nothing is ever appended to a fresh log as if it were the old one.
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

    /// Removes everything of this user, for good; the handle is closed.
    ///
    /// # Errors
    /// What the storage says.
    async fn wipe(&self) -> Result<()>;

    /// Lets go of the storage. Later calls answer `closed`.
    fn close(&self);
}
