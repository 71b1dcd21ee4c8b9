//! What waits for one reader of a feed: a queue that ends.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;

/// The items that one reader has not taken yet.
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
    /// Puts something in, as the feed's own rule has it, and wakes the reader.
    pub fn offer(&self, put: impl FnOnce(&mut VecDeque<T>)) {
        put(&mut self.items.borrow_mut());
        self.notify.notify_one();
    }

    /// Ends the queue after what it holds.
    pub fn end(&self) {
        self.ended.set(true);
        self.notify.notify_one();
    }

    /// Ends the queue at once.
    pub fn cut(&self) {
        self.items.borrow_mut().clear();
        self.end();
    }

    /// The next item; none once the queue has ended.
    pub async fn next(&self) -> Option<T> {
        loop {
            let next = self.items.borrow_mut().pop_front();
            if next.is_some() {
                return next;
            }
            if self.ended.get() {
                // One call woke; there may be others that wait beside it.
                self.notify.notify_one();
                return None;
            }
            self.notify.notified().await;
        }
    }
}
