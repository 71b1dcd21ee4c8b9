//! Tracks which instances have the database open, to decide when keys of emptied records may be
//! freed.
//!
//! A record's key is the fence: it refuses an instance that slept while others wrote and compacted.
//! So a key may be freed only if no open instance has loaded the log as it was before the
//! checkpoint. Every open instance holds a lock in shared mode; an instance that gets the lock
//! exclusively knows that it is alone. An instance that opens in the meantime loads the checkpoint,
//! which is durable by then, and needs no key below it.

use std::any::Any;
use std::cell::Cell;

use crate::ports::host::Host;
use crate::util::cell::RefCell;

/// How long an instance waits for its share, in milliseconds. Then it continues, and its request
/// stays queued: no later instance can be alone, and one that is alone now has already written the
/// checkpoint.
const PATIENCE_MS: u64 = 5_000;

/// This instance's share of the lock.
#[derive(Debug, Default)]
pub(super) struct OpenInstances {
    /// Any type, because it is only dropped.
    share: RefCell<Option<Box<dyn Any>>>,
    /// The share was given up since this instance last read the log.
    must_look: Cell<bool>,
}

impl OpenInstances {
    /// Takes a share, if the browser has locks.
    pub(super) async fn enter<H: Host>(&self, host: &H, database: &str) {
        let share = host.share(&lock_name(database), PATIENCE_MS).await;
        *self.share.borrow_mut() = share.map(|share| Box::new(share) as Box<dyn Any>);
    }

    /// Gives up the share for good.
    pub(super) fn leave(&self) {
        let share = self.share.borrow_mut().take();
        drop(share);
    }

    /// Gives up the share for now. Other instances may compact and free keys in the meantime.
    pub(super) fn step_out(&self) {
        self.leave();
        self.must_look.set(true);
    }

    pub(super) fn has_share(&self) -> bool {
        self.share.borrow().is_some()
    }

    /// Returns the lock if no other instance is open.
    pub(super) async fn alone<H: Host>(host: &H, database: &str) -> Option<H::Guard> {
        host.try_lock(&lock_name(database)).await.ok().flatten()
    }

    /// Returns true if this instance has its share and has read the log since it took it.
    pub(super) async fn is_back<H: Host>(&self, host: &H, database: &str) -> bool {
        if !self.must_look.get() {
            return true;
        }
        if self.share.borrow().is_none() {
            self.enter(host, database).await;
        }
        self.must_look.set(false);
        false
    }
}

fn lock_name(database: &str) -> String {
    format!("datum-sync-open:{database}")
}
