//! Tells the streams of several processes on one database of each other's changes.
//!
//! A process that listens also hears itself, and so knows that it would hear others: a pooler in
//! transaction mode takes the command to listen, and then no notification ever comes. While a process
//! does not hear itself, it asks for what its clients wait for.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::hub::{Hub, Outgoing};
use crate::postgres::{Listener, MAX_NOTIFICATION, Mark, PostgresStore};
use crate::rules::ServerError;

/// How long a process waits to hear itself.
const PROOF: Duration = Duration::from_secs(5);
/// How often it does so.
const EVERY: Duration = Duration::from_secs(30);
/// How long it waits before it tries again to listen after the connection failed.
const PAUSE: Duration = Duration::from_secs(2);
/// How long it waits after a connection from which nothing was heard.
const LONG_PAUSE: Duration = Duration::from_secs(600);
/// How often it asks meanwhile.
const POLL: Duration = Duration::from_secs(2);

/// Nothing is heard, though there is a connection.
struct Deaf;

/// How processes hear of each other.
#[derive(Clone, Debug)]
pub struct Relay {
    /// The subscribers of this process.
    pub hub: Hub,
    /// What other processes are to hear of.
    pub outgoing: Outgoing,
    /// The database.
    pub store: PostgresStore,
    /// The URL to listen to; else the database's.
    pub listen: Option<String>,
    /// The process's name, which no other has.
    pub name: String,
}

impl Relay {
    /// Runs until it is dropped.
    pub async fn run(self) {
        let (polling, polls) = watch::channel(true);
        self.store.set_polling(true);
        tokio::join!(self.send(), self.receive(&polling), self.poll(polls));
    }

    async fn send(&self) {
        loop {
            let mut users = self.outgoing.take().await;
            while let Some(first) = users.pop_first() {
                let mut text = format!("{}\n{first}", self.name);
                let mut sent = vec![first];
                while let Some(next) = users.first()
                    && text.len().saturating_add(next.len()) < MAX_NOTIFICATION
                    && let Some(next) = users.pop_first()
                {
                    text.push('\n');
                    text.push_str(&next);
                    sent.push(next);
                }
                if self.store.notify(&text).await.is_err() {
                    self.outgoing.add(sent.into_iter().chain(users));
                    sleep(PAUSE).await;
                    break;
                }
            }
        }
    }

    /// Listens, and again whenever the connection was lost.
    async fn receive(&self, polling: &watch::Sender<bool>) {
        let mut warned = false;
        loop {
            let (cause, pause) = match self.listen(polling).await {
                Ok(Deaf) => (
                    "no notification arrives: name a direct connection with --listen-database"
                        .to_owned(),
                    LONG_PAUSE,
                ),
                Err(error) => (error.to_string(), PAUSE),
            };
            if !polling.send_replace(true) || !warned {
                tracing::warn!(cause, "streams hear of other processes by polling");
                warned = true;
            }
            self.store.set_polling(true);
            sleep(pause).await;
        }
    }

    /// Listens until nothing is heard any more.
    async fn listen(&self, polling: &watch::Sender<bool>) -> Result<Deaf, ServerError> {
        let Some(mut listener) = self.store.listen(self.listen.as_deref()).await? else {
            return Ok(Deaf);
        };
        loop {
            self.store.notify(&self.name).await?;
            if !self.hear(&mut listener, PROOF, true).await? {
                listener.end().await;
                // One that did hear was lost.
                return if *polling.borrow() {
                    Ok(Deaf)
                } else {
                    Err(ServerError::unreachable("the connection is silent"))
                };
            }
            if polling.send_replace(false) {
                self.store.set_polling(false);
                tracing::info!("streams hear of other processes");
                // What was missed meanwhile.
                self.hub.hint_all();
            }
            self.hear(&mut listener, EVERY, false).await?;
        }
    }

    /// Passes on what it hears for a time, or until it hears itself. Returns whether it did.
    async fn hear(
        &self,
        listener: &mut Listener,
        time: Duration,
        proof: bool,
    ) -> Result<bool, ServerError> {
        let now = Instant::now();
        let end = now.checked_add(time).unwrap_or(now);
        let mut heard_itself = false;
        loop {
            let Ok(heard) = timeout_at(end, listener.next()).await else {
                return Ok(heard_itself);
            };
            let Some(text) = heard? else {
                return Err(ServerError::unreachable("the connection was lost"));
            };
            let mut lines = text.split('\n');
            if lines.next() == Some(self.name.as_str()) {
                heard_itself = true;
                if proof {
                    return Ok(true);
                }
            } else {
                lines.for_each(|user| self.hub.hint(user));
            }
        }
    }

    /// Asks while nothing can be heard.
    async fn poll(&self, mut polling: watch::Receiver<bool>) {
        let mut known: HashMap<String, Mark> = HashMap::new();
        loop {
            if polling.wait_for(|polling| *polling).await.is_err() {
                return;
            }
            let users = self.hub.users();
            // While the database is away there is nothing to hear of either.
            if let Ok(marks) = self.store.marks(&users).await {
                let now: HashMap<String, Mark> = users.into_iter().zip(marks).collect();
                for (user, mark) in &now {
                    if known.get(user) != Some(mark) {
                        self.hub.hint(user);
                    }
                }
                known = now;
            }
            sleep(POLL).await;
        }
    }
}
