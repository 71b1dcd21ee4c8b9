//! The replica in memory, and its listener.

use std::cell::Ref;
use std::fmt;
use std::rc::Rc;

use crate::state::changes;
use crate::state::replica::Replica;
use crate::state::touched::Changed;
use crate::util::cell::RefCell;
use crate::util::local_sync::{Notified, Notify};

/// The origin of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A write of this tab.
    Local,
    /// The remote, through a cycle of this tab.
    Remote,
    /// Another tab.
    OtherTab,
}

impl Source {
    /// Returns its public name.
    pub(in crate::engine) const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::OtherTab => "otherTab",
        }
    }
}

/// Called with the changes that each commit makes for readers; returns false to stop listening.
#[derive(Clone)]
pub struct Listener(pub Rc<dyn Fn(Source, Vec<Changed>) -> bool>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// What is to be told of a change, once nothing borrows the replica.
pub(in crate::engine) type News = Option<Box<dyn FnOnce()>>;

/// Looks at the replica after each change.
#[derive(Clone)]
pub(super) struct OnSpaces(pub(super) Rc<dyn Fn(&Replica) -> News>);

impl fmt::Debug for OnSpaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSpaces")
    }
}

/// The state of a database in memory.
#[derive(Debug)]
pub(super) struct Memory {
    replica: RefCell<Replica>,
    listener: RefCell<Option<Listener>>,
    on_spaces: RefCell<Option<OnSpaces>>,
    moved: Notify,
}

impl Memory {
    pub(super) fn new(replica: Replica) -> Self {
        Self {
            replica: RefCell::new(replica),
            listener: RefCell::default(),
            on_spaces: RefCell::default(),
            moved: Notify::default(),
        }
    }

    /// Returns the state with its row index built.
    pub(super) fn whole(&self) -> Ref<'_, Replica> {
        let lazy = self.replica.borrow().has_lazy_rows();
        if lazy {
            self.replica.borrow_mut().materialize();
        }
        self.replica.borrow()
    }

    /// Returns the state as it is. Rows may not be in the index yet.
    pub(super) fn peek(&self) -> Ref<'_, Replica> {
        self.replica.borrow()
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Replica) -> T) -> T {
        change(&mut self.replica.borrow_mut())
    }

    /// Calls `listener` with every later change of what readers see; `None` stops it.
    pub(super) fn listen(&self, listener: Option<Listener>) {
        self.update(|replica| {
            replica.materialize();
            replica.listen(listener.is_some());
        });
        *self.listener.borrow_mut() = listener;
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listener.borrow().is_some()
    }

    /// Completes when the state has changed.
    pub(super) fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }

    /// Wakes all tasks that wait for a change.
    pub(super) fn wake(&self) {
        self.moved.notify_waiters();
        let on_spaces = self.on_spaces.borrow().clone();
        if let Some(OnSpaces(look)) = on_spaces {
            let news = look(&self.peek());
            if let Some(tell) = news {
                tell();
            }
        }
    }

    /// Has `on_spaces` look now, and after each change.
    pub(super) fn set_on_spaces(&self, on_spaces: OnSpaces) {
        self.on_spaces.replace(Some(on_spaces));
        self.wake();
    }

    /// Passes on the changes since the last call.
    pub(super) fn tell(&self, source: Source) {
        self.wake();
        let listener = self.listener.borrow().clone();
        if let Some(listener) = listener {
            let changes = self.update(changes::take);
            self.pass_on(&listener, source, changes);
        }
    }

    /// Replaces the state with one that was read from the log again.
    pub(super) fn replace(&self, mut fresh: Replica) {
        let listener = self.listener.borrow().clone();
        if listener.is_some() {
            fresh.materialize();
            self.update(Replica::materialize);
        }
        fresh.listen(listener.is_some());
        fresh.continues(&self.peek());
        let old = self.update(|replica| std::mem::replace(replica, fresh));
        self.wake();
        if let Some(listener) = listener {
            let changes = changes::since(&old, &self.peek());
            self.pass_on(&listener, Source::OtherTab, changes);
        }
    }

    fn pass_on(&self, listener: &Listener, source: Source, changes: Vec<Changed>) {
        if !changes.is_empty() && !(listener.0)(source, changes) {
            self.listen(None);
        }
    }
}
