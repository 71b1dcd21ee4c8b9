//! The whole remote as one synchronous call, for the tests of clients: native stories, a seeded
//! simulation, a `fetch` that a browser test makes up. The rules are those of the real server; what
//! is missing is HTTP's own part: tokens, headers, compression, streams and waiting.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use datum_sync::model::protocol::WireDigest;

use crate::memory::MemoryStore;
use crate::rules::store::{Head, Row, Store, Swept, Transaction};
use crate::rules::{Config, ServerError, pull};
use crate::service::{Reply, Service};

/// A remote in memory. A clone is the same remote; requests are answered one after another.
#[derive(Clone, Debug)]
pub struct MemoryServer {
    service: Arc<Mutex<Service<MemoryStore>>>,
}

impl MemoryServer {
    /// An empty remote of this epoch, with the default limits.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self::with_config(epoch, Config::default())
    }

    /// An empty remote with limits of your own.
    #[must_use]
    pub fn with_config(epoch: &str, config: Config) -> Self {
        Self {
            service: Arc::new(Mutex::new(Service {
                store: MemoryStore::new(epoch),
                config,
            })),
        }
    }

    /// Answers a request as the HTTP server would: status and JSON body. `user` is the proved user,
    /// `path` the URL's path with its prefix, such as `/sync/v1/pull`, and its query.
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

    /// The same with the answer's parts: whether others have something to pull now, or the error.
    ///
    /// # Errors
    /// Whatever is not a 200.
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

    /// Replaces the epoch, as an operator does after putting a backup back.
    ///
    /// # Errors
    /// None in memory.
    pub fn set_epoch(&self, epoch: &str) -> Result<(), ServerError> {
        self.with(|service| ready(service.set_epoch(epoch)))
    }

    /// A backup of everything.
    #[must_use]
    pub fn backup(&self) -> MemoryStore {
        self.with(|service| service.store.fork())
    }

    /// Puts a backup back, with the epoch that it had: call [`Self::set_epoch`] as well, unless the
    /// test is about an operator who forgot to.
    pub fn restore(&self, backup: &MemoryStore) {
        self.with(|service| service.store.restore(backup));
    }

    /// Changes the limits from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.with(|service| change(&mut service.config));
    }

    /// Forgets what the retention allows to forget at this moment.
    ///
    /// # Errors
    /// None in memory.
    pub fn sweep(&self, now_ms: u64) -> Result<Swept, ServerError> {
        self.with(|service| ready(service.sweep(now_ms)))
    }

    /// Forgets every tombstone, and nothing else, whatever its age.
    ///
    /// # Errors
    /// None in memory.
    pub fn purge_tombstones(&self) -> Result<Swept, ServerError> {
        self.purge(u64::MAX, 0)
    }

    /// Forgets every applied operation, and nothing else, whatever its age.
    ///
    /// # Errors
    /// None in memory.
    pub fn purge_operations(&self) -> Result<Swept, ServerError> {
        self.purge(0, u64::MAX)
    }

    /// Every row of a user, tombstones included, in order of version.
    #[must_use]
    pub fn rows(&self, user: &str) -> Vec<Row> {
        self.with(|service| service.store.rows(user))
    }

    /// Where a user's history stands.
    ///
    /// # Errors
    /// None in memory.
    pub fn head(&self, user: &str) -> Result<Head, ServerError> {
        self.with(|service| ready(async { service.store.read().await?.head(user).await }))
    }

    /// A user's digests by entity type.
    ///
    /// # Errors
    /// None in memory.
    pub fn digests(
        &self,
        user: &str,
    ) -> Result<std::collections::BTreeMap<String, WireDigest>, ServerError> {
        self.with(|service| {
            ready(async { pull::digests(&mut service.store.read().await?, user, None).await })
        })
    }

    fn purge(&self, tombstones_before: u64, operations_before: u64) -> Result<Swept, ServerError> {
        self.with(|service| {
            ready(async {
                let mut tx = service.store.write().await?;
                let swept = tx.sweep(tombstones_before, operations_before).await?;
                tx.commit().await?;
                Ok(swept)
            })
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Service<MemoryStore>) -> R) -> R {
        act(&mut self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Drives a future that never waits. The memory store has nothing to wait for.
fn ready<R>(future: impl Future<Output = Result<R, ServerError>>) -> Result<R, ServerError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ServerError::internal("the memory store waited")),
    }
}
