//! The order in which operations are sent: as queued, but never before their dependencies.

use crate::state::outbox::{Outbox, Queued};
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;

/// Returns true if an operation may be sent now, its dependencies aside.
pub type Ready<'a> = &'a dyn Fn(&Queued) -> bool;

impl Outbox {
    /// Returns the next operations to send, at most `limit`: the first of each entity, each after
    /// its dependencies. Operations wait with a dependency that cannot go. If operations depend on
    /// each other in a cycle and nothing else can go, the one that was queued first is sent.
    #[must_use]
    pub fn batch(&self, limit: usize, ready: Ready<'_>) -> Vec<&Queued> {
        let (mut batch, mut taken) = (Vec::new(), SeqMap::<()>::default());
        // Operations that wait for one further back in the queue, by that one's slot.
        let mut later = SeqMap::<Vec<u64>>::default();
        let mut cycle = None;
        for slot in self.queue.first..self.queue.end() {
            let mut again = vec![slot];
            while let Some(slot) = again.pop() {
                if batch.len() >= limit {
                    return batch;
                }
                let Some(queued) = self
                    .queue
                    .get(slot)
                    .filter(|queued| self.is_first(queued, slot) && ready(queued))
                else {
                    continue;
                };
                match self
                    .dependencies(queued)
                    .find(|(slot, _)| taken.get(*slot).is_none())
                {
                    Some((missing, _)) => {
                        cycle = cycle.or(Some(slot));
                        match later.get_mut(missing) {
                            Some(waiting) => waiting.push(slot),
                            None => later.insert(missing, vec![slot]),
                        }
                    }
                    None => {
                        batch.push(queued);
                        taken.insert(slot, ());
                        again.extend(later.remove(slot).into_iter().flatten().rev());
                    }
                }
            }
        }
        if let (true, Some(_)) = (batch.is_empty(), cycle) {
            let mut waiting: Vec<u64> = later.into_iter().flat_map(|(_, slots)| slots).collect();
            sort(&mut waiting);
            let first = waiting.into_iter().filter_map(|slot| self.queue.get(slot));
            batch.extend(
                first
                    .filter(|queued| {
                        self.blocked_reason(queued, &|other| (!ready(other)).then(String::new))
                            .is_none()
                    })
                    .take(1),
            );
        }
        batch
    }

    /// Returns the first reason that `why` gives for any direct or indirect dependency of an
    /// operation; `None` if all of them can be sent before it.
    #[must_use]
    pub fn blocked_reason(
        &self,
        queued: &Queued,
        why: &dyn Fn(&Queued) -> Option<String>,
    ) -> Option<String> {
        let mut seen = SeqMap::<()>::default();
        let mut open: Vec<(u64, &Queued)> = self.ahead(queued).collect();
        while let Some((slot, other)) = open.pop() {
            if seen.get(slot).is_some() || other.op.op_id == queued.op.op_id {
                continue;
            }
            seen.insert(slot, ());
            if let Some(reason) = why(other) {
                return Some(reason);
            }
            open.extend(self.ahead(other));
        }
        None
    }

    /// The direct dependencies of an operation, with their slots.
    pub fn dependencies<'a>(
        &'a self,
        queued: &'a Queued,
    ) -> impl Iterator<Item = (u64, &'a Queued)> {
        let op = &queued.op;
        let named = op
            .links
            .iter()
            .flat_map(|link| self.by_entity.of(&link.key.entity, &link.key.id));
        let naming = self.linked.of(&op.entity, &op.id);
        let found = named
            .chain(naming)
            .filter_map(|slot| Some((*slot, self.queue.get(*slot)?)));
        // An entity that is created again after this operation is not gone for good, so operations
        // that link to it need not be sent first.
        let lives_on = self
            .chain_of(queued)
            .last()
            .is_some_and(|last| last.op.op_id != op.op_id);
        found.filter(move |(_, other)| {
            op.needs(&other.op) || (!lives_on && op.goes_after(&other.op))
        })
    }

    /// The operations of other entities that need this one.
    pub fn dependents<'a>(&'a self, queued: &'a Queued) -> impl Iterator<Item = &'a Queued> {
        let linked = self
            .linked
            .of(&queued.op.entity, &queued.op.id)
            .iter()
            .filter_map(|slot| self.queue.get(*slot));
        linked.filter(|other| other.op.needs(&queued.op))
    }

    /// What must be settled before an operation: its dependencies and the earlier operations of its
    /// entity.
    fn ahead<'a>(&'a self, queued: &'a Queued) -> impl Iterator<Item = (u64, &'a Queued)> {
        let tables = queued.op.tables();
        let earlier = tables.flat_map(|table| {
            let slots = self.by_entity.of(table, &queued.op.id).iter();
            let slots = slots.filter_map(|slot| Some((*slot, self.queue.get(*slot)?)));
            slots.take_while(|(_, other)| other.op.op_id != queued.op.op_id)
        });
        earlier.chain(self.dependencies(queued))
    }

    fn chain_of<'a>(&'a self, queued: &Queued) -> impl Iterator<Item = &'a Queued> {
        self.by_entity
            .of(&queued.op.entity, &queued.op.id)
            .iter()
            .filter_map(|slot| self.queue.get(*slot))
    }

    fn is_first(&self, queued: &Queued, slot: u64) -> bool {
        let mut tables = queued.op.tables();
        tables.all(|table| self.by_entity.of(table, &queued.op.id).first() == Some(&slot))
    }
}
