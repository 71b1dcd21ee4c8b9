//! The outbox: operations without a verdict, in the order in which they were queued.

use std::rc::Rc;

use crate::model::entity::Key;
use crate::model::error::ErrorJson;
use crate::model::operation::{Operation, OperationKind};
use crate::model::table::tables;
use crate::state::outbox::slots::{EntityIndex, SlotQueue};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

pub mod deliveries;
pub mod order;
mod slots;

/// Whether an operation may have reached the remote, as far as this instance knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SentState {
    /// No tab can have sent it.
    Never,
    /// Another tab may have sent it: it was pending while that one might push. What is coalesced
    /// into it names it, so that a late answer still fits.
    Elsewhere,
    /// It was sent without an answer, or read from the log, which does not say. Nothing is coalesced
    /// into it.
    Maybe,
}

/// A queued operation, and this instance's knowledge about its delivery.
#[derive(Debug, Clone)]
pub struct Queued {
    pub op: Operation,
    /// The operation is part of a running push.
    pub in_flight: bool,
    pub sent: SentState,
    /// The parked conflict that must be decided first.
    pub blocked_by: Option<String>,
    /// Start and end of its backoff after the verdict "retry", in milliseconds since 1970.
    pub rest: (u64, u64),
    /// The error of this instance's last attempt to send it.
    pub last_error: Option<Rc<ErrorJson>>,
    /// The remote failed on it while it took others: it is sent alone, after them.
    pub fails_alone: bool,
}

/// The largest correction of the clock, in milliseconds, that keeps backoffs valid. If the clock
/// was set back further, times noted earlier mean nothing.
const CORRECTION_MS: u64 = 60_000;

impl Queued {
    /// Returns false if no tab can have sent it.
    #[must_use]
    pub const fn may_be_sent(&self) -> bool {
        !matches!(self.sent, SentState::Never) || self.in_flight
    }

    /// Returns the end of the backoff while it lasts.
    #[must_use]
    pub fn rests_until(&self, now: u64) -> Option<u64> {
        let (from, until) = self.rest;
        (now < until && now.saturating_add(CORRECTION_MS) >= from).then_some(until)
    }
}

/// The pending operations.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: SlotQueue,
    /// Slots by operation id.
    slots: OrderedMap<u64>,
    by_entity: EntityIndex,
    /// By the entities that operations link to.
    linked: EntityIndex,
    bytes: u64,
    /// This instance was the last to write facts of a cycle. Every tab does so before it pushes,
    /// so until another one does, no other sends what is queued.
    alone: bool,
}

impl Outbox {
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The entity types that have pending operations.
    pub fn entities(&self) -> impl Iterator<Item = &str> {
        self.by_entity.0.keys()
    }

    /// Pending operations by table.
    #[must_use]
    pub const fn index(&self) -> &VecMap<OrderedMap<Vec<u64>>> {
        &self.by_entity.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The bytes of all pending bodies.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All pending operations, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.queue.iter()
    }

    /// Counts the pending operations of one entity type, in all spaces.
    #[must_use]
    pub fn count_of(&self, entity: &str) -> u64 {
        let mut count = 0_u64;
        for (table, ids) in tables(&self.by_entity.0, entity) {
            for slot in ids.values().flatten() {
                // A move is in two tables, and is counted where it takes the row from.
                let queued = self.queue.get(*slot);
                let counts =
                    queued.is_none_or(|queued| queued.op.to.is_none() || queued.op.entity == table);
                count = count.saturating_add(u64::from(counts));
            }
        }
        count
    }

    #[must_use]
    pub fn get(&self, op_id: &str) -> Option<&Queued> {
        self.queue.get(*self.slots.get(op_id)?)
    }

    /// Returns the operation into which another one was coalesced.
    #[must_use]
    pub fn superseding(&self, op_id: &str) -> Option<&Queued> {
        self.queue
            .iter()
            .find(|queued| queued.op.supersedes.iter().any(|old| old == op_id))
    }

    /// The operations of one entity, oldest first. A move is one of both its tables.
    pub fn chain(&self, key: &Key) -> impl DoubleEndedIterator<Item = &Queued> {
        self.by_entity
            .of(key.entity, key.id)
            .iter()
            .filter_map(|slot| self.queue.get(*slot))
    }

    /// An operation and those behind it on its row, also where a move takes it. Behind a move away
    /// from a table, and from a move into it on, its operations are those of another row.
    #[must_use]
    pub fn onward<'a>(&'a self, first: &'a Queued) -> Vec<&'a Queued> {
        let mut chain = vec![first];
        let mut last = first;
        loop {
            let table = last.op.to.as_deref().unwrap_or(&last.op.entity);
            let key = Key::new(table, &first.op.id);
            let mut behind =
                (self.chain(&key)).skip_while(|queued| queued.op.op_id != last.op.op_id);
            match behind.nth(1).filter(|next| next.op.entity == table) {
                Some(next) => last = next,
                None => return chain,
            }
            chain.push(last);
        }
    }

    /// The last write of an entity, which is what readers see.
    #[must_use]
    pub fn last(&self, key: &Key) -> Option<&Operation> {
        self.chain(key).next_back().map(|queued| &queued.op)
    }

    /// Returns the last operation of an entity, and whether the next write may be coalesced into
    /// it. It may not if the remote may have the operation. A parked operation was answered with a
    /// conflict, so the remote does not have it.
    ///
    /// `exactly` is for summed fields, whose result depends on which operations were sent. An
    /// operation is then certainly unsent only if it is behind another one of its entity, because
    /// another tab may be sending the first.
    #[must_use]
    pub fn before(&self, key: &Key, exactly: bool) -> Option<(Operation, bool)> {
        let mut chain = self.chain(key);
        let last = chain.next_back()?;
        let unsent = if exactly {
            chain.next().is_some()
        } else {
            !last.in_flight && last.sent < SentState::Maybe
        };
        Some((last.op.clone(), unsent || last.blocked_by.is_some()))
    }

    /// Ids with pending operations in order, those greater than `after`.
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

    /// Adds an operation: in the slot of the first one that it replaces, or at the end. The caller
    /// blocks it if a conflict of its entity is parked.
    pub fn queue(&mut self, op: Operation, replaces: &[String], is_read: bool) {
        let (mut slot, mut before) = (None, None);
        let mut sent = match is_read {
            true => SentState::Maybe,
            false => self.not_here(),
        };
        // An id that is queued already names the same write, so it is queued only once.
        for old in replaces.iter().chain([&op.op_id]) {
            if let Some((at, queued)) = self.take(old) {
                slot = Some(slot.map_or(at, |first: u64| first.min(at)));
                let is_same = queued.op.op_id == op.op_id;
                if is_same || queued.sent == SentState::Elsewhere {
                    sent = sent.max(queued.sent);
                }
                before = Some(queued).filter(|_| is_same);
            }
        }
        let slot = slot.unwrap_or_else(|| self.queue.end());
        self.bytes = self.bytes.saturating_add(op.bytes());
        self.slots.insert(&op.op_id, slot);
        for table in op.tables() {
            self.by_entity.insert(table, &op.id, slot);
        }
        for link in &op.links {
            self.linked.insert(&link.key.entity, &link.key.id, slot);
        }
        // The same operation again keeps what is known about its delivery.
        let queued = match before {
            Some(before) => Queued {
                op,
                sent,
                blocked_by: None,
                ..before
            },
            None => Queued {
                op,
                in_flight: false,
                sent,
                blocked_by: None,
                rest: (0, 0),
                last_error: None,
                fails_alone: false,
            },
        };
        self.queue.put(slot, queued);
    }

    /// Removes an operation.
    pub fn remove(&mut self, op_id: &str) -> Option<Operation> {
        self.take(op_id).map(|(_, queued)| queued.op)
    }

    fn take(&mut self, op_id: &str) -> Option<(u64, Queued)> {
        let slot = self.slots.remove(op_id)?;
        let queued = self.queue.take(slot)?;
        self.bytes = self.bytes.saturating_sub(queued.op.bytes());
        for table in queued.op.tables() {
            self.by_entity.remove(table, &queued.op.id, slot);
        }
        for link in &queued.op.links {
            self.linked.remove(&link.key.entity, &link.key.id, slot);
        }
        Some((slot, queued))
    }

    /// Drops about so many operations, without updating anything else. Returns how many.
    pub(in crate::state) fn shed(&mut self, most: usize) -> usize {
        self.slots.shed(most);
        self.queue.shed(most)
    }

    /// Takes over what an older state of this instance knew about deliveries.
    pub fn inherit(&mut self, older: &Self) {
        let least = self.not_here();
        for queued in self.queue.iter_mut() {
            if let Some(old) = older.get(&queued.op.op_id) {
                queued.sent = old.sent.max(least);
                queued.in_flight = old.in_flight;
                queued.rest = old.rest;
                queued.last_error.clone_from(&old.last_error);
                queued.fails_alone = old.fails_alone;
                queued.op.attempts = queued.op.attempts.max(old.op.attempts);
            }
        }
    }

    /// Forgets base versions beyond `kept`: they belong to a history that the server has lost.
    pub fn forget_bases(&mut self, kept: &dyn Fn(&str) -> u64) {
        for queued in self.queue.iter_mut() {
            let kept = kept(&queued.op.entity);
            queued.op.forget_base(kept);
        }
    }

    /// Gives an operation another base version.
    pub fn rebase(&mut self, op_id: &str, version: Option<u64>) {
        self.with(op_id, |queued| {
            queued.op.base_version = version;
            // An edit of a row that is gone creates it; a create of a row that exists edits it. The
            // fields of a patch stay known, in case somebody else has created the row first.
            queued.op.kind = match (queued.op.kind, version) {
                (OperationKind::Create, Some(_)) => OperationKind::Update,
                (OperationKind::Update | OperationKind::Patch, None) => OperationKind::Create,
                (kind, _) => kind,
            };
        });
    }

    /// Returns true if no other tab sends what is queued now.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// Notes that this instance has written facts of a cycle, or another one.
    pub fn take_turn(&mut self, own: bool) {
        self.alone = own;
        for queued in self.queue.iter_mut().filter(|_| !own) {
            queued.sent = queued.sent.max(SentState::Elsewhere);
        }
    }

    /// What becomes of an operation that this instance has not sent.
    const fn not_here(&self) -> SentState {
        match self.alone {
            true => SentState::Never,
            false => SentState::Elsewhere,
        }
    }

    /// Marks operations as being sent.
    pub fn mark_sending(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| {
                queued.in_flight = true;
                queued.sent = SentState::Maybe;
                queued.op.attempts = queued.op.attempts.saturating_add(1);
            });
        }
    }

    /// Takes back [`Self::mark_sending`]: the operations had no effect, and `before` is how some of
    /// them were.
    pub fn mark_untaken(&mut self, op_ids: &[String], before: &[(String, SentState)]) {
        let least = self.not_here();
        for op_id in op_ids {
            let before = before.iter().find(|(other, _)| other == op_id);
            self.with(op_id, |queued| {
                if let Some((_, sent)) = before {
                    queued.sent = least.max(*sent);
                }
                queued.op.attempts = queued.op.attempts.saturating_sub(1);
            });
        }
    }

    /// Marks operations as sent without waiting for the answer, as on page unload.
    pub fn mark_left(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.sent = SentState::Maybe);
        }
    }

    /// Marks operations as no longer part of a push.
    pub fn mark_returned(&mut self, op_ids: &[String]) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.in_flight = false);
        }
    }

    /// Starts the backoff of an operation.
    pub fn rest(&mut self, op_id: &str, times: (u64, u64), error: Rc<ErrorJson>) {
        self.with(op_id, |queued| {
            queued.rest = times;
            queued.last_error = Some(error);
        });
    }

    /// Marks an operation as one that the remote fails on.
    pub fn mark_failing(&mut self, op_id: &str) {
        self.with(op_id, |queued| queued.fails_alone = true);
    }

    /// Ends the backoff of the operations that the remote fails on. Those that it has postponed go
    /// on waiting: that is its own word about them.
    pub fn wake(&mut self) {
        for queued in self.queue.iter_mut().filter(|queued| queued.fails_alone) {
            queued.rest = (0, 0);
        }
    }

    /// Marks an operation as having had no effect on the remote.
    pub fn mark_unsent(&mut self, op_id: &str) {
        let sent = self.not_here();
        self.with(op_id, |queued| queued.sent = sent);
    }

    /// Notes the error of a push that failed as a whole.
    pub fn mark_failed(&mut self, op_ids: &[String], error: &Rc<ErrorJson>) {
        for op_id in op_ids {
            self.with(op_id, |queued| queued.last_error = Some(Rc::clone(error)));
        }
    }

    /// Blocks every operation of an entity by a conflict, or unblocks them (`None`).
    pub fn block(&mut self, key: &Key, by: Option<&str>) {
        for slot in self.by_entity.of(key.entity, key.id) {
            if let Some(queued) = self.queue.get_mut(*slot) {
                queued.blocked_by = by.map(str::to_owned);
            }
        }
    }

    fn with(&mut self, op_id: &str, change: impl FnOnce(&mut Queued)) {
        if let Some(queued) = self
            .slots
            .get(op_id)
            .copied()
            .and_then(|slot| self.queue.get_mut(slot))
        {
            change(queued);
        }
    }

    /// Returns true if a verdict on this operation could still change anything here.
    #[must_use]
    pub fn knows(&self, op_id: &str) -> bool {
        self.get(op_id).is_some() || self.superseding(op_id).is_some()
    }
}
