//! The host port: what the engine needs from its environment apart from storage and network.

use std::rc::Rc;

use crate::model::error::Result;

/// Clocks, random bytes, timers, locks, the network's state, and a channel between tabs.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Host {
    /// Holds a lock until it is dropped.
    type Guard;

    /// Holds, or queues for, a shared lock until it is dropped.
    type Share: 'static;

    /// Milliseconds since 1970, by a clock that may be wrong.
    fn now_ms(&self) -> u64;

    /// Milliseconds by a monotonic clock; only differences mean something.
    fn elapsed_ms(&self) -> u64;

    /// Fills a buffer with random bytes.
    fn random(&self, bytes: &mut [u8]);

    /// Resolves after `ms` milliseconds.
    async fn sleep(&self, ms: u64);

    /// Yields to everything else that is ready: input, painting, timers.
    async fn breathe(&self) {
        self.sleep(0).await;
    }

    /// Loads all of the engine, where it comes in parts. What is rare may be in one that is still to come, and
    /// code that meets it cannot wait there.
    ///
    /// # Errors
    /// Fails with [`Code::Network`](crate::model::error::Code::Network) if a part cannot be had.
    async fn load_all(&self) -> Result<()> {
        Ok(())
    }

    /// Returns true if there is nothing left to load: code of any part runs at once.
    fn has_all(&self) -> bool {
        true
    }

    /// Returns true if the browser believes that there is a network.
    fn is_online(&self) -> bool;

    /// Takes the lock of that name among all tabs, if it is free now. With `steal`, takes it from
    /// another holder too.
    ///
    /// # Errors
    /// Fails with `storageUnavailable` if the browser refuses locks. Without Web Locks, every call
    /// succeeds.
    async fn lock(&self, name: &str, steal: bool) -> Result<Option<Self::Guard>>;

    /// Takes the lock of that name if it is free now.
    ///
    /// # Errors
    /// As [`Self::lock`].
    async fn try_lock(&self, name: &str) -> Result<Option<Self::Guard>> {
        self.lock(name, false).await
    }

    /// Calls back once another instance steals the lock from this guard.
    fn on_stolen(&self, guard: &Self::Guard, stolen: Rc<dyn Fn()>);

    /// Requests the lock of that name in shared mode, and waits `patience_ms` milliseconds at most
    /// for the grant. Granted or queued: while the returned value lives, no later
    /// [`Self::try_lock`] of that name succeeds. `None` if there are no locks, or they are refused.
    async fn share(&self, name: &str, patience_ms: u64) -> Option<Self::Share>;

    /// Announces the head of a database to its other instances, in this and other tabs.
    fn announce(&self, database: &str, head: u64);

    /// Sends a message to those instances. It is a hint: an instance may miss it.
    fn post_status(&self, database: &str, word: &str);

    /// Returns the bytes used and allowed, if the browser reports them.
    async fn storage(&self) -> StorageEstimate;
}

/// A message from another instance of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TabMessage {
    /// The head of its log.
    Head(u64),
    /// A message about the status.
    Status(String),
}

/// The browser's report about this origin's storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageEstimate {
    /// Bytes in use.
    pub usage: Option<u64>,
    /// Bytes allowed.
    pub quota: Option<u64>,
    /// Whether the browser promised not to evict it.
    pub persisted: bool,
}
