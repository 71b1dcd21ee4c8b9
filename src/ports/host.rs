//! The host port: what the engine asks of the place it runs in, apart from storage and network.

use std::rc::Rc;

use crate::model::error::Result;

/// A clock, dice, timers, a word on the network, locks and a channel between tabs.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Host {
    /// Holds a lock until it is dropped.
    type Guard;

    /// Holds a place among those that share a lock until it is dropped.
    type Share: 'static;

    /// Milliseconds since 1970, by a clock that may be wrong.
    fn now_ms(&self) -> u64;

    /// Milliseconds by a clock that never goes back; only differences mean something.
    fn elapsed_ms(&self) -> u64;

    /// Fills a buffer with random bytes.
    fn random(&self, bytes: &mut [u8]);

    /// Resolves after that many milliseconds.
    async fn sleep(&self, ms: u64);

    /// Lets everything else that is ready run first: input, painting, timers.
    async fn breathe(&self) {
        self.sleep(0).await;
    }

    /// Whether the browser believes that there is a network.
    fn is_online(&self) -> bool;

    /// Takes the lock of that name if it is free now, over all tabs; with `steal`, from whoever has
    /// it.
    ///
    /// # Errors
    /// What the browser says; where it has no locks, the lock counts as taken.
    async fn lock(&self, name: &str, steal: bool) -> Result<Option<Self::Guard>>;

    /// Takes the lock of that name if it is free now.
    ///
    /// # Errors
    /// As [`Self::lock`].
    async fn try_lock(&self, name: &str) -> Result<Option<Self::Guard>> {
        self.lock(name, false).await
    }

    /// Calls back once where another instance steals the lock from this guard.
    fn on_stolen(&self, guard: &Self::Guard, stolen: Rc<dyn Fn()>);

    /// Asks for the lock of that name in the form that many hold at once, and waits for it, but no
    /// longer than `patience_ms` milliseconds. Whether it was granted or still waits its turn:
    /// while what this answers lives, nobody who asks later gets [`Self::try_lock`] of that name.
    /// None where there are no locks, or they are refused.
    async fn share(&self, name: &str, patience_ms: u64) -> Option<Self::Share>;

    /// Tells every other instance of this user's database, in this and other tabs, where its head
    /// is.
    fn announce(&self, database: &str, head: u64);

    /// Says a word to the same instances: a hint, which whoever misses it can do without.
    fn say(&self, database: &str, word: &str);

    /// Bytes used and allowed by the browser, where it tells.
    async fn storage(&self) -> StorageEstimate;
}

/// What one instance of a database hears from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Where the head of the log is.
    Head(u64),
    /// A word on the status.
    Word(String),
}

/// What the browser says of this origin's storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageEstimate {
    /// Bytes in use.
    pub usage: Option<u64>,
    /// Bytes allowed.
    pub quota: Option<u64>,
    /// Whether the browser promised not to evict it.
    pub persisted: bool,
}
