//! Who has this database open: what keeps the keys of emptied records, and when they may go.
//!
//! A record's key is the fence: it refuses an instance that slept while others wrote and compacted.
//! So a key may be freed only if no open instance has loaded the log as it was before the
//! checkpoint. Every open instance holds a share of a lock; the instance that gets the lock
//! exclusively knows that it is alone. An instance that opens meanwhile loads the checkpoint, which
//! is durable by then, and needs no key below it.

use std::any::Any;
use std::cell::Cell;

use crate::ports::host::Host;
use crate::util::cell::RefCell;

/// How long an instance waits for its share, in milliseconds. Then it goes on: its request stays in
/// the queue, so nobody who comes later is alone, and who is alone now has written the checkpoint
/// already.
const PATIENCE_MS: u64 = 5_000;

/// This instance's share of the lock that every open instance holds.
#[derive(Debug, Default)]
pub(super) struct OpenInstances {
    /// Of whatever type the host has: it is only ever dropped.
    share: RefCell<Option<Box<dyn Any>>>,
    /// The share was given up since this instance last looked at the log.
    must_look: Cell<bool>,
}

impl OpenInstances {
    /// Takes a share. There is none where the browser has no locks.
    pub(super) async fn enter<H: Host>(&self, host: &H, database: &str) {
        let share = host.share(&lock_name(database), PATIENCE_MS).await;
        *self.share.borrow_mut() = share.map(|share| Box::new(share) as Box<dyn Any>);
    }

    /// Gives the share up for good.
    pub(super) fn leave(&self) {
        let share = self.share.borrow_mut().take();
        drop(share);
    }

    /// Gives the share up for now. Others may compact and free keys before this instance is back.
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

    /// Returns true if this instance has its share and has looked at the log since it took it.
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
