//! Receipts: for each entity that this device pushed in the last 30 days, how its last operation
//! ended, and the data for offering it again to a server that was restored from a backup.
//!
//! Receipts have no bodies, because the row has one. A hash of each value that this device set or
//! replaced tells its own fields from those of others.

use crate::log::commit::{Commit, Event};
use crate::log::facts::Facts;
use crate::log::receipt::{MAX_FIELD_HASHES, Receipt, ReceiptOutcome, Restored};
use crate::model::entity::{Key, OwnedKey};
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::concerns;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// How long a receipt is kept, in milliseconds: as long as a server remembers operations.
pub const KEEP_MS: u64 = 30 * 24 * 3_600_000;

/// All receipts, and the state of a server's restore.
#[derive(Debug, Default)]
pub struct Receipts {
    all: VecMap<OrderedMap<Receipt>>,
    suspects: u64,
    restored: Option<Restored>,
    offered: u64,
}

impl Receipts {
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Receipt> {
        self.all.get(key.entity)?.get(key.id)
    }

    /// Returns an entity's receipt if the server may have forgotten the write.
    #[must_use]
    pub fn suspect(&self, key: &Key) -> Option<&Receipt> {
        if self.suspects == 0 {
            return None;
        }
        self.get(key).filter(|receipt| receipt.suspect)
    }

    /// Returns true while there are suspect receipts.
    #[must_use]
    pub const fn has_suspects(&self) -> bool {
        self.suspects > 0
    }

    /// The receipts of writes that the server may have forgotten.
    pub fn suspects(&self) -> impl Iterator<Item = (&str, &str, &Receipt)> {
        let all = if self.suspects == 0 {
            None
        } else {
            Some(self.iter())
        };
        all.into_iter()
            .flatten()
            .filter(|(_, _, receipt)| receipt.suspect)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str, &Receipt)> {
        self.all
            .iter()
            .flat_map(|(entity, ids)| ids.iter().map(move |(id, receipt)| (entity, id, receipt)))
    }

    /// The server's restore, until the full pull after it is complete.
    #[must_use]
    pub const fn restored(&self) -> Option<Restored> {
        self.restored
    }

    /// How many operations were offered again to the restored server.
    #[must_use]
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.all.values().map(OrderedMap::len).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.values().all(OrderedMap::is_empty)
    }

    /// Puts an entity's receipt.
    pub(super) fn put(&mut self, entity: &str, id: &str, receipt: Receipt) {
        let gains = receipt.suspect;
        let old = self.all.entry(entity).insert(id, receipt);
        self.suspects = self
            .suspects
            .saturating_add(u64::from(gains))
            .saturating_sub(u64::from(old.is_some_and(|old| old.suspect)));
    }

    /// Writes the receipt of an operation that the server has applied.
    pub(super) fn acknowledge(
        &mut self,
        op: &Operation,
        version: u64,
        at: u64,
        field_hashes: &[u64],
    ) {
        let table = op.to.as_deref().unwrap_or(&op.entity);
        let old = self.get(&Key::new(table, &op.id));
        let deleted = op.kind == OperationKind::Delete;
        let lives_on = old.filter(|old| !old.deleted && !deleted && !is_old(old, at));
        let mut all: Vec<u64> = Vec::new();
        for hash in lives_on
            .iter()
            .flat_map(|old| &*old.field_hashes)
            .chain(&op.earlier)
            .chain(field_hashes)
        {
            if !deleted && !all.contains(hash) {
                all.push(*hash);
            }
        }
        let excess = all.len().saturating_sub(MAX_FIELD_HASHES);
        let receipt = Receipt {
            outcome: if old.is_some_and(|old| old.merging) {
                ReceiptOutcome::Merged
            } else {
                ReceiptOutcome::Applied
            },
            at,
            version,
            deleted,
            whole: op.creates_all() || lives_on.is_some_and(|old| old.whole),
            suspect: false,
            merging: false,
            field_hashes: all.into_iter().skip(excess).collect(),
        };
        self.put(table, &op.id, receipt);
    }

    /// Writes the receipt of a rejected operation; earlier acknowledgements are kept.
    pub(super) fn reject(&mut self, op: &Operation, at: u64) {
        let old = self
            .get(&Key::new(&op.entity, &op.id))
            .cloned()
            .unwrap_or_default();
        self.put(
            &op.entity,
            &op.id,
            Receipt {
                outcome: ReceiptOutcome::Rejected,
                at,
                merging: false,
                ..old
            },
        );
    }

    /// Marks the writes that a restored server may have forgotten.
    pub(super) fn mark_suspects(
        &mut self,
        restored: Restored,
        kept_of: &dyn Fn(&str) -> Option<u64>,
    ) {
        // After a second restore, versions of two histories are mixed.
        let kept = restored.kept.filter(|_| self.restored.is_none());
        for (table, ids) in self.all.iter_mut() {
            let kept = kept_of(table);
            let concerned = |receipt: &Receipt| {
                receipt.version > 0
                    && receipt.at >= restored.since
                    && kept.is_none_or(|kept| receipt.version > kept)
            };
            let names: Vec<String> = ids
                .iter()
                .filter(|(_, receipt)| !receipt.suspect && concerned(receipt))
                .map(|(id, _)| id.to_owned())
                .collect();
            for id in names {
                if let Some(receipt) = ids.get_mut(&id) {
                    receipt.suspect = true;
                    self.suspects = self.suspects.saturating_add(1);
                }
            }
        }
        self.restored = Some(Restored {
            kept,
            since: restored.since,
        });
    }

    /// Clears the suspicion of an entity: the restored server has it at this version.
    pub(super) fn clear_suspect(&mut self, entity: &str, id: &str, version: u64) {
        if self.suspects == 0 {
            return;
        }
        let receipt = self.all.entry(entity).get_mut(id);
        if let Some(receipt) = receipt.filter(|receipt| receipt.suspect) {
            receipt.suspect = false;
            receipt.version = version;
            self.suspects = self.suspects.saturating_sub(1);
        }
    }

    /// Clears the suspicion of entities that a full pull did not bring: the server lacks them.
    pub(super) fn clear_missing(&mut self, entities: Option<&[String]>) {
        let gone: Vec<OwnedKey> = self
            .suspects()
            .filter(|(entity, ..)| concerns(entities, entity))
            .map(|(entity, id, _)| Key::new(entity, id).to_owned())
            .collect();
        for key in gone {
            self.clear_suspect(&key.entity, &key.id, 0);
        }
    }

    /// The tables that have receipts.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.all.keys()
    }

    /// Forgets the receipts of some tables.
    pub(super) fn forget(&mut self, tables: &dyn Fn(&str) -> bool) {
        self.all.retain(&|table| !tables(table));
        let suspects = self.all.values().flat_map(OrderedMap::values);
        self.suspects = suspects.filter(|receipt| receipt.suspect).count() as u64;
    }

    /// Counts operations that were offered again; `done` after the full pull.
    pub(super) fn count_offers(&mut self, count: u64, done: bool) {
        self.offered = self.offered.saturating_add(count);
        if done {
            self.clear_missing(None);
            self.restored = None;
            self.offered = 0;
        }
    }

    /// Writes the receipts into a checkpoint, without those that are too old as of the last cycle.
    pub(crate) fn write(&self, facts: &Facts, commit: &mut Commit) {
        let now = facts.last_sync.unwrap_or_default();
        if let (Some(restored), Some(epoch)) = (self.restored, &facts.epoch) {
            commit.events.push(Event::Epoch {
                epoch: epoch.clone(),
                restored: Some(restored),
            });
            commit.events.push(Event::Offered {
                count: self.offered,
                done: false,
            });
        }
        for (entity, id, receipt) in self.iter().filter(|(_, _, receipt)| !is_old(receipt, now)) {
            commit.events.push(Event::Receipt {
                entity: entity.to_owned(),
                id: id.to_owned(),
                receipt: receipt.clone(),
            });
        }
    }
}

/// Returns true if a receipt is too old to count at `now`.
#[must_use]
pub const fn is_old(receipt: &Receipt, now: u64) -> bool {
    now.saturating_sub(receipt.at) > KEEP_MS
}
