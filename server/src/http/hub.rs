//! Notifies streams and long pulls of changes, by user. A hint says only that there is something to
//! pull, so hints may be merged and are not stored.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

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
    /// What other processes are to hear of, if there are others.
    outgoing: Option<Outgoing>,
}

/// Users whose data has changed, for other processes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    users: Arc<Mutex<BTreeSet<String>>>,
    added: Arc<Notify>,
}

impl Outgoing {
    /// Adds users.
    pub fn add(&self, users: impl IntoIterator<Item = String>) {
        let mut all = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(users);
        self.added.notify_one();
    }

    /// Waits until there are users, and takes all of them.
    pub async fn take(&self) -> BTreeSet<String> {
        loop {
            let taken =
                std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            self.added.notified().await;
        }
    }
}

impl Hub {
    /// Creates a hub for this many subscribers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            users: Arc::default(),
            most,
            outgoing: None,
        }
    }

    /// Tells other processes too, by what is added here.
    #[must_use]
    pub fn telling(self, outgoing: Outgoing) -> Self {
        Self {
            outgoing: Some(outgoing),
            ..self
        }
    }

    /// Subscribes to a user's changes from now on.
    ///
    /// # Errors
    /// 429 if the user has too many subscribers, 503 if all users have.
    pub fn subscribe(&self, user: &str) -> Result<watch::Receiver<u64>, ServerError> {
        let mut users = self.subscribed();
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

    /// Notifies a user's subscribers, those of other processes too.
    pub fn tell(&self, user: &str) {
        self.hint(user);
        if let Some(outgoing) = &self.outgoing {
            outgoing.add([user.to_owned()]);
        }
    }

    /// Notifies a user's subscribers in this process.
    pub fn hint(&self, user: &str) {
        if let Some(sender) = self.subscribed().get(user) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Notifies all subscribers in this process.
    pub fn hint_all(&self) {
        for sender in self.subscribed().values() {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Returns the users who have subscribers in this process.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        let users = self.subscribed();
        let listening = users
            .iter()
            .filter(|(_, sender)| sender.receiver_count() > 0);
        listening.map(|(user, _)| user.clone()).collect()
    }

    fn subscribed(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<u64>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
