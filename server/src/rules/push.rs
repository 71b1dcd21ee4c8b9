//! A push: each operation is decided against the row as it stands, in order, in one transaction.
//!
//! Every write is conditional on its base version, and what was applied is remembered with the
//! write itself, so that the same operation sent twice, at once or later, changes nothing. Only
//! `applied` is remembered: the other verdicts had no effect, so deciding again is right.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::entity::{check_id, check_name};
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::operation::OperationKind;
use datum_sync::model::protocol::PushedOperation;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::data::{self, Refusal};
use super::store::{Batch, Head, Remembered, Row, Stamp, Transaction};
use super::{Config, ServerError, check_user};

/// Writes are handed to the store in portions of about this many bytes.
const FLUSH_BYTES: usize = 4 << 20;
/// How long a client waits with an operation whose answer did not fit the reply, in milliseconds.
const NEXT_REPLY_MS: u64 = 0;

/// The version that is remembered of an operation that was superseded before it came.
const SUPERSEDED: u64 = 0;
/// The most operations that one supersedes; the others are not remembered.
const MOST_SUPERSEDED: usize = 64;

/// The server's decision on one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The write stands, at this version.
    Applied {
        /// The row's version after it.
        version: u64,
        /// It had been applied before.
        replayed: bool,
    },
    /// The base is not current.
    Conflict {
        /// The version to build on.
        version: u64,
        /// The current data; none where the row is deleted or was never there.
        row: Option<Arc<str>>,
    },
    /// It will never be accepted.
    Rejected(Refusal),
    /// Not yet: it was made against versions of another history, so that its base says nothing
    /// here.
    EpochChanged,
    /// Not now: an operation that goes before it was not applied.
    Waits,
    /// Not now.
    Retry {
        /// How long to wait, in milliseconds.
        after_ms: u64,
    },
}

/// A decision and the operation that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The operation.
    pub op_id: String,
    /// The decision.
    pub decision: Decision,
}

/// The answer to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// One an operation, in order.
    pub answers: Vec<Answer>,
    /// The server's epoch.
    pub epoch: String,
    /// Whether any row was written.
    pub changed: bool,
}

/// A push whose operations have not been read yet, so that one that is malformed fails alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(default)]
    schema: u32,
    #[serde(borrow, default)]
    epoch: Option<Cow<'a, str>>,
    #[serde(borrow)]
    operations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnlyId<'a> {
    #[serde(borrow)]
    op_id: Cow<'a, str>,
}

/// One operation as far as it could be read.
struct Item<'a> {
    op_id: Cow<'a, str>,
    read: Result<PushedOperation<'a>, Refusal>,
}

/// Answers a push. The transaction must exclude other writers; the caller commits it.
///
/// # Errors
/// 400 for a request that breaks the protocol as a whole, 409 for one that means another user, 413
/// for too many operations, 426 for an app that is too old; those of the store.
pub async fn push<T: Transaction>(
    tx: &mut T,
    config: &Config,
    user: &str,
    body: &[u8],
    now_ms: u64,
) -> Result<Pushed, ServerError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|e| ServerError::bad_request(format!("The body is not a push: {e}")))?;
    check_id(&envelope.client_id)
        .map_err(|e| ServerError::bad_request(format!("`clientId`: {}", e.message())))?;
    check_user(user, envelope.user_id.as_deref())?;
    config.check_schema(envelope.schema)?;
    if envelope.operations.len() > config.max_operations {
        let what = format!("The push has {} operations", envelope.operations.len());
        return Err(ServerError::too_large(
            "tooManyOperations",
            &what,
            config.max_operations,
        ));
    }
    let mut items = Vec::with_capacity(envelope.operations.len());
    for (place, raw) in envelope.operations.iter().enumerate() {
        items.push(read(config, raw, place)?);
    }
    let epoch = tx.epoch().await?;
    if envelope.epoch.is_some_and(|known| known != epoch) {
        let answer = |item: Item<'_>| Answer {
            op_id: item.op_id.into_owned(),
            decision: Decision::EpochChanged,
        };
        return Ok(Pushed {
            answers: items.into_iter().map(answer).collect(),
            epoch,
            changed: false,
        });
    }
    let mut desk = Desk::open(tx, config, user, &items, now_ms).await?;
    let mut answers = Vec::with_capacity(items.len());
    for item in &items {
        let decision = match &item.read {
            Ok(operation) => desk.decide(operation).await?,
            Err(refusal) => Decision::Rejected(refusal.clone()),
        };
        if !matches!(decision, Decision::Applied { .. }) {
            desk.unmet.insert(item.op_id.to_string());
        }
        answers.push(Answer {
            op_id: item.op_id.to_string(),
            decision,
        });
    }
    let changed = desk.close().await?;
    Ok(Pushed {
        answers,
        epoch,
        changed,
    })
}

fn read<'a>(config: &Config, raw: &'a RawValue, place: usize) -> Result<Item<'a>, ServerError> {
    let operation = match serde_json::from_str::<PushedOperation<'a>>(raw.get()) {
        Ok(operation) => operation,
        Err(cause) => {
            let OnlyId { op_id } = serde_json::from_str(raw.get()).map_err(|_| {
                ServerError::bad_request(format!(
                    "`operations[{place}]` has no `opId` to answer to: {cause}"
                ))
            })?;
            return Ok(Item {
                op_id,
                read: Err(Refusal::new(
                    "invalidOperation",
                    format!("The operation cannot be read: {cause}"),
                )),
            });
        }
    };
    let wrong = |what: &str, e: &datum_sync::model::error::Error| {
        Some(Refusal::new(
            "invalidId",
            format!("`{what}`: {}", e.message()),
        ))
    };
    let refusal = None
        .or_else(|| {
            check_id(&operation.op_id)
                .err()
                .and_then(|e| wrong("opId", &e))
        })
        .or_else(|| {
            check_name(&operation.entity)
                .err()
                .and_then(|e| wrong("entity", &e))
        })
        .or_else(|| check_id(&operation.id).err().and_then(|e| wrong("id", &e)))
        .or_else(|| {
            let known = config.knows(&operation.entity);
            (!known).then(|| {
                Refusal::new(
                    "unknownEntity",
                    format!("This server does not keep `{}`.", operation.entity),
                )
            })
        })
        .or_else(|| {
            let fits = operation
                .base_version
                .is_none_or(|base| base > 0 && base <= MAX_VERSION);
            (!fits).then(|| {
                Refusal::new(
                    "invalidVersion",
                    "`baseVersion` must be null or a version that the server gave.",
                )
            })
        });
    let op_id = operation.op_id.clone();
    Ok(Item {
        op_id,
        read: refusal.map_or(Ok(operation), Err),
    })
}

type RowKey = (String, String);

/// What stands under a push: the rows and memories that it touches, and what it has decided so far.
struct Desk<'t, T: Transaction> {
    tx: &'t mut T,
    config: &'t Config,
    user: &'t str,
    now_ms: u64,
    head: Head,
    stamps: HashMap<RowKey, Stamp>,
    remembered: HashMap<String, Remembered>,
    /// Operations of this push that were not applied.
    unmet: HashSet<String>,
    digests: BTreeMap<String, Digest>,
    pending: Batch,
    places: HashMap<RowKey, usize>,
    pending_bytes: usize,
    reply_bytes: usize,
    changed: bool,
}

impl<'t, T: Transaction> Desk<'t, T> {
    async fn open(
        tx: &'t mut T,
        config: &'t Config,
        user: &'t str,
        items: &[Item<'_>],
        now_ms: u64,
    ) -> Result<Self, ServerError> {
        let operations = || items.iter().filter_map(|item| item.read.as_ref().ok());
        let keys: Vec<(&str, &str)> = operations()
            .map(|op| (op.entity.as_ref(), op.id.as_ref()))
            .collect();
        let op_ids = operations().flat_map(|op| {
            std::iter::once(&op.op_id)
                .chain(&op.supersedes)
                .map(AsRef::as_ref)
        });
        let op_ids: Vec<&str> = op_ids.collect();
        let head = tx.head(user).await?;
        let stamps = tx.stamps(user, &keys).await?;
        let stamps = keys.iter().zip(stamps).filter_map(|((entity, id), stamp)| {
            Some((((*entity).to_owned(), (*id).to_owned()), stamp?))
        });
        let stamps = stamps.collect();
        let remembered = tx
            .remembered(user, &op_ids)
            .await?
            .into_iter()
            .flatten()
            .map(|known| (known.op_id.clone(), known))
            .collect();
        let digests = tx.digests(user).await?;
        Ok(Self {
            tx,
            config,
            user,
            now_ms,
            head,
            stamps,
            remembered,
            unmet: HashSet::new(),
            digests,
            pending: Batch::default(),
            places: HashMap::new(),
            pending_bytes: 0,
            reply_bytes: 0,
            changed: false,
        })
    }

    async fn decide(&mut self, operation: &PushedOperation<'_>) -> Result<Decision, ServerError> {
        let known = self.remembered.get(operation.op_id.as_ref());
        let superseded = known.is_some_and(|known| known.version == SUPERSEDED);
        if let Some(known) = known.filter(|_| !superseded) {
            return Ok(
                if known.entity == operation.entity && known.id == operation.id {
                    Decision::Applied {
                        version: known.version,
                        replayed: true,
                    }
                } else {
                    Decision::Rejected(Refusal::new(
                        "opIdReused",
                        "`opId` was used for another entity; every operation needs its own.",
                    ))
                },
            );
        }
        if operation
            .after
            .iter()
            .any(|op_id| self.unmet.contains(op_id.as_ref()))
        {
            return Ok(Decision::Waits);
        }
        let key = (operation.entity.to_string(), operation.id.to_string());
        let stamp = self.stamps.get(&key).copied();
        let live = stamp.is_some_and(|stamp| !stamp.deleted);
        // A row that left no trace counts as deleted at the floor, so that a client that is told so
        // can build on it, and that no version it may still hold from the row's former life fits.
        let current = stamp.map_or(self.head.floor.max(1), |stamp| stamp.version);
        let based = operation.base_version.map_or(!live, |base| base == current) && !superseded;
        if operation.kind == OperationKind::Delete {
            return match (live, based) {
                (false, _) => Ok(self.keep(operation, key, current)),
                (true, true) => self.write(operation, key, None).await,
                (true, false) => self.conflict(&key, current, true).await,
            };
        }
        let sent = match data::clean(self.user, operation.data, self.config.max_entity_bytes) {
            Ok(sent) => sent,
            Err(refusal) => return Ok(Decision::Rejected(refusal)),
        };
        if operation.kind == OperationKind::Patch {
            if !based || !live {
                return self.conflict(&key, current, live).await;
            }
            let stored = self.data(&key).await?.unwrap_or_else(|| "{}".into());
            return match data::merge(&stored, &sent, self.config.max_entity_bytes) {
                Ok(merged) => self.write(operation, key, Some(merged)).await,
                Err(refusal) => Ok(Decision::Rejected(refusal)),
            };
        }
        if based {
            return self.write(operation, key, Some(sent)).await;
        }
        if live
            && operation.base_version.is_none()
            && self
                .data(&key)
                .await?
                .is_some_and(|stored| data::same(&stored, &sent))
        {
            return Ok(self.keep(operation, key, current));
        }
        self.conflict(&key, current, live).await
    }

    /// Nothing needs writing: the row is already as the operation wants it.
    fn keep(&mut self, operation: &PushedOperation<'_>, key: RowKey, version: u64) -> Decision {
        self.remember(operation, key, version);
        Decision::Applied {
            version,
            replayed: false,
        }
    }

    fn remember(&mut self, operation: &PushedOperation<'_>, (entity, id): RowKey, version: u64) {
        let known = Remembered {
            op_id: operation.op_id.to_string(),
            entity,
            id,
            version,
        };
        // What this one carries the effect of may still arrive: it is decided like one with an old
        // base.
        let late = operation.supersedes.iter().map(|old| Remembered {
            op_id: old.to_string(),
            version: SUPERSEDED,
            ..known.clone()
        });
        let unknown = late.filter(|old| {
            !self.remembered.contains_key(&old.op_id) && check_id(&old.op_id).is_ok()
        });
        let late: Vec<Remembered> = unknown.take(MOST_SUPERSEDED).collect();
        for known in late.into_iter().chain([known]) {
            self.remembered.insert(known.op_id.clone(), known.clone());
            self.pending.operations.push(known);
        }
    }

    async fn write(
        &mut self,
        operation: &PushedOperation<'_>,
        key: RowKey,
        data: Option<Arc<str>>,
    ) -> Result<Decision, ServerError> {
        let version = self
            .head
            .seq
            .checked_add(1)
            .filter(|next| *next <= MAX_VERSION);
        let version =
            version.ok_or_else(|| ServerError::internal("the user's counter is at its end"))?;
        self.head.seq = version;
        self.pending.seq = version;
        self.changed = true;
        let deleted = data.is_none();
        let before = self.stamps.insert(key.clone(), Stamp { version, deleted });
        let digest = self.digests.entry(key.0.clone()).or_default();
        if let Some(before) = before.filter(|before| !before.deleted) {
            digest.remove(&key.0, &key.1, before.version);
        }
        if !deleted {
            digest.add(&key.0, &key.1, version);
        }
        self.pending.digests.insert(key.0.clone(), *digest);
        let row = Row {
            entity: key.0.clone(),
            id: key.1.clone(),
            version,
            data,
        };
        self.pending_bytes = self.pending_bytes.saturating_add(row.bytes());
        match self
            .places
            .get(&key)
            .and_then(|place| self.pending.rows.get_mut(*place))
        {
            Some(earlier) => *earlier = row,
            None => {
                self.places.insert(key.clone(), self.pending.rows.len());
                self.pending.rows.push(row);
            }
        }
        self.remember(operation, key, version);
        if self.pending_bytes > FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(Decision::Applied {
            version,
            replayed: false,
        })
    }

    async fn conflict(
        &mut self,
        key: &RowKey,
        version: u64,
        live: bool,
    ) -> Result<Decision, ServerError> {
        if !live {
            return Ok(Decision::Conflict { version, row: None });
        }
        // Checked before the row is read, so that a small request cannot make the server carry
        // much.
        if self.reply_bytes > self.config.max_reply_bytes {
            return Ok(Decision::Retry {
                after_ms: NEXT_REPLY_MS,
            });
        }
        let row = self.data(key).await?;
        self.reply_bytes = self
            .reply_bytes
            .saturating_add(row.as_ref().map_or(0, |row| row.len()));
        Ok(Decision::Conflict { version, row })
    }

    async fn data(&mut self, key: &RowKey) -> Result<Option<Arc<str>>, ServerError> {
        if let Some(row) = self
            .places
            .get(key)
            .and_then(|place| self.pending.rows.get(*place))
        {
            return Ok(row.data.clone());
        }
        self.tx.data(self.user, &key.0, &key.1).await
    }

    async fn flush(&mut self) -> Result<(), ServerError> {
        let mut batch = std::mem::take(&mut self.pending);
        batch.seq = self.head.seq;
        self.places.clear();
        self.pending_bytes = 0;
        self.tx.write(self.user, batch, self.now_ms).await
    }

    async fn close(mut self) -> Result<bool, ServerError> {
        if !self.pending.rows.is_empty() || !self.pending.operations.is_empty() {
            self.flush().await?;
        }
        Ok(self.changed)
    }
}

impl Pushed {
    /// The reply, with the server's time in milliseconds since 1970.
    #[must_use]
    pub fn to_json(&self, now_ms: u64) -> Vec<u8> {
        use datum_sync::util::json::write::{push_field, push_string};
        let quoted = |text: &str| {
            let mut out = String::with_capacity(text.len().saturating_add(2));
            push_string(&mut out, text);
            out
        };
        let mut out = String::from("{\"results\":[");
        for (i, answer) in self.answers.iter().enumerate() {
            out.push_str(if i > 0 { ",{" } else { "{" });
            push_field(&mut out, "opId", &quoted(&answer.op_id));
            match &answer.decision {
                Decision::Applied { version, replayed } => {
                    push_field(&mut out, "status", "\"applied\"");
                    push_field(&mut out, "version", &version.to_string());
                    if *replayed {
                        push_field(&mut out, "replayed", "true");
                    }
                }
                Decision::Conflict { version, row } => {
                    push_field(&mut out, "status", "\"conflict\"");
                    push_field(&mut out, "version", &version.to_string());
                    push_field(&mut out, "row", row.as_deref().unwrap_or("null"));
                }
                Decision::Rejected(refusal) => {
                    push_field(&mut out, "status", "\"rejected\"");
                    push_field(&mut out, "code", &quoted(refusal.code));
                    push_field(&mut out, "message", &quoted(&refusal.message));
                }
                Decision::Waits => {
                    push_field(&mut out, "status", "\"retry\"");
                    push_field(&mut out, "code", "\"blocked\"");
                }
                Decision::EpochChanged => {
                    push_field(&mut out, "status", "\"retry\"");
                    push_field(&mut out, "code", "\"epochChanged\"");
                    push_field(&mut out, "retryAfterMs", &NEXT_REPLY_MS.to_string());
                }
                Decision::Retry { after_ms } => {
                    push_field(&mut out, "status", "\"retry\"");
                    push_field(&mut out, "retryAfterMs", &after_ms.to_string());
                }
            }
            out.push('}');
        }
        out.push_str("],\"serverTime\":");
        out.push_str(&quoted(&datum_sync::util::time::format(now_ms)));
        out.push_str(",\"epoch\":");
        out.push_str(&quoted(&self.epoch));
        out.push('}');
        out.into_bytes()
    }
}
