//! The order of the outbox, and its index by entity.

use std::collections::VecDeque;

use crate::state::outbox::Queued;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// Slots of operations by entity type and id, ascending.
#[derive(Debug, Default)]
pub struct EntityIndex(pub VecMap<OrderedMap<Vec<u64>>>);

impl EntityIndex {
    pub fn of(&self, entity: &str, id: &str) -> &[u64] {
        self.0
            .get(entity)
            .and_then(|ids| ids.get(id))
            .map_or(&[], Vec::as_slice)
    }

    pub fn insert(&mut self, entity: &str, id: &str, slot: u64) {
        let ids = self.0.entry(entity);
        match ids.get_mut(id) {
            Some(slots) => {
                if let Err(at) = slots.binary_search(&slot) {
                    slots.insert(at, slot);
                }
            }
            None => drop(ids.insert(id, vec![slot])),
        }
    }

    pub fn remove(&mut self, entity: &str, id: &str, slot: u64) {
        let Some(ids) = self.0.get_mut(entity) else {
            return;
        };
        if let Some(slots) = ids.get_mut(id) {
            slots.retain(|at| *at != slot);
            if slots.is_empty() {
                ids.remove(id);
            }
        }
        if ids.is_empty() {
            self.0.remove(entity);
        }
    }
}

/// Operations by slot. Slot numbers only ascend, so that a slot's index is its distance from the
/// first. An operation that leaves from the middle leaves a gap.
#[derive(Debug, Default)]
pub struct SlotQueue {
    pub first: u64,
    slots: VecDeque<Option<Box<Queued>>>,
}

impl SlotQueue {
    pub fn index(&self, slot: u64) -> Option<usize> {
        usize::try_from(slot.checked_sub(self.first)?).ok()
    }

    pub fn get(&self, slot: u64) -> Option<&Queued> {
        self.slots.get(self.index(slot)?)?.as_deref()
    }

    pub fn get_mut(&mut self, slot: u64) -> Option<&mut Queued> {
        let index = self.index(slot)?;
        self.slots.get_mut(index)?.as_deref_mut()
    }

    /// The slot after the last.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.slots.len() as u64)
    }

    /// Puts an operation into a slot that was once used, or at the end.
    pub fn put(&mut self, slot: u64, queued: Queued) {
        while slot < self.first {
            self.slots.push_front(None);
            self.first = self.first.saturating_sub(1);
        }
        let index = self.index(slot);
        match index.and_then(|index| self.slots.get_mut(index)) {
            Some(free) => *free = Some(Box::new(queued)),
            None => self.slots.push_back(Some(Box::new(queued))),
        }
    }

    /// Removes an operation, and gaps at the front with it.
    pub fn take(&mut self, slot: u64) -> Option<Queued> {
        let index = self.index(slot)?;
        let taken = self.slots.get_mut(index)?.take();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first = self.first.saturating_add(1);
        }
        taken.map(|queued| *queued)
    }

    /// Drops the last ones, at most so many. Returns how many.
    pub fn shed(&mut self, most: usize) -> usize {
        let less = self.slots.len().saturating_sub(most);
        let shed = self.slots.len().saturating_sub(less);
        self.slots.truncate(less);
        shed
    }

    /// All operations, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.slots.iter().flatten().map(|queued| &**queued)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Queued> {
        self.slots.iter_mut().flatten().map(|queued| &mut **queued)
    }
}
