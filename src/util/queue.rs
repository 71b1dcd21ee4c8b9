//! A closable queue for the single reader of a feed.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;

/// Items that the reader has not taken yet.
#[derive(Debug)]
pub struct Queue<T> {
    items: RefCell<VecDeque<T>>,
    notify: Notify,
    ended: Cell<bool>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: RefCell::default(),
            notify: Notify::default(),
            ended: Cell::new(false),
        }
    }
}

impl<T> Queue<T> {
    /// Lets the feed change the items by its own rule, and wakes the reader. Does nothing once the
    /// queue has ended.
    pub fn offer(&self, change: impl FnOnce(&mut VecDeque<T>)) {
        if self.ended.get() {
            return;
        }
        change(&mut self.items.borrow_mut());
        self.notify.notify_one();
    }

    /// Ends the queue after the items that it holds.
    pub fn end(&self) {
        self.ended.set(true);
        self.notify.notify_one();
    }

    /// Returns true once the queue has ended. In JavaScript, a loop that was left keeps it until it is
    /// collected.
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Drops all items and ends the queue.
    pub fn cut(&self) {
        self.items.borrow_mut().clear();
        self.end();
    }

    /// Takes all items that are there.
    pub fn take_all(&self) -> VecDeque<T> {
        self.items.take()
    }

    /// Waits for the next item; `None` once the queue has ended.
    pub async fn next(&self) -> Option<T> {
        loop {
            let next = self.items.borrow_mut().pop_front();
            if next.is_some() {
                return next;
            }
            if self.ended.get() {
                // Only one call was woken; others may be waiting.
                self.notify.notify_one();
                return None;
            }
            self.notify.notified().await;
        }
    }
}
