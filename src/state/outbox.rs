//! The outbox: operations that the remote has not settled, in the order in which they were queued.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::model::entity::Key;
use crate::model::error::ErrorJson;
use crate::model::operation::{Operation, OperationKind};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

pub mod order;

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
    /// From when until when it is left alone, in milliseconds since 1970: the remote said "retry".
    pub rest: (u64, u64),
    /// What the last attempt to send it said, as far as this instance made it.
    pub last_error: Option<Rc<ErrorJson>>,
}

/// A clock is put right by less than this, in milliseconds; set back by more, it says nothing of
/// what it said before.
const CORRECTION_MS: u64 = 60_000;

impl Queued {
    /// Until when it is left alone, where it is.
    #[must_use]
    pub fn rests_until(&self, now: u64) -> Option<u64> {
        let (from, until) = self.rest;
        (now < until && now.saturating_add(CORRECTION_MS) >= from).then_some(until)
    }
}

/// The operations that wait.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Queue,
    places: OrderedMap<u64>,
    by_entity: Places,
    /// By the entities that operations have to do with.
    linked: Places,
    bytes: u64,
}

/// Places of operations by entity type and id, ascending.
#[derive(Debug, Default)]
struct Places(VecMap<OrderedMap<Vec<u64>>>);

impl Places {
    fn of(&self, entity: &str, id: &str) -> &[u64] {
        self.0
            .get(entity)
            .and_then(|ids| ids.get(id))
            .map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, entity: &str, id: &str, place: u64) {
        let ids = self.0.entry(entity);
        match ids.get_mut(id) {
            Some(places) => {
                if let Err(at) = places.binary_search(&place) {
                    places.insert(at, place);
                }
            }
            None => drop(ids.insert(id, vec![place])),
        }
    }

    fn remove(&mut self, entity: &str, id: &str, place: u64) {
        let Some(ids) = self.0.get_mut(entity) else {
            return;
        };
        if let Some(places) = ids.get_mut(id) {
            places.retain(|at| *at != place);
            if places.is_empty() {
                ids.remove(id);
            }
        }
        if ids.is_empty() {
            self.0.remove(entity);
        }
    }
}

/// Operations by place. Places only ascend, so that a place less the first is an index; who has
/// left from the middle leaves a gap behind.
#[derive(Debug, Default)]
struct Queue {
    first: u64,
    slots: VecDeque<Option<Box<Queued>>>,
}

impl Queue {
    fn index(&self, place: u64) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }

    fn get(&self, place: u64) -> Option<&Queued> {
        self.slots.get(self.index(place)?)?.as_deref()
    }

    fn get_mut(&mut self, place: u64) -> Option<&mut Queued> {
        let index = self.index(place)?;
        self.slots.get_mut(index)?.as_deref_mut()
    }

    /// The place after the last.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.slots.len() as u64)
    }

    /// Puts an operation at a place that was once taken, or at the end.
    fn put(&mut self, place: u64, queued: Queued) {
        while place < self.first {
            self.slots.push_front(None);
            self.first = self.first.saturating_sub(1);
        }
        let index = self.index(place);
        match index.and_then(|index| self.slots.get_mut(index)) {
            Some(slot) => *slot = Some(Box::new(queued)),
            None => self.slots.push_back(Some(Box::new(queued))),
        }
    }

    /// Takes an operation out, and with it the gaps at the front.
    fn take(&mut self, place: u64) -> Option<Queued> {
        let index = self.index(place)?;
        let taken = self.slots.get_mut(index)?.take();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first = self.first.saturating_add(1);
        }
        taken.map(|queued| *queued)
    }

    fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.slots.iter().flatten().map(|queued| &**queued)
    }
}

impl Outbox {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The entity types that have operations.
    pub fn entities(&self) -> impl Iterator<Item = &str> {
        self.by_entity.0.keys()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of the bodies that wait.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.queue.iter()
    }

    /// How many wait for one entity type.
    #[must_use]
    pub fn count_of(&self, entity: &str) -> u64 {
        self.by_entity.0.get(entity).map_or(0, |ids| {
            ids.values()
                .fold(0, |n, places| n.saturating_add(places.len() as u64))
        })
    }

    /// One operation by its id.
    #[must_use]
    pub fn get(&self, op_id: &str) -> Option<&Queued> {
        self.queue.get(*self.places.get(op_id)?)
    }

    /// The operation that carries the effect of one that was coalesced away.
    #[must_use]
    pub fn superseding(&self, op_id: &str) -> Option<&Queued> {
        self.queue
            .iter()
            .find(|queued| queued.op.supersedes.iter().any(|old| old == op_id))
    }

    /// The operations of one entity, oldest first.
    pub fn chain(&self, key: &Key) -> impl DoubleEndedIterator<Item = &Queued> {
        self.by_entity
            .of(key.entity, key.id)
            .iter()
            .filter_map(|place| self.queue.get(*place))
    }

    /// The last write of an entity: what a reader sees.
    #[must_use]
    pub fn last(&self, key: &Key) -> Option<&Operation> {
        self.chain(key).next_back().map(|queued| &queued.op)
    }

    /// The last operation of an entity, and whether the next write may be coalesced into it: not
    /// where it may have reached the remote. A parked one was answered with a conflict, so it has
    /// not.
    ///
    /// Another tab may be sending the first of an entity, and no other. `exactly`: what is summed
    /// must know what was in it.
    #[must_use]
    pub fn before(&self, key: &Key, exactly: bool) -> Option<(Operation, bool)> {
        let mut chain = self.chain(key);
        let last = chain.next_back()?;
        let unsent = if exactly {
            chain.next().is_some()
        } else {
            !last.in_flight && !last.maybe_sent
        };
        Some((last.op.clone(), unsent || last.blocked_by.is_some()))
    }

    /// Ids with pending operations, in order.
    pub fn ids<'a>(
        &'a self,
        entity: &str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        self.by_entity
            .0
            .get(entity)
            .into_iter()
            .flat_map(move |ids| ids.after(after))
            .map(|(id, _)| id)
    }

    /// Adds an operation: at the place of the first that it replaces, or at the end. Whoever knows
    /// of a conflict of its entity blocks it.
    pub fn queue(&mut self, op: Operation, replaces: &[String], maybe_sent: bool) {
        let (mut place, mut before) = (None, None);
        // An id that is here already names the same write: it is queued once, whatever a log says.
        for old in replaces.iter().chain([&op.op_id]) {
            if let Some((at, queued)) = self.take(old) {
                place = Some(place.map_or(at, |first: u64| first.min(at)));
                before = Some(queued).filter(|queued| queued.op.op_id == op.op_id);
            }
        }
        let place = place.unwrap_or_else(|| self.queue.end());
        self.bytes = self.bytes.saturating_add(op.bytes());
        self.places.insert(&op.op_id, place);
        self.by_entity.insert(&op.entity, &op.id, place);
        for link in &op.links {
            self.linked.insert(&link.key.entity, &link.key.id, place);
        }
        // Its journey goes on.
        let queued = match before {
            Some(before) => Queued {
                op,
                maybe_sent: maybe_sent || before.maybe_sent,
                blocked_by: None,
                ..before
            },
            None => Queued {
                op,
                in_flight: false,
                maybe_sent,
                blocked_by: None,
                rest: (0, 0),
                last_error: None,
            },
        };
        self.queue.put(place, queued);
    }

    /// Takes an operation out.
    pub fn remove(&mut self, op_id: &str) -> Option<Operation> {
        self.take(op_id).map(|(_, queued)| queued.op)
    }

    fn take(&mut self, op_id: &str) -> Option<(u64, Queued)> {
        let place = self.places.remove(op_id)?;
        let queued = self.queue.take(place)?;
        self.bytes = self.bytes.saturating_sub(queued.op.bytes());
        self.by_entity
            .remove(&queued.op.entity, &queued.op.id, place);
        for link in &queued.op.links {
            self.linked.remove(&link.key.entity, &link.key.id, place);
        }
        Some((place, queued))
    }

    /// Takes over what an older state of this instance knew of the operations' journeys.
    pub fn inherit(&mut self, older: &Self) {
        for queued in self.queue.slots.iter_mut().flatten() {
            if let Some(old) = older.get(&queued.op.op_id) {
                queued.in_flight = old.in_flight;
                queued.maybe_sent = old.maybe_sent;
                queued.rest = old.rest;
                queued.last_error.clone_from(&old.last_error);
                queued.op.attempts = queued.op.attempts.max(old.op.attempts);
            }
        }
    }

    /// Bases beyond this version are of a history that is over.
    pub fn forget_bases(&mut self, kept: u64) {
        for queued in self.queue.slots.iter_mut().flatten() {
            queued.op.forget_base(kept);
        }
    }

    /// Moves an operation onto another version of its row.
    pub fn rebase(&mut self, op_id: &str, version: Option<u64>) {
        self.with(op_id, |queued| {
            queued.op.base_version = version;
            // An edit of a row that is gone makes it anew; a create of one that is there edits it.
            queued.op.kind = match (queued.op.kind, version) {
                (OperationKind::Create, Some(_)) => OperationKind::Update,
                (OperationKind::Update | OperationKind::Patch, None) => OperationKind::Create,
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

    /// Marks operations as sent by somebody who does not wait for the answer.
    pub fn mark_left(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.maybe_sent = true);
        }
    }

    /// Marks operations as not being sent any more.
    pub fn mark_returned(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.in_flight = false);
        }
    }

    /// An operation is left alone from one time to another.
    pub fn rest(&mut self, op_id: &str, times: (u64, u64), said: Rc<ErrorJson>) {
        self.with(op_id, |queued| {
            queued.rest = times;
            queued.last_error = Some(said);
        });
    }

    /// The remote says that an operation has had no effect there.
    pub fn mark_unsent(&mut self, op_id: &str) {
        self.with(op_id, |queued| queued.maybe_sent = false);
    }

    /// An attempt to send operations has failed as a whole.
    pub fn mark_failed(&mut self, op_ids: &[String], said: &Rc<ErrorJson>) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.last_error = Some(Rc::clone(said)));
        }
    }

    /// Blocks or frees every operation of an entity.
    pub fn block(&mut self, key: &Key, by: Option<&str>) {
        for place in self.by_entity.of(key.entity, key.id) {
            if let Some(queued) = self.queue.get_mut(*place) {
                queued.blocked_by = by.map(str::to_owned);
            }
        }
    }

    fn with(&mut self, op_id: &str, change: impl FnOnce(&mut Queued)) {
        if let Some(queued) = self
            .places
            .get(op_id)
            .copied()
            .and_then(|place| self.queue.get_mut(place))
        {
            change(queued);
        }
    }
}
