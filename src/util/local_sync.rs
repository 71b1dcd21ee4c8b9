//! Single-threaded `Notify`, `Mutex` and oneshot channel, named and behaving like tokio's.
//!
//! Waiters are served in the order in which they asked, and a future that is dropped passes on what
//! it was given. Thread-safe versions bring atomics, lists and fallbacks that a browser's module
//! has no use for.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::util::cell::RefCell;

pub mod oneshot;

/// Like `tokio::sync::Notify`: wakes one waiter, or stores a permit for the next.
#[derive(Debug, Default)]
pub struct Notify {
    /// A stored permit.
    permit: Cell<bool>,
    queue: RefCell<VecDeque<Rc<QueueEntry>>>,
}

/// An entry of the queue.
#[derive(Default)]
struct QueueEntry {
    wakeup: Cell<Wakeup>,
    waker: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wakeup {
    #[default]
    None,
    /// By `notify_one`: passed on if it is dropped untaken.
    Single,
    /// By `notify_waiters`, or already taken: never passed on.
    Broadcast,
}

impl fmt::Debug for QueueEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueEntry")
            .field(&self.wakeup.get())
            .finish()
    }
}

impl QueueEntry {
    fn wake(&self, wakeup: Wakeup) {
        self.wakeup.set(wakeup);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Notify {
    /// Wakes the first waiter, or stores a permit for the next one.
    pub fn notify_one(&self) {
        let first = self.queue.borrow_mut().pop_front();
        match first {
            Some(waiter) => waiter.wake(Wakeup::Single),
            None => self.permit.set(true),
        }
    }

    /// Wakes all current waiters.
    pub fn notify_waiters(&self) {
        for waiter in self.queue.take() {
            waiter.wake(Wakeup::Broadcast);
        }
    }

    /// Waits to be woken. Counts as waiting from this call on, not from the first poll.
    pub fn notified(&self) -> Notified<'_> {
        let waiter = Rc::new(QueueEntry::default());
        if self.permit.take() {
            waiter.wakeup.set(Wakeup::Single);
        } else {
            self.queue.borrow_mut().push_back(Rc::clone(&waiter));
        }
        Notified {
            notify: self,
            waiter,
        }
    }
}

/// The future of [`Notify::notified`].
#[derive(Debug)]
#[must_use]
pub struct Notified<'a> {
    notify: &'a Notify,
    waiter: Rc<QueueEntry>,
}

impl Notified<'_> {
    /// Returns true if it has been woken already, and takes the wakeup.
    #[must_use]
    pub fn try_notified(&self) -> bool {
        let woken = self.waiter.wakeup.get() != Wakeup::None;
        if woken {
            self.waiter.wakeup.set(Wakeup::Broadcast);
        }
        woken
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiter.wakeup.get() == Wakeup::None {
            self.waiter.waker.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        // Taken: nothing is left to pass on.
        self.waiter.wakeup.set(Wakeup::Broadcast);
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        match self.waiter.wakeup.get() {
            Wakeup::None => self
                .notify
                .queue
                .borrow_mut()
                .retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter)),
            Wakeup::Single => self.notify.notify_one(),
            Wakeup::Broadcast => {}
        }
    }
}

/// Lets every other task that is ready run first, once.
pub async fn yield_now() {
    let mut passed = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A fair lock without data.
#[derive(Debug)]
pub struct Mutex(Notify);

impl Default for Mutex {
    fn default() -> Self {
        Self(Notify {
            permit: Cell::new(true),
            queue: RefCell::default(),
        })
    }
}

impl Mutex {
    /// Waits for the lock. A future that is dropped gives up its place in the queue.
    pub async fn lock(&self) -> MutexGuard<'_> {
        self.0.notified().await;
        MutexGuard(&self.0)
    }

    /// Returns the lock if it is free and nobody waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_>> {
        self.0.permit.take().then(|| MutexGuard(&self.0))
    }
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct MutexGuard<'a>(&'a Notify);

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::FutureExt;

    use super::*;

    fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_lock_is_granted_in_the_order_of_asking() {
        let lock = Mutex::default();
        let held = lock.lock().now_or_never().unwrap();
        assert!(lock.try_lock().is_none());
        let (mut first, mut second) = (Box::pin(lock.lock()), Box::pin(lock.lock()));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        drop(held);
        assert!(lock.try_lock().is_none(), "it is the first one's already");
        assert!(poll(&mut second).is_pending());
        let Poll::Ready(held) = poll(&mut first) else {
            panic!("the first has the lock")
        };
        drop(held);
        assert!(poll(&mut second).is_ready());
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn a_waiter_that_gives_up_passes_the_lock_on() {
        let lock = Mutex::default();
        let held = lock.try_lock().unwrap();
        let (mut first, mut second, mut third) = (
            Box::pin(lock.lock()),
            Box::pin(lock.lock()),
            Box::pin(lock.lock()),
        );
        assert!(
            poll(&mut first).is_pending()
                && poll(&mut second).is_pending()
                && poll(&mut third).is_pending()
        );
        drop(second);
        drop(held);
        // Given, but not taken.
        drop(first);
        assert!(poll(&mut third).is_ready());
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn a_permit_is_stored_for_one_and_a_broadcast_for_nobody() {
        let notify = Notify::default();
        notify.notify_one();
        notify.notify_one();
        assert!(notify.notified().now_or_never().is_some());
        assert!(
            notify.notified().now_or_never().is_none(),
            "only one permit is stored"
        );
        let (first, second) = (notify.notified(), notify.notified());
        notify.notify_waiters();
        assert!(first.now_or_never().is_some());
        drop(second);
        assert!(
            notify.notified().now_or_never().is_none(),
            "a broadcast is not passed on"
        );
    }
}
