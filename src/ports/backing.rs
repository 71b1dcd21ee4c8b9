//! The databases of one app, and the data stored outside them.

use crate::log::address::Seq;
use crate::model::error::Result;
use crate::ports::store::Store;

/// Opens the databases of one app, and keeps the data stored outside them.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Backing {
    type Store: Store + 'static;

    /// Opens a user's store, and remembers the user.
    ///
    /// # Errors
    /// Errors of the storage.
    async fn open(&self, user_id: &str) -> Result<Self::Store>;

    /// Returns an empty store that is nowhere stored, for questions about a user who has none.
    fn nothing(&self) -> Self::Store;

    /// Returns this device's id for an open user: made once, and replaced when that user's log was
    /// lost, so that the remote does not take the new log for the old one.
    fn device_id(&self, user_id: &str) -> String;

    /// Returns whether the log that was just opened, with this head and number of pending
    /// operations, replaces a lost one, and how many operations were lost, if known. Reports a loss
    /// once.
    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>>;

    /// Records head and pending operations of a log, so that its loss can be noticed later. Does
    /// not wait for the storage.
    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason);

    /// Returns true if stored data outlives the page.
    fn is_durable(&self) -> bool;

    /// Returns the users that have a database here.
    ///
    /// # Errors
    /// Errors of the storage.
    async fn users(&self) -> Result<Vec<String>>;

    /// Forgets a user whose database is gone.
    ///
    /// # Errors
    /// Errors of the storage.
    async fn forget(&self, user_id: &str) -> Result<()>;
}

/// Why the state of a log is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteReason {
    /// This instance has written.
    Wrote,
    /// The log was opened, or a cycle has ended: the exact numbers are recorded.
    AtRest,
    /// Another instance has written, and makes its own record.
    OtherInstance,
}
