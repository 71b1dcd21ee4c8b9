//! Where databases come from, and what one origin remembers over all users.

use crate::log::address::Seq;
use crate::model::error::Result;
use crate::ports::store::Store;

/// Where databases come from, and what one origin remembers over all users.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Backing {
    /// The store of one user.
    type Store: Store + 'static;

    /// Opens a user's store, and remembers the user.
    ///
    /// # Errors
    /// What the storage says.
    async fn open(&self, user_id: &str) -> Result<Self::Store>;

    /// This device's id as far as an open user is concerned: made once, and another one since that
    /// user's log was lost, so that nothing that the remote knows of the one is taken for the
    /// other's.
    fn device_id(&self, user_id: &str) -> String;

    /// Whether the log that was just opened, with this head and so many operations that wait, takes
    /// the place of one that was lost; and how many operations were lost with that, where it is
    /// known. Answers once.
    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>>;

    /// Shows how a user's log stands, so that its loss can be noticed later. Waits for nothing.
    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason);

    /// Whether what is stored outlives the page.
    fn is_durable(&self) -> bool;

    /// Users that have a database here.
    ///
    /// # Errors
    /// What the storage says.
    async fn users(&self) -> Result<Vec<String>>;

    /// Forgets a user whose database is gone.
    ///
    /// # Errors
    /// What the storage says.
    async fn forget(&self, user_id: &str) -> Result<()>;
}

/// Why the state of a log is shown to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteReason {
    /// This instance has written.
    Wrote,
    /// The log was opened, or a cycle has ended: numbers are worth noting.
    Rests,
    /// Another instance has written, and notes that itself.
    Heard,
}
