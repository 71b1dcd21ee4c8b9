//! Maps a method and a path to a rule: the whole protocol except tokens, headers, compression,
//! streams and long pulls, which the HTTP server adds.

use datum_sync::model::entity::check_id;
use datum_sync::model::protocol::{PREFIX, PullRequest, Raw};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::rules::store::{Store, Swept, Transaction};
use crate::rules::{
    Config, DAY_MS, SWEEP_MOST, ServerError, check_user, metadata, pull, push, sweep,
};

/// An answer with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The JSON body.
    pub body: Vec<u8>,
    /// Whether rows were written: the user's other devices have something to pull.
    pub changed: bool,
    /// The other users who have something to pull: members of the spaces that were written, and those
    /// whose membership changed.
    pub others: Vec<String>,
    /// Whether a pull found nothing; a long pull asks again when something changes.
    pub idle: bool,
}

impl Reply {
    const fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            changed: false,
            others: Vec::new(),
            idle: false,
        }
    }

    fn of(value: &impl Serialize) -> Result<Self, ServerError> {
        serde_json::to_vec(value)
            .map(Self::new)
            .map_err(ServerError::internal)
    }
}

/// The protocol over a store.
#[derive(Clone, Debug)]
pub struct Service<S> {
    /// The store.
    pub store: S,
    /// The operator's settings.
    pub config: Config,
}

/// How often a transaction is tried that others were in the way of.
const ATTEMPTS: u32 = 5;

/// Counts the attempts at a transaction.
#[derive(Default)]
struct Attempts(u32);

impl Attempts {
    /// Returns whether to try again after this error.
    fn again(&mut self, error: &ServerError) -> bool {
        self.0 = self.0.saturating_add(1);
        error.contended && self.0 < ATTEMPTS
    }
}

impl<S: Store> Service<S> {
    /// Answers a request of an authenticated user. `target` is the URL's path and query.
    ///
    /// # Errors
    /// Fails with every answer whose status is not 200.
    pub async fn handle(
        &self,
        user: &str,
        method: &str,
        target: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Reply, ServerError> {
        check_id(user).map_err(|e| {
            ServerError::new(
                401,
                "tokenInvalid",
                format!("The token's `sub`: {}", e.message()),
            )
        })?;
        if body.len() > self.config.max_body_bytes {
            let what = format!("The body has {} bytes", body.len());
            return Err(ServerError::too_large(
                "bodyTooLarge",
                &what,
                self.config.max_body_bytes,
            ));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match (method, path.strip_prefix(PREFIX)) {
            ("POST", Some("/pull")) => self.pull(user, body, now_ms).await,
            ("POST", Some("/push")) => self.push(user, body, now_ms).await,
            ("GET" | "PUT" | "DELETE", Some("/metadata")) => {
                check_user(user, query_value(query, "userId").as_deref())?;
                self.metadata(user, method, body, now_ms).await
            }
            ("GET", Some("/health")) => self.health(now_ms).await,
            ("GET", Some("/info")) => self.info(now_ms).await,
            (_, Some("/pull" | "/push" | "/metadata" | "/health" | "/info" | "/stream")) => {
                Err(ServerError::new(
                    405,
                    "methodNotAllowed",
                    format!("{path} does not answer {method}."),
                ))
            }
            _ => Err(ServerError::new(
                404,
                "notFound",
                format!("There is nothing at {path}; the protocol lives under {PREFIX}."),
            )),
        }
    }

    /// Returns how long a pull wants to wait for a change, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, body: &[u8]) -> u64 {
        let request: Option<PullRequest> = serde_json::from_slice(body).ok();
        request
            .and_then(|request| request.wait_ms)
            .unwrap_or(0)
            .min(self.config.max_wait_ms)
    }

    /// Removes tombstones and applied operations whose retention has ended.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn sweep(&self, now_ms: u64) -> Result<Swept, ServerError> {
        let mut all = Swept::default();
        loop {
            let swept = self.sweep_some(now_ms).await?;
            all.tombstones = all.tombstones.saturating_add(swept.tombstones);
            all.operations = all.operations.saturating_add(swept.operations);
            if swept.tombstones < SWEEP_MOST && swept.operations < SWEEP_MOST {
                return Ok(all);
            }
        }
    }

    async fn sweep_some(&self, now_ms: u64) -> Result<Swept, ServerError> {
        let mut attempts = Attempts::default();
        loop {
            let swept = async {
                let mut tx = self.store.write().await?;
                // Fails where a later version has migrated the store.
                tx.identity().await?;
                let swept = sweep(&mut tx, &self.config, now_ms).await?;
                tx.commit().await?;
                Ok(swept)
            };
            match swept.await {
                Err(error) if attempts.again(&error) => {}
                done => return done,
            }
        }
    }

    /// Replaces the epoch after the store was restored from a backup.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn set_epoch(&self, epoch: &str) -> Result<(), ServerError> {
        let mut tx = self.store.write().await?;
        tx.set_epoch(epoch).await?;
        tx.commit().await
    }

    /// Gives the server another id, after its store was copied for a second server.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn set_server_id(&self, server_id: &str) -> Result<(), ServerError> {
        let mut tx = self.store.write().await?;
        tx.set_server_id(server_id).await?;
        tx.commit().await
    }

    /// Answers whether the server runs and can write, and with which epoch. Needs no token.
    ///
    /// # Errors
    /// Errors of the store; 503 if it cannot write.
    pub async fn health(&self, now_ms: u64) -> Result<Reply, ServerError> {
        self.store.check_writes().await?;
        let identity = self.store.read().await?.identity().await?;
        let mut health = json!({
            "status": "ok",
            "protocol": [1],
            "serverTime": datum_sync::util::time::format(now_ms),
            "serverId": identity.server_id,
            "epoch": identity.epoch,
        });
        if let (true, Some(health)) = (self.store.is_polling(), health.as_object_mut()) {
            health.insert("hints".to_owned(), json!("polled"));
        }
        Reply::of(&health)
    }

    async fn pull(&self, user: &str, body: &[u8], now_ms: u64) -> Result<Reply, ServerError> {
        let request: PullRequest = serde_json::from_slice(body)
            .map_err(|e| ServerError::bad_request(format!("The body is not a pull: {e}")))?;
        let scope = serde_json::from_slice::<OnlyScope<'_>>(body).ok();
        let scope = scope.and_then(|read| read.scope).map(|Raw(scope)| scope);
        let mut tx = self.store.read().await?;
        let page = pull::pull(&mut tx, &self.config, user, &request, scope).await?;
        Ok(Reply {
            idle: page.is_idle(),
            ..Reply::new(page.to_json(now_ms))
        })
    }

    async fn push(&self, user: &str, body: &[u8], now_ms: u64) -> Result<Reply, ServerError> {
        let mut attempts = Attempts::default();
        let pushed = loop {
            let pushed = async {
                let mut tx = self.store.write().await?;
                let pushed = push::push(&mut tx, &self.config, user, body, now_ms).await?;
                tx.commit().await?;
                Ok(pushed)
            };
            match pushed.await {
                Err(error) if attempts.again(&error) => {}
                done => break done?,
            }
        };
        Ok(Reply {
            changed: pushed.changed,
            body: pushed.to_json(now_ms),
            others: pushed.others.into_iter().collect(),
            idle: false,
        })
    }

    async fn metadata(
        &self,
        user: &str,
        method: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Reply, ServerError> {
        if method == "GET" {
            let mut tx = self.store.read().await?;
            return Reply::of(&metadata::get(&mut tx, user, now_ms).await?);
        }
        let mut attempts = Attempts::default();
        loop {
            match self.change_metadata(user, method, body, now_ms).await {
                Err(error) if attempts.again(&error) => {}
                done => return done,
            }
        }
    }

    async fn change_metadata(
        &self,
        user: &str,
        method: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<Reply, ServerError> {
        let mut tx = self.store.write().await?;
        if method == "PUT" {
            metadata::put(&mut tx, &self.config, user, body, now_ms).await?;
        } else {
            tx.clear_devices(user).await?;
        }
        let reply = Reply::of(&metadata::get(&mut tx, user, now_ms).await?)?;
        tx.commit().await?;
        Ok(reply)
    }

    async fn info(&self, now_ms: u64) -> Result<Reply, ServerError> {
        let identity = self.store.read().await?.identity().await?;
        let config = &self.config;
        Reply::of(&json!({
            "protocol": [1],
            "serverId": identity.server_id,
            "epoch": identity.epoch,
            "serverTime": datum_sync::util::time::format(now_ms),
            "entities": config.entities,
            "minSchema": config.min_schema,
            "limits": {
                "maxOperations": config.max_operations,
                "maxPageRows": config.max_page_rows,
                "maxPageBytes": config.max_page_bytes,
                "maxEntityBytes": config.max_entity_bytes,
                "maxBodyBytes": config.max_body_bytes,
                "maxWaitMs": config.max_wait_ms,
                "maxMembers": config.max_members,
                "maxSpaces": config.max_spaces,
            },
            "features": { "stream": true, "gzipRequests": true, "digests": true, "scopes": ["where"], "spaces": true },
            "retention": {
                "tombstoneDays": config.tombstone_retention_ms / DAY_MS,
                "operationDays": config.operation_memory_ms / DAY_MS,
            },
        }))
    }
}

/// The scope of a pull, as text.
#[derive(Deserialize)]
struct OnlyScope<'a> {
    #[serde(borrow, default)]
    scope: Option<Raw<'a>>,
}

/// Returns a parameter of a URL's query, unescaped. Invalid escapes stay as they are, so they match
/// no user's id.
fn query_value(query: &str, name: &str) -> Option<String> {
    let (_, escaped) = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)?;
    let mut parts = escaped.split('%');
    let mut bytes = parts
        .next()
        .unwrap_or_default()
        .replace('+', " ")
        .into_bytes();
    for part in parts {
        match part
            .split_at_checked(2)
            .and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)))
        {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend(rest.replace('+', " ").bytes());
            }
            None => bytes.extend(format!("%{part}").bytes()),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
