//! Who waits for changes: streams and long pulls, by user. A hint says only that there is something
//! to pull, so several hints may become one and none needs to be kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The waiting, by user.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<HashMap<String, watch::Sender<u64>>>>);

impl Hub {
    /// Waits for a user's changes from now on.
    #[must_use]
    pub fn listen(&self, user: &str) -> watch::Receiver<u64> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, sender| sender.receiver_count() > 0);
        users.entry(user.to_owned()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Says that a user has something to pull.
    pub fn hint(&self, user: &str) {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = users.get(user) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}
