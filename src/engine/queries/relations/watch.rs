//! Entities with those that they lead to, now and after each change of any of them.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::journal::{Journal, Noting};
use crate::engine::queries::relations::RelatedRead;
use crate::engine::queries::relations::graph::RelatedGraph;
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::local_sync::Mutex;

/// A loop over entities with their relations.
pub struct RelatedWatch<S, H> {
    /// Not here while an update is made.
    read: RefCell<Option<Box<RelatedRead<S, H>>>>,
    /// Held while an update is made: a loop may ask for several at once.
    turn: Mutex,
    journal: Rc<Journal>,
    _noting: Noting,
    /// The item of the journal up to which the last update was made, and the sum of what is shown.
    seen: Cell<Option<u64>>,
    shown: Cell<Option<u64>>,
    ended: Cell<bool>,
}

impl<S: Store, H: Host> RelatedWatch<S, H> {
    pub(super) fn new(read: RelatedRead<S, H>) -> Self {
        let journal = Rc::clone(&read.user.journal);
        Self {
            _noting: Noting::new(&journal),
            read: RefCell::new(Some(Box::new(read))),
            turn: Mutex::default(),
            journal,
            seen: Cell::default(),
            shown: Cell::default(),
            ended: Cell::new(false),
        }
    }

    /// Returns everything, then everything after each change; `None` once the watch has ended.
    ///
    /// # Errors
    /// Errors of the store; the next call reads again.
    pub async fn next(&self) -> Result<Option<RelatedGraph>> {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.journal.notify.notified();
            if self.ended.get() || self.journal.closed.get() {
                return Ok(None);
            }
            let Some(mut read) = self.read.take() else {
                return Ok(None);
            };
            let is_touched = self.seen.get().is_none_or(|seen| read.has_changed(seen));
            let graph = match is_touched {
                true => read.load().await.map(Some),
                false => Ok(None),
            };
            self.read.replace(Some(read));
            if let Some(graph) = graph? {
                // Nothing has been awaited since it was made.
                self.seen.set(Some(self.journal.next.get()));
                let sum = Some(graph.sum());
                if self.shown.replace(sum) != sum {
                    return Ok(Some(graph));
                }
            }
            changed.await;
        }
    }

    /// Ends the watch: a pending call returns `None`.
    pub fn end(&self) {
        self.ended.set(true);
        self.journal.notify.notify_waiters();
    }
}
