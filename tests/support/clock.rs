//! Virtual time: one clock for a whole world, and the executor that it drives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub const EPOCH_2026: u64 = 1_790_000_000_000;

/// One clock for a whole world. Only sleeping moves it.
#[derive(Default)]
pub struct Clock {
    pub now: Cell<u64>,
    next: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl Clock {
    pub fn now(&self) -> u64 {
        EPOCH_2026 + self.now.get()
    }

    pub fn advance(&self, ms: u64) {
        self.now.set(self.now.get() + ms);
    }

    /// Returns the number of running timers.
    pub fn timers(&self) -> usize {
        self.timers.borrow().len()
    }

    /// Runs a future to its end. When everything waits, time jumps to the next timer.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            while flag.0.swap(false, Ordering::SeqCst) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                    return value;
                }
            }
            assert!(
                self.fire_next(),
                "nothing can go on, and no timer runs: a deadlock"
            );
        }
    }

    /// Returns when the next timer expires.
    pub fn next_timer(&self) -> Option<u64> {
        self.timers.borrow().keys().next().map(|(at, _)| *at)
    }

    /// Advances to the next timer and fires it. Returns false if there is none.
    pub fn fire_next(&self) -> bool {
        let first = self.timers.borrow().keys().next().copied();
        let Some((at, id)) = first else { return false };
        self.now.set(self.now.get().max(at));
        let waker = self.timers.borrow_mut().remove(&(at, id));
        waker.unwrap().wake();
        true
    }

    pub fn sleep(self: &Rc<Self>, ms: u64) -> Sleep {
        let id = self.next.get();
        self.next.set(id + 1);
        Sleep {
            clock: Rc::clone(self),
            at: self.now.get() + ms,
            id,
            armed: false,
        }
    }
}

pub struct Sleep {
    clock: Rc<Clock>,
    at: u64,
    id: u64,
    armed: bool,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now.get() >= self.at {
            return Poll::Ready(());
        }
        self.armed = true;
        self.clock
            .timers
            .borrow_mut()
            .insert((self.at, self.id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.timers.borrow_mut().remove(&(self.at, self.id));
    }
}
