//! Who waits for changes: streams and long pulls, by user. A hint says only that there is something
//! to pull, so several hints may become one and none needs to be kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::rules::ServerError;

/// How many may wait for one user at once; a user has one stream a browser.
const MOST: usize = 256;
/// How long a client waits that was one too many, in milliseconds.
const COME_BACK_MS: u64 = 5_000;

/// The waiting, by user.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<HashMap<String, watch::Sender<u64>>>>);

impl Hub {
    /// Waits for a user's changes from now on.
    ///
    /// # Errors
    /// 429 where very many wait already.
    pub fn listen(&self, user: &str) -> Result<watch::Receiver<u64>, ServerError> {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, sender| sender.receiver_count() > 0);
        let sender = users
            .entry(user.to_owned())
            .or_insert_with(|| watch::Sender::new(0));
        if sender.receiver_count() >= MOST {
            return Err(ServerError::new(
                429,
                "rateLimited",
                "Too many streams and waiting pulls at once; close some.",
            )
            .after(COME_BACK_MS));
        }
        Ok(sender.subscribe())
    }

    /// Says that a user has something to pull.
    pub fn hint(&self, user: &str) {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = users.get(user) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}
