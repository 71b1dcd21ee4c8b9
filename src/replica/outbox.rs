//! The outbox: operations that the remote has not settled, in the order in which they were queued.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::entity::Key;
use crate::operation::{Kind, Operation};
use crate::small::Small;

/// One operation's place and what this instance knows of its journey.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The operation.
    pub op: Operation,
    /// Being sent right now.
    pub in_flight: bool,
    /// May have reached the remote: sent before without an answer, or read from the log, where
    /// nobody can know. Nothing is coalesced into it, so that the answer still fits.
    pub maybe_sent: bool,
    /// Waits for the decision of this conflict.
    pub blocked_by: Option<String>,
    /// Not before this time, in milliseconds since 1970: the remote said "retry".
    pub not_before: u64,
}

/// The operations that wait.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: BTreeMap<u64, Queued>,
    places: BTreeMap<Box<str>, u64>,
    by_entity: Small<BTreeMap<Box<str>, Vec<u64>>>,
    next: u64,
    bytes: u64,
}

impl Outbox {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of the bodies that wait.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.queue.values()
    }

    /// How many wait for one entity type.
    #[must_use]
    pub fn count_of(&self, entity: &str) -> u64 {
        self.by_entity.get(entity).map_or(0, |ids| ids.values().fold(0, |n, places| n.saturating_add(places.len() as u64)))
    }

    /// One operation by its id.
    #[must_use]
    pub fn get(&self, op_id: &str) -> Option<&Queued> {
        self.queue.get(self.places.get(op_id)?)
    }

    /// The operation that carries the effect of one that was coalesced away.
    #[must_use]
    pub fn heir_of(&self, op_id: &str) -> Option<&Queued> {
        self.queue.values().find(|queued| queued.op.supersedes.iter().any(|old| old == op_id))
    }

    /// The operations of one entity, oldest first.
    pub fn chain(&self, key: &Key) -> impl DoubleEndedIterator<Item = &Queued> {
        self.by_entity
            .get(&key.entity)
            .and_then(|ids| ids.get(key.id.as_str()))
            .into_iter()
            .flatten()
            .filter_map(|place| self.queue.get(place))
    }

    /// The last write of an entity: what a reader sees.
    #[must_use]
    pub fn last(&self, key: &Key) -> Option<&Operation> {
        self.chain(key).next_back().map(|queued| &queued.op)
    }

    /// Ids with pending operations, in order.
    pub fn ids<'a>(&'a self, entity: &str, after: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_entity.get(entity).into_iter().flat_map(move |ids| ids.range::<str, _>((from, Bound::Unbounded))).map(|(id, _)| id.as_ref())
    }

    /// Adds an operation: at the place of the first that it replaces, or at the end.
    pub fn queue(&mut self, op: Operation, replaces: &[String], maybe_sent: bool) {
        let mut place = None;
        let mut blocked_by = None;
        for old in replaces {
            if let Some((at, queued)) = self.take(old) {
                place = Some(place.map_or(at, |first: u64| first.min(at)));
                blocked_by = blocked_by.or(queued.blocked_by);
            }
        }
        let place = place.unwrap_or_else(|| {
            let next = self.next;
            self.next = next.saturating_add(1);
            next
        });
        self.bytes = self.bytes.saturating_add(op.bytes());
        self.places.insert(op.op_id.as_str().into(), place);
        let places = self.by_entity.entry(&op.entity).entry(op.id.as_str().into()).or_default();
        if let Err(at) = places.binary_search(&place) {
            places.insert(at, place);
        }
        self.queue.insert(place, Queued { op, in_flight: false, maybe_sent, blocked_by, not_before: 0 });
    }

    /// Takes an operation out.
    pub fn remove(&mut self, op_id: &str) -> Option<Operation> {
        self.take(op_id).map(|(_, queued)| queued.op)
    }

    fn take(&mut self, op_id: &str) -> Option<(u64, Queued)> {
        let place = self.places.remove(op_id)?;
        let queued = self.queue.remove(&place)?;
        self.bytes = self.bytes.saturating_sub(queued.op.bytes());
        if let Some(ids) = self.by_entity.get_mut(&queued.op.entity) {
            if let Some(places) = ids.get_mut(queued.op.id.as_str()) {
                places.retain(|at| *at != place);
                if places.is_empty() {
                    ids.remove(queued.op.id.as_str());
                }
            }
            if ids.is_empty() {
                self.by_entity.remove(&queued.op.entity);
            }
        }
        Some((place, queued))
    }

    /// Takes over what an older state of this instance knew of the operations' journeys.
    pub fn inherit(&mut self, older: &Self) {
        for queued in self.queue.values_mut() {
            if let Some(old) = older.get(&queued.op.op_id) {
                queued.in_flight = old.in_flight;
                queued.maybe_sent = old.maybe_sent;
                queued.not_before = old.not_before;
            }
        }
    }

    /// Moves an operation onto another version of its row.
    pub fn rebase(&mut self, op_id: &str, version: Option<u64>) {
        self.with(op_id, |queued| {
            queued.op.base_version = version;
            // An edit of a row that is gone makes it anew; a create of one that is there edits it.
            queued.op.kind = match (queued.op.kind, version) {
                (Kind::Create, Some(_)) => Kind::Update,
                (Kind::Update | Kind::Patch, None) => Kind::Create,
                (kind, _) => kind,
            };
        });
    }

    /// Marks operations as being sent.
    pub fn mark_sending(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| {
                queued.in_flight = true;
                queued.maybe_sent = true;
                queued.op.attempts = queued.op.attempts.saturating_add(1);
            });
        }
    }

    /// Marks operations as not being sent any more.
    pub fn mark_returned(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.in_flight = false);
        }
    }

    /// The remote asked to leave an operation alone until then; it has no effect there.
    pub fn postpone(&mut self, op_id: &str, not_before: u64) {
        self.with(op_id, |queued| {
            queued.not_before = not_before;
            queued.maybe_sent = false;
        });
    }

    /// Blocks or frees every operation of an entity.
    pub fn block(&mut self, key: &Key, by: Option<&str>) {
        let places: Vec<u64> =
            self.by_entity.get(&key.entity).and_then(|ids| ids.get(key.id.as_str())).into_iter().flatten().copied().collect();
        for place in places {
            if let Some(queued) = self.queue.get_mut(&place) {
                queued.blocked_by = by.map(str::to_owned);
            }
        }
    }

    fn with(&mut self, op_id: &str, change: impl FnOnce(&mut Queued)) {
        if let Some(queued) = self.places.get(op_id).and_then(|place| self.queue.get_mut(place)) {
            change(queued);
        }
    }
}
