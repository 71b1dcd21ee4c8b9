//! Waiting for one another on one thread: an answer, a turn, a nudge.
//!
//! All in order of asking, and a future that is dropped gives on what it had been given. Locks and
//! channels for threads are atomics, lists and fallbacks that a browser's module has no use for.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::util::cell::RefCell;

pub mod oneshot;

/// Wakes who waits: one that waits, or the next one that will.
#[derive(Debug, Default)]
pub struct Notify {
    /// A nudge that nobody has taken yet.
    kept: Cell<bool>,
    queue: RefCell<VecDeque<Rc<Place>>>,
}

/// A place in the queue.
#[derive(Default)]
struct Place {
    told: Cell<Told>,
    waker: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    /// Not yet.
    #[default]
    Nothing,
    /// By a nudge for one: who does not take it gives it on.
    Alone,
    /// With everybody else.
    WithAll,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.told.get()).finish()
    }
}

impl Place {
    fn tell(&self, told: Told) {
        self.told.set(told);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Notify {
    /// Wakes the first that waits; where nobody does, the next need not.
    pub fn notify_one(&self) {
        let first = self.queue.borrow_mut().pop_front();
        match first {
            Some(place) => place.tell(Told::Alone),
            None => self.kept.set(true),
        }
    }

    /// Wakes all that wait now.
    pub fn notify_waiters(&self) {
        for place in self.queue.take() {
            place.tell(Told::WithAll);
        }
    }

    /// Waits for a nudge. It is heard from this call on, not from the first poll.
    pub fn notified(&self) -> Notified<'_> {
        let place = Rc::new(Place::default());
        if self.kept.take() {
            place.told.set(Told::Alone);
        } else {
            self.queue.borrow_mut().push_back(Rc::clone(&place));
        }
        Notified { of: self, place }
    }
}

/// A wait for a nudge.
#[derive(Debug)]
#[must_use]
pub struct Notified<'a> {
    of: &'a Notify,
    place: Rc<Place>,
}

impl Notified<'_> {
    /// Takes the nudge where it has come already.
    #[must_use]
    pub fn try_notified(&self) -> bool {
        let told = self.place.told.get() != Told::Nothing;
        if told {
            self.place.told.set(Told::WithAll);
        }
        told
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.place.told.get() == Told::Nothing {
            self.place.waker.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        // Taken: there is nothing to give on any more.
        self.place.told.set(Told::WithAll);
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        match self.place.told.get() {
            Told::Nothing => self
                .of
                .queue
                .borrow_mut()
                .retain(|place| !Rc::ptr_eq(place, &self.place)),
            Told::Alone => self.of.notify_one(),
            Told::WithAll => {}
        }
    }
}

/// Lets all that is about to run go first, once.
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

/// One at a time, in order of asking.
#[derive(Debug)]
pub struct Mutex(Notify);

impl Default for Mutex {
    fn default() -> Self {
        Self(Notify {
            kept: Cell::new(true),
            queue: RefCell::default(),
        })
    }
}

impl Mutex {
    /// Waits for its turn. A future that is dropped has not had it.
    pub async fn lock(&self) -> MutexGuard<'_> {
        self.0.notified().await;
        MutexGuard(&self.0)
    }

    /// The turn, where nobody has it or waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_>> {
        self.0.kept.take().then(|| MutexGuard(&self.0))
    }
}

/// A turn, until it is dropped.
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
    fn turns_are_had_in_order_of_asking() {
        let turn = Mutex::default();
        let held = turn.lock().now_or_never().unwrap();
        assert!(turn.try_lock().is_none());
        let (mut first, mut second) = (Box::pin(turn.lock()), Box::pin(turn.lock()));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        drop(held);
        assert!(turn.try_lock().is_none(), "it is the first one's already");
        assert!(poll(&mut second).is_pending());
        let Poll::Ready(held) = poll(&mut first) else {
            panic!("the first has its turn")
        };
        drop(held);
        assert!(poll(&mut second).is_ready());
        assert!(turn.try_lock().is_some());
    }

    #[test]
    fn who_gives_up_waiting_passes_the_turn_on() {
        let turn = Mutex::default();
        let held = turn.try_lock().unwrap();
        let (mut first, mut second, mut third) = (
            Box::pin(turn.lock()),
            Box::pin(turn.lock()),
            Box::pin(turn.lock()),
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
        assert!(turn.try_lock().is_some());
    }

    #[test]
    fn a_nudge_is_kept_for_one_and_a_call_to_all_for_nobody() {
        let notify = Notify::default();
        notify.notify_one();
        notify.notify_one();
        assert!(notify.notified().now_or_never().is_some());
        assert!(
            notify.notified().now_or_never().is_none(),
            "only one is kept"
        );
        let (first, second) = (notify.notified(), notify.notified());
        notify.notify_waiters();
        assert!(first.now_or_never().is_some());
        drop(second);
        assert!(
            notify.notified().now_or_never().is_none(),
            "a call to all is not given on"
        );
    }
}
