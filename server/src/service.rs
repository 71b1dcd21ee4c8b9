//! From a method and a path to a rule: the whole protocol but for HTTP's own part (tokens, headers,
//! compression, streams and waiting), which the carrier adds.

use datum_sync::model::entity::check_id;
use datum_sync::model::protocol::{PREFIX, PullRequest};
use serde::Serialize;
use serde_json::json;

use crate::rules::store::{Store, Swept, Transaction};
use crate::rules::{Config, DAY_MS, ServerError, check_user, metadata, pull, push, sweep};

/// An answer with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The JSON.
    pub body: Vec<u8>,
    /// Rows were written: other devices of this user have something to pull.
    pub changed: bool,
    /// A pull that found nothing; a carrier that may wait asks again when something changes.
    pub idle: bool,
}

impl Reply {
    const fn new(body: Vec<u8>) -> Self {
        Self {
            body,
            changed: false,
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
    /// Where the rows are.
    pub store: S,
    /// What the operator decided.
    pub config: Config,
}

impl<S: Store> Service<S> {
    /// Answers one request of a proved user. `target` is the path of the URL with its prefix, and
    /// its query where it has one.
    ///
    /// # Errors
    /// Whatever is not a 200.
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

    /// How long a pull asks to be held back while there is nothing to say, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self, body: &[u8]) -> u64 {
        let request: Option<PullRequest> = serde_json::from_slice(body).ok();
        request
            .and_then(|request| request.wait_ms)
            .unwrap_or(0)
            .min(self.config.max_wait_ms)
    }

    /// Forgets what need not be remembered any more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, now_ms: u64) -> Result<Swept, ServerError> {
        let mut tx = self.store.write().await?;
        let swept = sweep(&mut tx, &self.config, now_ms).await?;
        tx.commit().await?;
        Ok(swept)
    }

    /// Replaces the epoch, after the store was restored from an older state.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn set_epoch(&self, epoch: &str) -> Result<(), ServerError> {
        let mut tx = self.store.write().await?;
        tx.set_epoch(epoch).await?;
        tx.commit().await
    }

    /// What anyone may ask: whether it answers, and which history it holds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn health(&self, now_ms: u64) -> Result<Reply, ServerError> {
        let epoch = self.store.read().await?.epoch().await?;
        Reply::of(
            &json!({ "status": "ok", "protocol": [1], "serverTime": datum_sync::util::time::format(now_ms), "epoch": epoch }),
        )
    }

    async fn pull(&self, user: &str, body: &[u8], now_ms: u64) -> Result<Reply, ServerError> {
        let request: PullRequest = serde_json::from_slice(body)
            .map_err(|e| ServerError::bad_request(format!("The body is not a pull: {e}")))?;
        let mut tx = self.store.read().await?;
        let page = pull::pull(&mut tx, &self.config, user, &request).await?;
        Ok(Reply {
            body: page.to_json(now_ms),
            changed: false,
            idle: page.changes.is_empty() && !page.more,
        })
    }

    async fn push(&self, user: &str, body: &[u8], now_ms: u64) -> Result<Reply, ServerError> {
        let mut tx = self.store.write().await?;
        let pushed = push::push(&mut tx, &self.config, user, body, now_ms).await?;
        tx.commit().await?;
        Ok(Reply {
            changed: pushed.changed,
            ..Reply::new(pushed.to_json(now_ms))
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
        let epoch = self.store.read().await?.epoch().await?;
        let config = &self.config;
        Reply::of(&json!({
            "protocol": [1],
            "epoch": epoch,
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
            },
            "features": { "stream": true, "gzipRequests": true, "digests": true, "scopes": ["where"] },
            "retention": {
                "tombstoneDays": config.tombstone_retention_ms / DAY_MS,
                "operationDays": config.operation_memory_ms / DAY_MS,
            },
        }))
    }
}

/// A member of a URL's query, unescaped; none where it is not there. What cannot be unescaped stays
/// as it is, and so is nobody's id.
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
