//! Who hears of what a commit has changed. Called with nothing borrowed, after the state has moved.

use std::fmt;
use std::rc::Rc;

use crate::engine::database::{Database, closed};
use crate::model::error::Result;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::changes;
use crate::state::replica::Replica;
use crate::state::touched::Changed;

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A write of this tab.
    Local,
    /// The remote, by this tab's cycle.
    Remote,
    /// Another tab.
    OtherTab,
}

/// Hears what each commit has changed in what readers see, and answers whether it wants to hear
/// more.
#[derive(Clone)]
pub struct Listener(pub Rc<dyn Fn(Source, Vec<Changed>) -> bool>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl<S: Store, H: Host> Database<S, H> {
    /// Has every change of what readers see told, or none any more.
    pub fn listen(&self, listener: Option<Listener>) {
        let mut replica = self.replica.borrow_mut();
        replica.materialize();
        replica.listen(listener.is_some());
        drop(replica);
        *self.listener.borrow_mut() = listener;
    }

    /// Whether somebody hears of changes.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listener.borrow().is_some()
    }

    /// Waits until `seen` has an answer, which is looked for at once and whenever the state has
    /// moved.
    ///
    /// # Errors
    /// [`crate::model::error::Code::Closed`] once the database is closed or wiped.
    pub async fn until<T>(&self, seen: &mut dyn FnMut(&Replica) -> Option<T>) -> Result<T> {
        loop {
            let moved = self.moved.notified();
            if self.ended.get() {
                return Err(closed());
            }
            let answer = seen(&self.folded());
            if let Some(answer) = answer {
                return Ok(answer);
            }
            moved.await;
        }
    }

    /// Nothing comes any more: whoever waits for it hears so.
    pub(super) fn end(&self) {
        self.closed.set(true);
        self.ended.set(true);
        self.moved.notify_waiters();
    }

    pub(super) fn tell(&self, source: Source) {
        self.moved.notify_waiters();
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            let changes = changes::take(&mut self.replica.borrow_mut());
            if !changes.is_empty() {
                self.heard((listener.0)(source, changes));
            }
        }
    }

    fn heard(&self, go_on: bool) {
        if !go_on {
            self.listen(None);
        }
    }

    /// Puts a state that was read anew in place of this one.
    pub(super) fn replace(&self, mut fresh: Replica) {
        let listener = self.listener.borrow().clone();
        if listener.is_some() {
            fresh.materialize();
            self.replica.borrow_mut().materialize();
        }
        fresh.listen(listener.is_some());
        let old = std::mem::replace(&mut *self.replica.borrow_mut(), fresh);
        self.moved.notify_waiters();
        if let Some(listener) = listener {
            let changes = changes::since(&old, &self.replica.borrow());
            if !changes.is_empty() {
                self.heard((listener.0)(Source::OtherTab, changes));
            }
        }
    }
}
