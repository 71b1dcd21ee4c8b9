//! Sort keys that are found by their place and by the entity's identity.

use crate::query::sort_key::{SortKey, push_identity};
use crate::query::sorted::{By, SortedKeys};

/// Keys of entities, each at most once.
#[derive(Debug)]
pub(super) struct KeySet {
    places: SortedKeys,
    /// The same keys by identity, unless that is all that they are in order of.
    identities: Option<SortedKeys>,
    is_descending: bool,
    memory: usize,
}

impl KeySet {
    /// Returns a set without keys. The keys to come have nothing but an identity, or that in
    /// descending order.
    pub(super) fn new(is_by_identity: bool, is_descending: bool) -> Self {
        Self {
            places: SortedKeys::new(By::Place),
            identities: (!is_by_identity).then(|| SortedKeys::new(By::Identity)),
            is_descending,
            memory: 0,
        }
    }

    /// Returns the keys in order.
    pub(super) const fn places(&self) -> &SortedKeys {
        &self.places
    }

    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// Returns bytes to look an entity up by.
    pub(super) fn probe(&self, id: &str, space: Option<&str>) -> Vec<u8> {
        let mut probe = Vec::with_capacity(id.len().saturating_add(40));
        push_identity(&mut probe, id, space, self.is_descending);
        probe
    }

    /// Returns the key of the entity that a probe or a key is of.
    pub(super) fn get(&self, probe: &[u8]) -> Option<&SortKey> {
        self.identities.as_ref().unwrap_or(&self.places).get(probe)
    }

    /// Inserts the key of an entity that has none here.
    pub(super) fn insert(&mut self, key: SortKey) {
        self.memory = self.memory.saturating_add(key.cost());
        if let Some(identities) = &mut self.identities {
            identities.insert(key.clone());
        }
        self.places.insert(key);
    }

    /// Removes the key of the entity that a probe or a key is of.
    pub(super) fn remove(&mut self, probe: &[u8]) -> Option<SortKey> {
        let key = match &mut self.identities {
            Some(identities) => {
                let key = identities.remove(probe)?;
                self.places.remove(key.bytes());
                key
            }
            None => self.places.remove(probe)?,
        };
        self.memory = self.memory.saturating_sub(key.cost());
        Some(key)
    }

    /// Removes the last key.
    pub(super) fn pop(&mut self) {
        if let Some(last) = self.places.last().cloned() {
            self.remove(last.bytes());
        }
    }
}
