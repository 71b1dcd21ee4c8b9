//! The rows and applied operations that a push touches, and the writes it has decided so far.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::entity::check_id;
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::protocol::PushedOperation;

use super::Decision;
use super::operation::Item;
use crate::rules::store::{AppliedOperation, Batch, Head, Row, Stamp, Transaction};
use crate::rules::{Config, ServerError};

/// Writes go to the store in batches of about this many bytes.
const FLUSH_BYTES: usize = 4 << 20;
/// The version recorded for an operation that was superseded before it arrived: it fits no base.
pub(super) const SUPERSEDED: u64 = 0;
/// The version recorded for an operation without a base that met a live row: it fits none any more
/// without a base.
pub(super) const MET_A_ROW: u64 = MAX_VERSION + 1;
/// The most superseded operations that are recorded for one operation.
const MAX_SUPERSEDED: usize = 64;

/// Entity type and id.
pub(super) type RowKey = (String, String);

pub(super) struct UnitOfWork<'t, T: Transaction> {
    tx: &'t mut T,
    pub(super) config: &'t Config,
    pub(super) user: &'t str,
    now_ms: u64,
    pub(super) head: Head,
    pub(super) stamps: HashMap<RowKey, Stamp>,
    /// Operations applied earlier or in this push, by id.
    pub(super) applied: HashMap<String, AppliedOperation>,
    /// Operations of this push that were not applied.
    pub(super) not_applied: HashSet<String>,
    digests: BTreeMap<String, Digest>,
    pending: Batch,
    /// The index of each row in `pending.rows`.
    pending_index: HashMap<RowKey, usize>,
    pending_bytes: usize,
    /// How many bytes of rows the conflicts carry so far.
    pub(super) reply_bytes: usize,
    changed: bool,
}

impl<'t, T: Transaction> UnitOfWork<'t, T> {
    /// Loads what all operations need, in one query per kind.
    pub(super) async fn begin(
        tx: &'t mut T,
        config: &'t Config,
        user: &'t str,
        items: &[Item<'_>],
        now_ms: u64,
    ) -> Result<Self, ServerError> {
        let operations = || items.iter().filter_map(|item| item.parsed.as_ref().ok());
        let keys: Vec<(&str, &str)> = operations()
            .map(|op| (op.entity.as_ref(), op.id.as_ref()))
            .collect();
        let op_ids: Vec<&str> = operations()
            .flat_map(|op| std::iter::once(&op.op_id).chain(&op.supersedes))
            .map(AsRef::as_ref)
            .collect();
        let head = tx.head(user).await?;
        let stamps = keys.iter().zip(tx.stamps(user, &keys).await?);
        let stamps = stamps
            .filter_map(|((entity, id), stamp)| {
                Some((((*entity).to_owned(), (*id).to_owned()), stamp?))
            })
            .collect();
        let applied = tx.applied(user, &op_ids).await?;
        let applied = applied
            .into_iter()
            .flatten()
            .map(|applied| (applied.op_id.clone(), applied))
            .collect();
        let digests = tx.digests(user).await?;
        Ok(Self {
            tx,
            config,
            user,
            now_ms,
            head,
            stamps,
            applied,
            not_applied: HashSet::new(),
            digests,
            pending: Batch::default(),
            pending_index: HashMap::new(),
            pending_bytes: 0,
            reply_bytes: 0,
            changed: false,
        })
    }

    /// Returns a row's data as this push has left it.
    pub(super) async fn data(&mut self, key: &RowKey) -> Result<Option<Arc<str>>, ServerError> {
        let index = self.pending_index.get(key);
        if let Some(row) = index.and_then(|index| self.pending.rows.get(*index)) {
            return Ok(row.data.clone());
        }
        self.tx.data(self.user, &key.0, &key.1).await
    }

    /// Writes a row, or a tombstone without `data`, at the next version.
    pub(super) async fn write(
        &mut self,
        operation: &PushedOperation<'_>,
        key: RowKey,
        data: Option<Arc<str>>,
    ) -> Result<Decision, ServerError> {
        let version = self
            .head
            .seq
            .checked_add(1)
            .filter(|next| *next <= MAX_VERSION)
            .ok_or_else(|| ServerError::internal("the user's counter is at its end"))?;
        self.head.seq = version;
        self.changed = true;
        self.update_digest(&key, version, data.is_none());
        self.queue(&key, version, data);
        self.record_applied(operation, key, version);
        if self.pending_bytes > FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(Decision::Applied {
            version,
            replayed: false,
            deleted: false,
        })
    }

    fn update_digest(&mut self, key: &RowKey, version: u64, deleted: bool) {
        let (entity, id) = key;
        let before = self.stamps.insert(key.clone(), Stamp { version, deleted });
        let digest = self.digests.entry(entity.clone()).or_default();
        if let Some(before) = before.filter(|before| !before.deleted) {
            digest.remove(entity, id, before.version);
        }
        if !deleted {
            digest.add(entity, id, version);
        }
        self.pending.digests.insert(entity.clone(), *digest);
    }

    fn queue(&mut self, key: &RowKey, version: u64, data: Option<Arc<str>>) {
        let row = Row {
            entity: key.0.clone(),
            id: key.1.clone(),
            version,
            data,
        };
        self.pending_bytes = self.pending_bytes.saturating_add(row.bytes());
        let index = self.pending_index.get(key);
        if let Some(earlier) = index.and_then(|index| self.pending.rows.get_mut(*index)) {
            *earlier = row;
        } else {
            self.pending_index
                .insert(key.clone(), self.pending.rows.len());
            self.pending.rows.push(row);
        }
    }

    /// Records an operation as applied, together with those that it supersedes.
    pub(super) fn record_applied(
        &mut self,
        operation: &PushedOperation<'_>,
        (entity, id): RowKey,
        version: u64,
    ) {
        let applied = AppliedOperation {
            op_id: operation.op_id.to_string(),
            entity,
            id,
            version,
        };
        // A superseded operation may still arrive; it is then decided like one with a stale base.
        let mut superseded = 0_usize;
        for old in &operation.supersedes {
            let known = self.applied.get(old.as_ref());
            let decided = known.is_some_and(|known| known.version != MET_A_ROW);
            if decided || *old == operation.op_id || check_id(old).is_err() {
                continue;
            }
            superseded = superseded.saturating_add(1);
            if superseded > MAX_SUPERSEDED {
                break;
            }
            self.record(AppliedOperation {
                op_id: old.to_string(),
                version: SUPERSEDED,
                ..applied.clone()
            });
        }
        self.record(applied);
    }

    /// Records that an operation without a base met a live row. A duplicate of it that arrives after
    /// the row was deleted would fit otherwise, beside what the client has made of it meanwhile.
    pub(super) fn record_met(&mut self, operation: &PushedOperation<'_>, (entity, id): RowKey) {
        if !self.applied.contains_key(operation.op_id.as_ref()) {
            self.record(AppliedOperation {
                op_id: operation.op_id.to_string(),
                entity,
                id,
                version: MET_A_ROW,
            });
        }
    }

    fn record(&mut self, applied: AppliedOperation) {
        self.applied.insert(applied.op_id.clone(), applied.clone());
        self.pending.applied.push(applied);
    }

    pub(super) fn mark_not_applied(&mut self, op_id: &str) {
        self.not_applied.insert(op_id.to_owned());
    }

    async fn flush(&mut self) -> Result<(), ServerError> {
        let mut batch = std::mem::take(&mut self.pending);
        batch.seq = self.head.seq;
        self.pending_index.clear();
        self.pending_bytes = 0;
        self.tx.write(self.user, batch, self.now_ms).await
    }

    /// Writes the rest. Returns whether any row changed.
    pub(super) async fn finish(mut self) -> Result<bool, ServerError> {
        if !self.pending.rows.is_empty() || !self.pending.applied.is_empty() {
            self.flush().await?;
        }
        Ok(self.changed)
    }
}
