//! The rows and applied operations that a push touches, and the writes it has decided so far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use datum_sync::model::entity::check_id;
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::space::Role;

use super::Decision;
use super::operation::{Item, Operation};
use super::space_work::{RowKey, SpaceWork};
use crate::rules::store::{AppliedOperation, Space, Stamp, Transaction};
use crate::rules::{Config, ServerError};

/// Writes go to the store in batches of about this many bytes.
const FLUSH_BYTES: usize = 4 << 20;
/// The version recorded for an operation that was superseded before it arrived: it fits no base.
pub(super) const SUPERSEDED: u64 = 0;
/// The version recorded for an operation without a base that was answered with a conflict: it fits
/// none any more without a base.
pub(super) const MET_A_ROW: u64 = MAX_VERSION + 1;
/// The most superseded operations that are recorded for one operation.
const MAX_SUPERSEDED: usize = 64;

pub(super) struct UnitOfWork<'t, T: Transaction> {
    pub(super) tx: &'t mut T,
    pub(super) config: &'t Config,
    pub(super) user: &'t str,
    now_ms: u64,
    spaces: BTreeMap<Space, SpaceWork>,
    /// Operations applied earlier or in this push, by id.
    pub(super) applied: HashMap<String, AppliedOperation>,
    /// Operations of this push that were not applied.
    pub(super) not_applied: HashSet<String>,
    pending_bytes: usize,
    /// How many bytes of rows the conflicts carry so far.
    pub(super) reply_bytes: usize,
    /// Others whose list of spaces has changed.
    pub(super) affected: BTreeSet<String>,
}

/// What a push changed.
pub(super) struct Effect {
    /// Whether any row was written.
    pub(super) changed: bool,
    /// The other users who have something to pull.
    pub(super) others: BTreeSet<String>,
}

impl<'t, T: Transaction> UnitOfWork<'t, T> {
    /// Loads what all operations need, in one query per kind and space.
    pub(super) async fn begin(
        tx: &'t mut T,
        config: &'t Config,
        user: &'t str,
        items: &[Item<'_>],
        now_ms: u64,
    ) -> Result<Self, ServerError> {
        let operations = || items.iter().filter_map(|item| item.parsed.as_ref().ok());
        let mut keys: BTreeMap<&Space, Vec<(&str, &str)>> = BTreeMap::new();
        for operation in operations() {
            for space in std::iter::once(&operation.space).chain(&operation.to) {
                let (entity, id) = &operation.key;
                keys.entry(space).or_default().push((entity, id));
            }
        }
        let op_ids: Vec<&str> = operations()
            .flat_map(|operation| {
                std::iter::once(&operation.sent.op_id).chain(&operation.sent.supersedes)
            })
            .map(AsRef::as_ref)
            .collect();
        // The records of operations are the user's, whatever their spaces.
        tx.lock(&Space::personal(user)).await?;
        let mut spaces = BTreeMap::new();
        for (space, keys) in keys {
            let work = SpaceWork::load(tx, user, space.clone(), &keys).await?;
            spaces.insert(space.clone(), work);
        }
        let applied = tx.applied(user, &op_ids).await?;
        let applied = applied
            .into_iter()
            .flatten()
            .map(|applied| (applied.op_id.clone(), applied))
            .collect();
        Ok(Self {
            tx,
            config,
            user,
            now_ms,
            spaces,
            applied,
            not_applied: HashSet::new(),
            pending_bytes: 0,
            reply_bytes: 0,
            affected: BTreeSet::new(),
        })
    }

    /// Returns a space that an operation names.
    pub(super) fn space(&mut self, space: &Space) -> Result<&mut SpaceWork, ServerError> {
        self.spaces
            .get_mut(space)
            .ok_or_else(|| ServerError::internal("a space was not loaded"))
    }

    /// Returns the user's role in a space.
    pub(super) async fn role(&mut self, space: &Space) -> Result<Option<Role>, ServerError> {
        if let Some(known) = self.spaces.get(space) {
            return Ok(known.access.role);
        }
        Ok(match space {
            Space::Personal(own) => (own.as_ref() == self.user).then_some(Role::Owner),
            Space::Shared(id) => self.tx.shared(self.user, id).await?.role,
        })
    }

    /// Returns a row's stamp as this push has left it, whoever may read it.
    pub(super) async fn stamp(
        &mut self,
        space: &Space,
        key: &RowKey,
    ) -> Result<Option<Stamp>, ServerError> {
        let known = self.spaces.get(space).and_then(|work| work.stamps.get(key));
        if let Some(stamp) = known {
            return Ok(Some(stamp.clone()));
        }
        let found = self.tx.stamps(space, &[(&key.0, &key.1)]).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Returns a row's data as this push has left it.
    pub(super) async fn data(
        &mut self,
        space: &Space,
        key: &RowKey,
    ) -> Result<Option<Arc<str>>, ServerError> {
        let work = self.spaces.get(space);
        if let Some(data) = work.and_then(|work| work.pending_data(key)) {
            return Ok(data);
        }
        self.tx.data(space, &key.0, &key.1).await
    }

    /// Writes a row, or a tombstone without `data`, at the next version.
    pub(super) async fn write(
        &mut self,
        operation: &Operation<'_>,
        data: Option<Arc<str>>,
    ) -> Result<Decision, ServerError> {
        let version = self
            .put(&operation.space, &operation.key, data, None)
            .await?;
        self.record_applied(operation, version, None)?;
        Ok(Decision::applied(version))
    }

    /// Writes a row that no operation stands for alone. Returns its version.
    pub(super) async fn put(
        &mut self,
        space: &Space,
        key: &RowKey,
        data: Option<Arc<str>>,
        moved_to: Option<Space>,
    ) -> Result<u64, ServerError> {
        if self.pending_bytes > FLUSH_BYTES {
            self.flush().await?;
        }
        let bytes = data.as_ref().map_or(0, |data| data.len());
        let bytes = bytes.saturating_add(key.0.len()).saturating_add(64);
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        self.space(space)?.write(key, data, moved_to)
    }

    /// Records an operation as applied, together with those that it supersedes.
    pub(super) fn record_applied(
        &mut self,
        operation: &Operation<'_>,
        version: u64,
        left: Option<u64>,
    ) -> Result<(), ServerError> {
        let applied = AppliedOperation {
            version,
            left,
            ..record_of(operation)
        };
        // A superseded operation may still arrive; it is then decided like one with a stale base.
        let mut superseded = 0_usize;
        for old in &operation.sent.supersedes {
            let known = self.applied.get(old.as_ref());
            let decided = known.is_some_and(|known| known.version != MET_A_ROW);
            if decided || *old == operation.sent.op_id || check_id(old).is_err() {
                continue;
            }
            superseded = superseded.saturating_add(1);
            if superseded > MAX_SUPERSEDED {
                break;
            }
            self.record(AppliedOperation {
                op_id: old.to_string(),
                version: SUPERSEDED,
                left: None,
                ..applied.clone()
            })?;
        }
        self.record(applied)
    }

    /// Records that an operation without a base was answered with a conflict. A duplicate of it that
    /// arrives after the row was deleted would fit otherwise, beside what the client has made of it
    /// meanwhile.
    pub(super) fn record_met(&mut self, operation: &Operation<'_>) -> Result<(), ServerError> {
        if self.applied.contains_key(operation.sent.op_id.as_ref()) {
            return Ok(());
        }
        self.record(AppliedOperation {
            version: MET_A_ROW,
            ..record_of(operation)
        })
    }

    fn record(&mut self, applied: AppliedOperation) -> Result<(), ServerError> {
        self.applied.insert(applied.op_id.clone(), applied.clone());
        self.space(&applied.space.clone())?.record(applied);
        Ok(())
    }

    pub(super) fn mark_not_applied(&mut self, op_id: &str) {
        self.not_applied.insert(op_id.to_owned());
    }

    /// Writes everything that waits.
    pub(super) async fn flush(&mut self) -> Result<(), ServerError> {
        self.pending_bytes = 0;
        for (space, work) in &mut self.spaces {
            if let Some(batch) = work.take_batch() {
                self.tx.write(self.user, space, batch, self.now_ms).await?;
            }
        }
        Ok(())
    }

    /// Writes the rest. Returns what changed.
    pub(super) async fn finish(mut self) -> Result<Effect, ServerError> {
        self.flush().await?;
        let mut others = self.affected;
        let mut changed = false;
        for (space, work) in &self.spaces {
            changed |= work.changed;
            if let (Space::Shared(id), true) = (space, work.changed) {
                others.extend(self.tx.members(id).await?);
            }
        }
        others.remove(self.user);
        Ok(Effect { changed, others })
    }
}

fn record_of(operation: &Operation<'_>) -> AppliedOperation {
    let (entity, id) = operation.key.clone();
    AppliedOperation {
        op_id: operation.sent.op_id.to_string(),
        space: operation.space.clone(),
        entity,
        id,
        version: SUPERSEDED,
        left: None,
    }
}
