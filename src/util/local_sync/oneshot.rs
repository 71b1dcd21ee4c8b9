//! A single-threaded oneshot channel.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::{fmt, mem};

enum ChannelState<T> {
    /// Nothing sent yet; the receiver's waker.
    Waiting(Option<Waker>),
    Sent(T),
    /// One side was dropped, or the value has been taken.
    Over,
}

type Slot<T> = Rc<Cell<ChannelState<T>>>;

/// The sending half.
pub struct Sender<T>(Slot<T>);

/// The receiving half.
#[must_use]
pub struct Receiver<T>(Slot<T>);

/// There is no value: the sender was dropped, the value has been taken, or, for
/// [`Receiver::try_recv`], nothing has been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing;

/// Makes a channel.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Cell::new(ChannelState::Waiting(None)));
    (Sender(Rc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Sends the value.
    ///
    /// # Errors
    /// Returns the value if the receiver was dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        match self.0.replace(ChannelState::Over) {
            ChannelState::Waiting(waker) => {
                self.0.set(ChannelState::Sent(value));
                wake(waker);
                Ok(())
            }
            _ => Err(value),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        match self.0.replace(ChannelState::Over) {
            ChannelState::Waiting(waker) => wake(waker),
            other => self.0.set(other),
        }
    }
}

impl<T> Receiver<T> {
    /// Takes the value if it has been sent.
    ///
    /// # Errors
    /// Fails if it has not.
    pub fn try_recv(&mut self) -> Result<T, Missing> {
        match self.0.replace(ChannelState::Over) {
            ChannelState::Sent(value) => Ok(value),
            other => {
                self.0.set(other);
                Err(Missing)
            }
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Missing>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.replace(ChannelState::Over) {
            ChannelState::Sent(value) => Poll::Ready(Ok(value)),
            ChannelState::Waiting(_) => {
                self.0.set(ChannelState::Waiting(Some(cx.waker().clone())));
                Poll::Pending
            }
            ChannelState::Over => Poll::Ready(Err(Missing)),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        mem::drop(self.0.replace(ChannelState::Over));
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Missing;
    use super::channel;

    #[test]
    fn a_value_arrives_once() {
        let (sender, mut receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(Missing));
        assert!((&mut receiver).now_or_never().is_none());
        assert_eq!(sender.send(7), Ok(()));
        assert_eq!(receiver.try_recv(), Ok(7));
        assert_eq!(receiver.now_or_never(), Some(Err(Missing)));
    }

    #[test]
    fn each_side_learns_that_the_other_is_gone() {
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(receiver.now_or_never(), Some(Err(Missing)));
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(7), Err(7));
    }
}
