//! Receipts: for each entity that this device has pushed in the last 30 days, how its last
//! operation ended, and what must be known to offer it again to a server that was restored from
//! before.
//!
//! No bodies: the row has that. What tells this device's own fields from others' is a mark for each
//! value that it has put, and for each that it has replaced.

use crate::log::commit::{Commit, Event};
use crate::log::facts::Facts;
use crate::log::receipt::{MAX_FIELD_HASHES, Receipt, ReceiptOutcome, Restored};
use crate::model::entity::{Key, OwnedKey, not_found};
use crate::model::error::Result;
use crate::model::operation::{Kind, Operation};
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// How long a receipt is kept, in milliseconds: as long as a server keeps operations in mind.
pub const KEEP_MS: u64 = 30 * 24 * 3_600_000;

/// All receipts, and what is left to do for a server that was restored.
#[derive(Debug, Default)]
pub struct Receipts {
    all: VecMap<OrderedMap<Receipt>>,
    suspects: u64,
    restored: Option<Restored>,
    offered: u64,
}

impl Receipts {
    /// One entity's.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Receipt> {
        self.all.get(key.entity)?.get(key.id)
    }

    /// Where the server may have forgotten what it had acknowledged of an entity.
    #[must_use]
    pub fn suspect(&self, key: &Key) -> Option<&Receipt> {
        if self.suspects == 0 {
            return None;
        }
        self.get(key).filter(|receipt| receipt.suspect)
    }

    /// Whether the server may have forgotten anything that is not compared yet.
    #[must_use]
    pub const fn has_suspects(&self) -> bool {
        self.suspects > 0
    }

    /// All that the server may have forgotten.
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

    /// The server was restored, and not all has been pulled afresh.
    #[must_use]
    pub const fn restored(&self) -> Option<Restored> {
        self.restored
    }

    /// How much has been offered again to it.
    #[must_use]
    pub const fn offered(&self) -> u64 {
        self.offered
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.values().map(OrderedMap::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.values().all(OrderedMap::is_empty)
    }

    /// Puts a receipt in the place of the one before.
    pub(super) fn put(&mut self, entity: &str, id: &str, receipt: Receipt) {
        let gains = receipt.suspect;
        let old = self.all.entry(entity).insert(id, receipt);
        self.suspects = self
            .suspects
            .saturating_add(u64::from(gains))
            .saturating_sub(u64::from(old.is_some_and(|old| old.suspect)));
    }

    /// The server has acknowledged an operation.
    pub(super) fn acknowledge(
        &mut self,
        op: &Operation,
        version: u64,
        at: u64,
        field_hashes: &[u64],
    ) {
        let key = Key::new(&op.entity, &op.id);
        let old = self.get(&key);
        let deleted = op.kind == Kind::Delete;
        let lives_on = old.filter(|old| !old.deleted && !deleted && !is_old(old, at));
        let mut all: Vec<u64> = Vec::new();
        for mark in lives_on
            .iter()
            .flat_map(|old| &*old.field_hashes)
            .chain(&op.earlier)
            .chain(field_hashes)
        {
            if !deleted && !all.contains(mark) {
                all.push(*mark);
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
            whole: op.kind == Kind::Create || lives_on.is_some_and(|old| old.whole),
            suspect: false,
            merging: false,
            field_hashes: all.into_iter().skip(excess).collect(),
        };
        self.put(&op.entity, &op.id, receipt);
    }

    /// An operation became a dead letter: what was acknowledged before stays so.
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

    /// The server was restored: what it had acknowledged in the time that counts is in doubt.
    pub(super) fn doubt(&mut self, restored: Restored) {
        // Where it was restored once more meanwhile, versions of two histories are mixed.
        let kept = restored.kept.filter(|_| self.restored.is_none());
        for ids in self.all.iter_mut().map(|(_, ids)| ids) {
            let concerned = |receipt: &Receipt| {
                receipt.version > 0
                    && receipt.at >= restored.since
                    && restored.kept.is_none_or(|kept| receipt.version > kept)
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

    /// What the restored server has of an entity is known now.
    pub(super) fn compared(&mut self, entity: &str, id: &str, version: u64) {
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

    /// What a full pull has not brought, the server does not have.
    pub(super) fn swept(&mut self, entities: Option<&[String]>) {
        let gone: Vec<OwnedKey> = self
            .suspects()
            .filter(|(entity, ..)| {
                entities.is_none_or(|only| only.iter().any(|name| name == entity))
            })
            .map(|(entity, id, _)| Key::new(entity, id).to_owned())
            .collect();
        for key in gone {
            self.compared(&key.entity, &key.id, 0);
        }
    }

    /// So many operations were offered again; `done` where everything has been pulled afresh.
    pub(super) fn count_offers(&mut self, count: u64, done: bool) {
        self.offered = self.offered.saturating_add(count);
        if done {
            self.swept(None);
            self.restored = None;
            self.offered = 0;
        }
    }

    /// What a checkpoint keeps of them: nothing that is too old as of the last cycle.
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

/// Whether a receipt is too old at this time.
#[must_use]
pub const fn is_old(receipt: &Receipt, now: u64) -> bool {
    now.saturating_sub(receipt.at) > KEEP_MS
}

/// Who waits for the end of an operation.
#[derive(Debug)]
pub struct Waiting {
    op_id: Option<String>,
    /// The receipt of before.
    before: Option<(u64, ReceiptOutcome)>,
}

impl Waiting {
    /// Whether there is anything to wait for.
    #[must_use]
    pub const fn is_needed(&self) -> bool {
        self.op_id.is_some()
    }
}

impl Replica {
    /// How the operations of this device ended, by entity.
    #[must_use]
    pub const fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Begins to wait for what is pending of an entity.
    #[must_use]
    pub fn wait_for(&self, key: &Key) -> Waiting {
        Waiting {
            op_id: self.outbox.last(key).map(|op| op.op_id.clone()),
            before: self.settled(key),
        }
    }

    fn settled(&self, key: &Key) -> Option<(u64, ReceiptOutcome)> {
        // One that only notes a conflict under way says of no end.
        self.receipts
            .get(key)
            .filter(|receipt| receipt.at > 0)
            .map(|receipt| (receipt.at, receipt.outcome))
    }

    /// How the operation ended that is waited for; none while it waits.
    ///
    /// # Errors
    /// [`Code::NotFound`] where nothing is known of the entity.
    pub fn ended(
        &self,
        key: &Key,
        waiting: &mut Waiting,
        now: u64,
    ) -> Option<Result<ReceiptOutcome>> {
        if let Some(op_id) = &waiting.op_id {
            // Without a new receipt it was replaced, by the winner of a conflict.
            let replaced = || {
                if self.settled(key) == waiting.before {
                    self.outbox.last(key)
                } else {
                    None
                }
            };
            let carrier = self
                .outbox
                .get(op_id)
                .or_else(|| self.outbox.superseding(op_id))
                .map(|queued| &queued.op)
                .or_else(replaced);
            if let Some(carrier) = carrier {
                waiting.op_id = Some(carrier.op_id.clone());
                return None;
            }
        }
        let known = self
            .receipts
            .get(key)
            .filter(|receipt| !is_old(receipt, now))
            .map(|receipt| receipt.outcome);
        let dead = || {
            self.dead_letters
                .values()
                .any(|letter| letter.op.entity == key.entity && letter.op.id == key.id)
        };
        Some(match known {
            Some(outcome) => Ok(outcome),
            None if dead() => Ok(ReceiptOutcome::Rejected),
            None if self.row(key).is_some() => Ok(ReceiptOutcome::Applied),
            None => Err(not_found(key)),
        })
    }

    /// Whether a reply of this epoch speaks of the history that is here; one without an epoch does.
    #[must_use]
    pub fn is_of(&self, epoch: Option<&str>) -> bool {
        let known = self.facts.epoch.as_deref();
        epoch.is_none() || known.is_none() || known == epoch
    }

    /// Takes the epoch of a reply into its commit, where none is known yet.
    pub fn note_first_epoch(&self, epoch: Option<&str>, commit: &mut Commit) {
        if let (Some(epoch), None, false) = (epoch, &self.facts.epoch, commit.is_empty()) {
            commit.events.push(Event::Epoch {
                epoch: epoch.to_owned(),
                restored: None,
            });
        }
    }

    /// Nothing is to be pushed: the server was restored, and what is here was made against versions
    /// of another history, until a pull has begun the new one.
    #[must_use]
    pub fn awaits_pull(&self) -> bool {
        self.receipts.restored.is_some() && !self.cursors.values().any(|state| state.reached_end)
    }
}
