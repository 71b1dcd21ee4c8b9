//! What a push has read of one space, and the writes that it has decided for it so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::limits::MAX_VERSION;
use datum_sync::model::space::Role;

use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Row, SharedState, Space, Stamp, Transaction,
};

/// Entity type and id.
pub(super) type RowKey = (String, String);

pub(super) struct SpaceWork {
    pub(super) space: Space,
    /// How the user finds the space, after the operations so far.
    pub(super) access: SharedState,
    pub(super) head: Head,
    pub(super) stamps: HashMap<RowKey, Stamp>,
    digests: BTreeMap<String, Digest>,
    pending: Batch,
    /// The index of each row in `pending.rows`.
    pending_index: HashMap<RowKey, usize>,
    pub(super) changed: bool,
}

impl SpaceWork {
    /// Loads what operations on these rows need, in one query per kind. Of a space that the user is
    /// no member of, nothing is read.
    pub(super) async fn load<T: Transaction>(
        tx: &mut T,
        user: &str,
        space: Space,
        keys: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        tx.lock(&space).await?;
        let access = match &space {
            Space::Personal(own) => {
                let head = tx.head(&space).await?;
                SharedState {
                    used: true,
                    role: (own.as_ref() == user).then_some(Role::Owner),
                    head,
                    members: 0,
                }
            }
            Space::Shared(id) => tx.shared(user, id).await?,
        };
        let mut work = Self {
            head: access.head,
            access,
            space,
            stamps: HashMap::new(),
            digests: BTreeMap::new(),
            pending: Batch::default(),
            pending_index: HashMap::new(),
            changed: false,
        };
        if access.role.is_some() {
            let stamps = keys.iter().zip(tx.stamps(&work.space, keys).await?);
            let stamps = stamps.filter_map(|((entity, id), stamp)| {
                Some((((*entity).to_owned(), (*id).to_owned()), stamp?))
            });
            work.stamps = stamps.collect();
            work.digests = tx.digests(std::slice::from_ref(&work.space)).await?;
        }
        Ok(work)
    }

    /// Returns the data of a row that waits to be written; `Some(None)` for a tombstone.
    pub(super) fn pending_data(&self, key: &RowKey) -> Option<Option<Arc<str>>> {
        let row = self.pending.rows.get(*self.pending_index.get(key)?)?;
        Some(row.data.clone())
    }

    /// Writes a row, or a tombstone without `data`, at the next version, which it returns.
    pub(super) fn write(
        &mut self,
        key: &RowKey,
        data: Option<Arc<str>>,
        moved_to: Option<Space>,
    ) -> Result<u64, ServerError> {
        let version = self
            .head
            .seq
            .checked_add(1)
            .filter(|next| *next <= MAX_VERSION)
            .ok_or_else(|| ServerError::internal("the space's counter is at its end"))?;
        self.head.seq = version;
        self.changed = true;
        let stamp = Stamp {
            version,
            deleted: data.is_none(),
            moved_to: moved_to.clone(),
        };
        self.update_digest(key, stamp);
        let row = Row {
            entity: key.0.clone(),
            id: key.1.clone(),
            version,
            data,
            moved_to,
        };
        let index = self.pending_index.get(key);
        if let Some(earlier) = index.and_then(|index| self.pending.rows.get_mut(*index)) {
            *earlier = row;
        } else {
            self.pending_index
                .insert(key.clone(), self.pending.rows.len());
            self.pending.rows.push(row);
        }
        Ok(version)
    }

    fn update_digest(&mut self, key: &RowKey, stamp: Stamp) {
        let (entity, id) = key;
        let Stamp {
            version, deleted, ..
        } = stamp;
        let before = self.stamps.insert(key.clone(), stamp);
        let space = self.space.id().map(AsRef::as_ref);
        let digest = self.digests.entry(entity.clone()).or_default();
        if let Some(before) = before.filter(|before| !before.deleted) {
            digest.remove_in(space, entity, id, before.version);
        }
        if !deleted {
            digest.add_in(space, entity, id, version);
        }
        self.pending.digests.insert(entity.clone(), *digest);
    }

    pub(super) fn record(&mut self, applied: AppliedOperation) {
        self.pending.applied.push(applied);
    }

    /// Returns what waits to be written, if anything does.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        if self.pending.rows.is_empty() && self.pending.applied.is_empty() {
            return None;
        }
        self.pending_index.clear();
        let mut batch = std::mem::take(&mut self.pending);
        batch.seq = self.head.seq;
        Some(batch)
    }

    /// Forgets everything but the counter: the space has ended.
    pub(super) fn end(&mut self) {
        self.access.role = None;
        self.access.members = 0;
        self.stamps.clear();
        self.digests.clear();
    }
}
