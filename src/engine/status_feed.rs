//! The status feed: every reader gets the current snapshot immediately, and later every terminal
//! one (`paused` too, if a pause has ended a cycle); of the others, a slow reader gets only the latest.

use std::cell::Cell;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::model::status::{SyncState, SyncStatus};
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

/// A reader's queue, and the last snapshot that was put there.
#[derive(Debug)]
struct Subscriber {
    waiting: Weak<SnapshotQueue>,
    last: Rc<SyncStatus>,
    /// The last one says that all that was shown before is over.
    is_over: bool,
}

/// One user's status, and its readers.
#[derive(Debug, Default)]
pub struct StatusHub {
    watcher: RefCell<Option<Watcher>>,
    current: RefCell<Rc<SyncStatus>>,
    subscribers: RefCell<Vec<Subscriber>>,
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
        self.subscribers.borrow_mut().retain_mut(|subscriber| {
            let waiting = subscriber.waiting.upgrade();
            let Some(waiting) = waiting.filter(|waiting| !waiting.has_ended()) else {
                return false;
            };
            let is_same = is_still_idle(&subscriber.last, &next);
            let idle = next.status == SyncState::Idle;
            let keeps = subscriber.is_over && !idle;
            if offer(&waiting, &next, is_same, keeps) {
                let before = &subscriber.last.status;
                subscriber.is_over = idle && (subscriber.is_over || *before != SyncState::Idle);
                subscriber.last = Rc::clone(&next);
            }
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
        let last = self.current();
        offer(&waiting, &last, false, false);
        if self.closed.get() {
            waiting.end();
        }
        self.subscribers.borrow_mut().push(Subscriber {
            waiting: Rc::downgrade(&waiting),
            last,
            is_over: false,
        });
        StatusReader { waiting }
    }

    /// Ends the feed for every reader, after the snapshots that are still queued.
    pub fn close(&self) {
        self.closed.set(true);
        for waiting in self
            .subscribers
            .borrow()
            .iter()
            .filter_map(|subscriber| subscriber.waiting.upgrade())
        {
            waiting.end();
        }
    }
}

/// Queues a snapshot. Of those that a slow reader has not read yet, keeps only the terminal ones
/// and the latest, and with `keeps` the one before: after a sign-out the status is idle, and a cycle
/// that another tab goes on with is shown again once the database is open again. Does nothing if `is_same` and the last one was read: a fresh reader hears of
/// `idle` once, and not again of each tab that is elected. Returns true if the snapshot is queued.
fn offer(waiting: &SnapshotQueue, next: &Rc<SyncStatus>, is_same: bool, keeps: bool) -> bool {
    let mut queued = true;
    waiting.offer(|queue| {
        if is_same && queue.is_empty() {
            queued = false;
            return;
        }
        if !keeps && queue.back().is_some_and(|last| !tells_an_end(last, next)) {
            queue.pop_back();
        }
        if queue.len() >= MAX_WAITING {
            queue.pop_front();
        }
        queue.push_back(Rc::clone(next));
    });
    queued
}

/// Returns true if two snapshots of a user without a cycle differ only in which tab leads, when it
/// plans to sync, and what the log says of cycles before this visit.
fn is_still_idle(last: &SyncStatus, next: &SyncStatus) -> bool {
    let mut same = next.clone();
    same.is_leader = last.is_leader;
    same.next_sync_at.clone_from(&last.next_sync_at);
    same.next_retry_at.clone_from(&last.next_retry_at);
    same.last_started_at.clone_from(&last.last_started_at);
    same.last_completed_at.clone_from(&last.last_completed_at);
    next.status == SyncState::Idle && same == *last
}

/// Returns true if a snapshot must be delivered before the next one: it is the end of a cycle. A
/// cycle that a pause has stopped ends as paused.
fn tells_an_end(last: &SyncStatus, next: &SyncStatus) -> bool {
    last.is_terminal() || (last.status == SyncState::Paused && next.status != SyncState::Paused)
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
