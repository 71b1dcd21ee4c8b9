//! Notifies streams and long pulls of changes, by user. A hint says only that there is something to
//! pull, so hints may be merged and are not stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::rules::ServerError;

/// The most subscribers of one user; each browser has one stream.
const MAX_SUBSCRIBERS: usize = 256;
/// When a client over that limit may try again, in milliseconds.
const RETRY_AFTER_MS: u64 = 5_000;

/// The subscribers, by user.
#[derive(Clone, Debug)]
pub struct Hub {
    users: Arc<Mutex<HashMap<String, watch::Sender<u64>>>>,
    /// The most subscribers of all users.
    most: usize,
}

impl Hub {
    /// Creates a hub for this many subscribers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            users: Arc::default(),
            most,
        }
    }

    /// Subscribes to a user's changes from now on.
    ///
    /// # Errors
    /// 429 if the user has too many subscribers, 503 if all users have.
    pub fn subscribe(&self, user: &str) -> Result<watch::Receiver<u64>, ServerError> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, sender| sender.receiver_count() > 0);
        let all = users.values().fold(0_usize, |sum, sender| {
            sum.saturating_add(sender.receiver_count())
        });
        if all >= self.most {
            return Err(ServerError::busy("all streams are in use").after(RETRY_AFTER_MS));
        }
        let sender = users
            .entry(user.to_owned())
            .or_insert_with(|| watch::Sender::new(0));
        if sender.receiver_count() >= MAX_SUBSCRIBERS {
            return Err(ServerError::new(
                429,
                "rateLimited",
                "Too many streams and long pulls at once; close some.",
            )
            .after(RETRY_AFTER_MS));
        }
        Ok(sender.subscribe())
    }

    /// Notifies a user's subscribers.
    pub fn hint(&self, user: &str) {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = users.get(user) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}
