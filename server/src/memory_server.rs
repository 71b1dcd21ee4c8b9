//! The whole remote as one synchronous call, for tests of clients: native stories, the simulation,
//! and the fake `fetch` of browser tests. It has the rules of the real server, but nothing of HTTP:
//! no tokens, headers, compression, streams or long pulls.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use datum_sync::model::protocol::WireDigest;

use crate::memory::MemoryStore;
use crate::rules::store::{Head, Row, Space, Store, Swept, Transaction};
use crate::rules::{Config, ServerError, pull};
use crate::service::{Reply, Service};

/// A remote in memory. Clones share it; it answers one request at a time.
#[derive(Clone, Debug)]
pub struct MemoryServer {
    service: Arc<Mutex<Service<MemoryStore>>>,
}

impl MemoryServer {
    /// Creates an empty remote with this epoch and the default limits.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self::with_config(epoch, Config::default())
    }

    /// Creates an empty remote with these limits.
    #[must_use]
    pub fn with_config(epoch: &str, config: Config) -> Self {
        Self {
            service: Arc::new(Mutex::new(Service {
                store: MemoryStore::new(epoch),
                config,
            })),
        }
    }

    /// Answers a request as the HTTP server would, with status and JSON body. `user` is the
    /// authenticated user, `path` the URL's path and query, such as `/sync/v1/pull`.
    #[must_use]
    pub fn handle(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: &[u8],
        now_ms: u64,
    ) -> (u16, Vec<u8>) {
        match self.answer(user, method, path, body, now_ms) {
            Ok(reply) => (200, reply.body),
            Err(error) => (
                error.status,
                serde_json::to_vec(&error.body(None)).unwrap_or_default(),
            ),
        }
    }

    /// Like [`Self::handle`], but returns the reply or error as a value.
    ///
    /// # Errors
    /// Fails with every answer whose status is not 200.
    pub fn answer(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Reply, ServerError> {
        self.with(|service| ready(service.handle(user, method, path, body, now_ms)))
    }

    /// Replaces the epoch, as an operator does after restoring a backup.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn set_epoch(&self, epoch: &str) -> Result<(), ServerError> {
        self.with(|service| ready(service.set_epoch(epoch)))
    }

    /// Replaces the server's id: from now on this is another server.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn set_server_id(&self, server_id: &str) -> Result<(), ServerError> {
        self.with(|service| ready(service.set_server_id(server_id)))
    }

    /// Copies everything.
    #[must_use]
    pub fn backup(&self) -> MemoryStore {
        self.with(|service| service.store.fork())
    }

    /// Restores a backup together with its epoch. Call [`Self::set_epoch`] too, unless the test is
    /// about an operator who forgot it.
    pub fn restore(&self, backup: &MemoryStore) {
        self.with(|service| service.store.restore(backup));
    }

    /// Changes the limits.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.with(|service| change(&mut service.config));
    }

    /// Removes tombstones and applied operations whose retention has ended.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn sweep(&self, now_ms: u64) -> Result<Swept, ServerError> {
        self.with(|service| ready(service.sweep(now_ms)))
    }

    /// Removes every tombstone, whatever its age.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn purge_tombstones(&self) -> Result<Swept, ServerError> {
        self.purge(u64::MAX, 0)
    }

    /// Removes every record of an applied operation, whatever its age.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn purge_operations(&self) -> Result<Swept, ServerError> {
        self.purge(0, u64::MAX)
    }

    /// Returns all rows of a user's own space by version, tombstones included.
    #[must_use]
    pub fn rows(&self, user: &str) -> Vec<Row> {
        self.rows_in(&Space::personal(user))
    }

    /// Returns all rows of a space by version, tombstones included.
    #[must_use]
    pub fn rows_in(&self, space: &Space) -> Vec<Row> {
        self.with(|service| service.store.rows(space))
    }

    /// Returns the head of the history of a user's own space.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn head(&self, user: &str) -> Result<Head, ServerError> {
        let space = Space::personal(user);
        self.with(|service| ready(async { service.store.read().await?.head(&space).await }))
    }

    /// Returns the digests of all that a user may read, by entity type.
    ///
    /// # Errors
    /// Never fails in memory.
    pub fn digests(
        &self,
        user: &str,
    ) -> Result<std::collections::BTreeMap<String, WireDigest>, ServerError> {
        self.with(|service| {
            ready(async { pull::digests(&mut service.store.read().await?, user).await })
        })
    }

    fn purge(&self, tombstones_before: u64, operations_before: u64) -> Result<Swept, ServerError> {
        self.with(|service| {
            ready(async {
                let mut tx = service.store.write().await?;
                let swept = tx
                    .sweep(tombstones_before, operations_before, u64::MAX)
                    .await?;
                tx.commit().await?;
                Ok(swept)
            })
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Service<MemoryStore>) -> R) -> R {
        work(&mut self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Polls a future once: the memory store never returns `Pending`.
fn ready<R>(future: impl Future<Output = Result<R, ServerError>>) -> Result<R, ServerError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ServerError::internal("the memory store returned Pending")),
    }
}
