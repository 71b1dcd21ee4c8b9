//! The status feed: every subscriber sees the current snapshot at once and every terminal one;
//! of those in between a slow reader sees the latest.

use std::cell::Cell;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::model::status::SyncStatus;
use crate::util::cell::RefCell;
use crate::util::queue::Queue;

/// A reader that never comes back keeps at most this many terminal snapshots waiting.
const MAX_WAITING: usize = 256;

type SnapshotQueue = Queue<Rc<SyncStatus>>;

/// Hears of every other snapshot at once, before anybody reads it.
#[derive(Clone)]
struct Watcher(Rc<dyn Fn(&SyncStatus)>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

/// One user's status, and who reads it.
#[derive(Debug, Default)]
pub struct StatusHub {
    watcher: RefCell<Option<Watcher>>,
    current: RefCell<Rc<SyncStatus>>,
    subscribers: RefCell<Vec<Weak<SnapshotQueue>>>,
    closed: Cell<bool>,
}

/// One reader's place in the feed.
#[derive(Debug)]
pub struct StatusReader {
    waiting: Rc<SnapshotQueue>,
}

impl StatusHub {
    /// A feed that begins with this snapshot.
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

    /// Has every other snapshot told at once to whom passes it on; only the last such is told.
    pub fn watch(&self, told: Rc<dyn Fn(&SyncStatus)>) {
        self.watcher.replace(Some(Watcher(told)));
    }

    /// Changes the snapshot; readers hear of it only if it is another one now.
    pub fn update(&self, mut change: impl FnMut(&mut SyncStatus)) {
        self.update_by(&mut change);
    }

    // Once for all changes, not once for each.
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
        if let Some(Watcher(told)) = watcher {
            told(&next);
        }
    }

    /// A new reader, who begins with the latest snapshot.
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

    /// Ends the feed for every reader, after what still waits for them.
    pub fn close(&self) {
        self.closed.set(true);
        for waiting in self.subscribers.borrow().iter().filter_map(Weak::upgrade) {
            waiting.end();
        }
    }
}

/// Of those that a slow reader has not seen, only the terminal ones and the latest wait.
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

    /// Ends this reader's part: a `next` that waits answers none.
    pub fn end(&self) {
        self.waiting.cut();
    }
}
