//! The backing port: opens users' stores, and keeps what an origin remembers of all users.

use crate::log::address::Seq;
use crate::model::error::Result;
use crate::ports::store::Store;

/// Opens users' stores, and keeps what an origin remembers of all users.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Backing {
    /// The store of one user.
    type Store: Store + 'static;

    /// Opens a user's store, and remembers the user.
    async fn open(&self, user_id: &str) -> Result<Self::Store>;

    /// Returns this device's id for an open user. A user whose log was lost gets a new one, so that
    /// the remote does not take the two logs for one.
    fn device_id(&self, user_id: &str) -> String;

    /// Whether the log that was just opened, with this head and number of pending operations,
    /// replaces one that was lost; and how many operations were lost, if that is known. Reports a
    /// loss once.
    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>>;

    /// Notes the state of a user's log, so that its loss can be detected later. Does not wait.
    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason);

    /// Whether what is stored outlives the page.
    fn is_durable(&self) -> bool;

    /// Returns the users that have a database here.
    async fn users(&self) -> Result<Vec<String>>;

    /// Forgets a user whose database is gone.
    async fn forget(&self, user_id: &str) -> Result<()>;
}

/// Why the state of a log is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteReason {
    /// This instance has written.
    Wrote,
    /// The log was opened, or a cycle has ended.
    Rests,
    /// Another instance has written, and notes it itself.
    Heard,
}
