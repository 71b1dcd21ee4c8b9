//! Who has this database open: what keeps the keys of emptied records, and when they may go.
//!
//! A record's key is the fence: an instance that slept while others wrote and compacted is refused
//! by it. So a key may be freed only where no instance is open that loaded what came before the
//! checkpoint. Every open instance has a place among those who share a lock; who gets it for
//! himself alone knows that he is. Whoever opens meanwhile loads the checkpoint, which is durable
//! by then, and needs no key below it.

use std::any::Any;

use crate::engine::database::Database;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::ports::store::Store;

/// How long an instance waits for its place, in milliseconds. Then it goes on: its request stays in
/// the queue, so nobody who comes later is alone, and who is alone now has written the checkpoint
/// already.
const PATIENCE_MS: u64 = 5_000;

/// What became of a log under an open instance.
#[derive(Clone, Debug)]
pub enum Gone {
    /// It was lost; so many operations that this instance knew were saved into a new one.
    Lost(usize),
    /// Somebody had it removed: nothing is saved, and this instance's part is over.
    Wiped(Error),
}

fn lock_name(database: &str) -> String {
    format!("datum-sync-open:{database}")
}

/// A host's share in a lock, of whatever type: it is only ever dropped.
pub(super) type Place = Box<dyn Any>;

/// Takes an instance's place; none where there are no locks.
pub(super) async fn enter<H: Host>(host: &H, database: &str) -> Option<Place> {
    Some(Box::new(
        host.share(&lock_name(database), PATIENCE_MS).await?,
    ))
}

impl<S: Store, H: Host> Database<S, H> {
    /// Frees the keys below the last checkpoint, unless any other instance is open.
    pub(super) async fn free(&self) {
        let turn = self.turn.lock().await;
        let place = self.place.borrow_mut().take();
        if let Some(place) = place
            && self.check_open().is_ok()
        {
            drop(place);
            // Others may have compacted, and freed, before this instance is back.
            self.look.set(true);
            if let Ok(Some(alone)) = self.host.try_lock(&lock_name(&self.name)).await {
                // A log that fails here fails at the next commit as well, which says so.
                let _ = self
                    .store
                    .free(self.read(|replica| replica.checkpointed_at()))
                    .await;
                drop(alone);
            }
            *self.place.borrow_mut() = enter(&*self.host, &self.name).await;
        }
        drop(turn);
    }

    /// Lets go of everything that keeps a page out of the browser's back/forward cache. The next
    /// call comes back.
    pub fn rest(&self) {
        let place = self.place.borrow_mut().take();
        drop(place);
        self.look.set(true);
        self.store.rest();
    }

    /// Whether this instance has its place, and has looked at the log since it took it.
    pub(super) async fn is_back(&self) -> bool {
        if !self.look.get() {
            return true;
        }
        if self.place.borrow().is_none() {
            let place = enter(&*self.host, &self.name).await;
            *self.place.borrow_mut() = place;
        }
        self.look.set(false);
        false
    }

    /// Takes note of what an error of the store says of the log as a whole.
    pub(super) fn heed(&self, error: Error) -> Error {
        if error.code() == Code::Closed && !self.closed.get() {
            self.end();
            self.place.borrow_mut().take();
            self.tell_gone(Gone::Wiped(error.clone()));
        }
        error
    }

    /// An error of the store that is one of the log's loss is none: what is known was saved.
    pub(super) async fn salvaged<T>(&self, found: Result<T>) -> Result<Option<T>> {
        match found {
            Err(error) if error.code() == Code::StorageLost => {
                self.salvage_in_turn().await.map(|()| None)
            }
            found => found.map(Some).map_err(|error| self.heed(error)),
        }
    }
}
