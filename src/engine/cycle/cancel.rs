//! Stopping a cycle.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};

use futures_util::future::{Either, select};

use crate::model::error::{Code, Error, Result};
use crate::util::local_sync::Notify;

/// Why a cycle is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took too long.
    Timeout,
    /// The caller's `AbortSignal` fired.
    Abort,
    /// Sync was paused.
    Pause,
    /// The instance was closed.
    Close,
    /// Another tab took the lock: this one had been silent for too long.
    Overtaken,
}

/// Stops a cycle: requests immediately, commits once they have completed.
#[derive(Debug, Default)]
pub struct Cancel {
    reason: Cell<Option<Stop>>,
    notify: Notify,
}

impl Cancel {
    /// Stops the cycle; the first reason counts.
    pub fn stop(&self, reason: Stop) {
        if self.reason.get().is_none() {
            self.reason.set(Some(reason));
        }
        self.notify.notify_waiters();
    }

    /// Returns the reason, once the cycle is stopped.
    #[must_use]
    pub fn reason(&self) -> Option<Stop> {
        self.reason.get()
    }

    /// Fails once the cycle is stopped.
    ///
    /// # Errors
    /// Fails with [`Code::Timeout`], [`Code::Closed`] or [`Code::Cancelled`].
    pub fn check(&self) -> Result<()> {
        match self.reason.get() {
            None => Ok(()),
            Some(Stop::Timeout) => Err(Error::new(
                Code::Timeout,
                "The sync took longer than its timeout; what was done so far is kept.",
            )),
            Some(Stop::Close) => Err(Error::new(
                Code::Closed,
                "The instance was closed while it synced; what was done so far is kept.",
            )),
            Some(Stop::Abort | Stop::Pause) => Err(Error::new(
                Code::Cancelled,
                "The sync was stopped; what was done so far is kept.",
            )),
            Some(Stop::Overtaken) => Err(Error::new(
                Code::Cancelled,
                "Another tab has taken the sync over, since this one was asleep; what was done so far is kept.",
            )),
        }
    }

    /// Runs work that may be dropped at any time, until it ends or the cycle is stopped.
    ///
    /// # Errors
    /// As for [`Self::check`]; also the work's own errors.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut done = None;
        let work = async { done = Some(work.await) };
        self.race(pin!(work)).await?;
        done.unwrap_or_else(|| Err(stopped()))
    }

    // The wait itself, compiled once for all kinds of work.
    async fn race(&self, work: Pin<&mut dyn Future<Output = ()>>) -> Result<()> {
        let stopped = self.notify.notified();
        let stopped = pin!(stopped);
        self.check()?;
        match select(work, stopped).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => self.check(),
        }
    }
}

pub(crate) fn stopped() -> Error {
    Error::new(Code::Cancelled, "The sync was stopped.")
}
