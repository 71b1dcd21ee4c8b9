//! The status feed: every reader gets the current snapshot immediately, and later every terminal
//! one; of the others, a slow reader gets only the latest.

use std::cell::Cell;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::model::status::SyncStatus;
use crate::util::cell::RefCell;
use crate::util::queue::Queue;

/// The most terminal snapshots that are queued for a reader.
const MAX_WAITING: usize = 256;

type SnapshotQueue = Queue<Rc<SyncStatus>>;

/// Called with every snapshot as it is published.
#[derive(Clone)]
struct Watcher(Rc<dyn Fn(&SyncStatus)>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

/// One user's status, and its readers.
#[derive(Debug, Default)]
pub struct StatusHub {
    watcher: RefCell<Option<Watcher>>,
    current: RefCell<Rc<SyncStatus>>,
    subscribers: RefCell<Vec<Weak<SnapshotQueue>>>,
    closed: Cell<bool>,
}

/// One subscription to the feed.
#[derive(Debug)]
pub struct StatusReader {
    waiting: Rc<SnapshotQueue>,
}

impl StatusHub {
    /// Returns a feed that begins with this snapshot.
    #[must_use]
    pub fn new(first: SyncStatus) -> Self {
        Self {
            current: RefCell::new(Rc::new(first)),
            ..Self::default()
        }
    }

    /// Returns the latest snapshot.
    #[must_use]
    pub fn current(&self) -> Rc<SyncStatus> {
        Rc::clone(&self.current.borrow())
    }

    /// Calls `callback` with every later snapshot. Replaces any previous callback.
    pub fn watch(&self, callback: Rc<dyn Fn(&SyncStatus)>) {
        self.watcher.replace(Some(Watcher(callback)));
    }

    /// Changes the snapshot; publishes it only if it differs.
    pub fn update(&self, mut change: impl FnMut(&mut SyncStatus)) {
        self.update_by(&mut change);
    }

    // Not generic, so that it is compiled once.
    fn update_by(&self, change: &mut dyn FnMut(&mut SyncStatus)) {
        let mut next = (**self.current.borrow()).clone();
        change(&mut next);
        if **self.current.borrow() == next {
            return;
        }
        let next = Rc::new(next);
        self.current.replace(Rc::clone(&next));
        self.subscribers.borrow_mut().retain(|weak| {
            let Some(waiting) = weak.upgrade() else {
                return false;
            };
            offer(&waiting, &next);
            true
        });
        let watcher = self.watcher.borrow().clone();
        if let Some(Watcher(callback)) = watcher {
            callback(&next);
        }
    }

    /// Returns a new reader that begins with the latest snapshot.
    #[must_use]
    pub fn subscribe(&self) -> StatusReader {
        let waiting = Rc::new(SnapshotQueue::default());
        offer(&waiting, &self.current());
        if self.closed.get() {
            waiting.end();
        }
        self.subscribers.borrow_mut().push(Rc::downgrade(&waiting));
        StatusReader { waiting }
    }

    /// Ends the feed for every reader, after the snapshots that are still queued.
    pub fn close(&self) {
        self.closed.set(true);
        for waiting in self.subscribers.borrow().iter().filter_map(Weak::upgrade) {
            waiting.end();
        }
    }
}

/// Queues a snapshot. Of those that a slow reader has not read yet, keeps only the terminal ones
/// and the latest.
fn offer(waiting: &SnapshotQueue, next: &Rc<SyncStatus>) {
    waiting.offer(|queue| {
        if queue.back().is_some_and(|last| !last.is_terminal()) {
            queue.pop_back();
        }
        if queue.len() >= MAX_WAITING {
            queue.pop_front();
        }
        queue.push_back(Rc::clone(next));
    });
}

impl StatusReader {
    /// Returns the next snapshot; `None` once the feed has ended.
    pub async fn next(&self) -> Option<Rc<SyncStatus>> {
        self.waiting.next().await
    }

    /// Ends this subscription: a pending `next` returns `None`.
    pub fn end(&self) {
        self.waiting.cut();
    }
}
