//! The status feed: every reader gets the current snapshot at once and every terminal one; of those
//! in between, a slow reader gets the latest.

use std::cell::Cell;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::model::status::SyncStatus;
use crate::util::cell::RefCell;
use crate::util::queue::Queue;

/// A reader that does not read keeps at most this many terminal snapshots.
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

    /// The latest snapshot.
    #[must_use]
    pub fn current(&self) -> Rc<SyncStatus> {
        Rc::clone(&self.current.borrow())
    }

    /// Calls back with every snapshot that follows. There is one callback; a new one replaces it.
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

/// Queues a snapshot. Of those that a slow reader has not seen, only the terminal ones and the
/// latest stay.
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
    /// The next snapshot; none once the feed has ended.
    pub async fn next(&self) -> Option<Rc<SyncStatus>> {
        self.waiting.next().await
    }

    /// Ends this subscription: a pending `next` returns none.
    pub fn end(&self) {
        self.waiting.cut();
    }
}
