//! What one user may hold at once, so that nobody's requests wait long for another user's: places for
//! requests, memory for bodies, and one place in the queue of those who write. Large writes stand in
//! a queue of their own first, so that a small one waits for one of them at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::rules::ServerError;

/// The requests of one user that are read and answered at once.
const RUNNING: usize = 8;
/// The requests of one user that are running or wait for their turn.
const WAITING: usize = 64;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a client that has too many requests may try again, in milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;
/// The memory for the large bodies of all requests, in KiB.
const BODIES_KIB: usize = 256 << 10;
/// Bodies up to this size are not counted, and written at once.
const SMALL: usize = 64 << 10;

/// The shares of all users. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    users: Arc<Mutex<HashMap<String, Arc<Share>>>>,
    bodies: Arc<Semaphore>,
    large: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Share {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// A request's place among those of its user.
#[derive(Debug)]
pub(super) struct Turn {
    share: Arc<Share>,
    bodies: Arc<Semaphore>,
    large: Arc<tokio::sync::Mutex<()>>,
    _waiting: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            users: Arc::default(),
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            large: Arc::default(),
        }
    }
}

impl Shares {
    /// Waits for a place.
    ///
    /// # Errors
    /// 429 if the user has too many requests.
    pub(super) async fn enter(&self, user: &str) -> Result<Turn, ServerError> {
        let too_many = |_| {
            ServerError::new(
                429,
                "rateLimited",
                "Too many requests at once; wait for the answers to some.",
            )
            .after(RETRY_AFTER_MS)
        };
        let share = self.share(user);
        let waiting = share.waiting.clone().try_acquire_owned();
        let waiting = waiting.map_err(|_| too_many(()))?;
        let running = tokio::time::timeout(PATIENCE, share.running.clone().acquire_owned()).await;
        let running = running.map_err(|_| too_many(()))?;
        Ok(Turn {
            _waiting: waiting,
            _running: running.map_err(ServerError::internal)?,
            bodies: self.bodies.clone(),
            large: self.large.clone(),
            share,
        })
    }

    fn share(&self, user: &str) -> Arc<Share> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = users.get(user) {
            return share.clone();
        }
        users.retain(|_, share| Arc::strong_count(share) > 1);
        let share = Arc::new(Share {
            waiting: Arc::new(Semaphore::new(WAITING)),
            running: Arc::new(Semaphore::new(RUNNING)),
            writing: Arc::default(),
        });
        users.insert(user.to_owned(), share.clone());
        share
    }
}

/// Memory for a body; given back on drop.
#[derive(Debug)]
pub(super) struct Room {
    bodies: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Waits for what a body of this size needs, before any of it is read: bodies that are read in
    /// part would wait for each other.
    ///
    /// # Errors
    /// 503 if all requests together hold too much for too long.
    pub(super) async fn reserve(&mut self, bytes: usize) -> Result<(), ServerError> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        if bytes > SMALL && self.taken.is_none() {
            let permit = self.bodies.clone().acquire_many_owned(kib);
            let permit = tokio::time::timeout(PATIENCE, permit).await;
            let permit = permit.map_err(|_| Self::full())?;
            self.taken = Some(permit.map_err(ServerError::internal)?);
        }
        Ok(())
    }

    fn full() -> ServerError {
        ServerError::busy("the bodies of requests hold too much")
    }

    /// Takes what a body of this size needs.
    ///
    /// # Errors
    /// 503 if all requests together hold too much.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), ServerError> {
        let needed = if bytes > SMALL {
            bytes.div_ceil(1 << 10)
        } else {
            0
        };
        let taken = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = needed.checked_sub(taken).filter(|more| *more > 0) else {
            return Ok(());
        };
        let more = u32::try_from(more).map_err(ServerError::internal)?;
        let permit = self.bodies.clone().try_acquire_many_owned(more);
        let permit = permit.map_err(|_| Self::full())?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

impl Turn {
    /// Returns room for the request's body.
    pub(super) fn room(&self) -> Room {
        Room {
            bodies: self.bodies.clone(),
            taken: None,
        }
    }

    /// Waits until no other request of this user writes, so that a user is in the writers' queue
    /// once, and with a large body until no other large one is.
    pub(super) async fn write(&self, bytes: usize) -> Writing {
        Writing {
            _own: self.share.writing.clone().lock_owned().await,
            _large: match bytes > SMALL {
                true => Some(self.large.clone().lock_owned().await),
                false => None,
            },
        }
    }
}

/// The place in the writers' queue.
#[derive(Debug)]
pub(super) struct Writing {
    _own: OwnedMutexGuard<()>,
    _large: Option<OwnedMutexGuard<()>>,
}
