//! Whether what readers see of an entity has reached the server.

use crate::model::entity::Key;
use crate::state::replica::Replica;
use crate::util::collections::sort::sort;

/// How far an entity's writes have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntitySyncState {
    /// Nothing waits.
    #[default]
    Synced,
    /// An operation waits in the outbox.
    Pending,
    /// A conflict waits for the app's decision.
    Conflict,
    /// An operation has become a dead letter.
    Rejected,
}

impl EntitySyncState {
    /// Each value with its name for apps.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("synced", Self::Synced),
        ("pending", Self::Pending),
        ("conflict", Self::Conflict),
        ("rejected", Self::Rejected),
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names
            .find(|(_, state)| *state == self)
            .map_or("synced", |(name, _)| name)
    }
}

/// Looks the states of many entities up.
#[derive(Debug)]
pub struct SyncStates<'a> {
    replica: &'a Replica,
    conflicts: Vec<Key<'a>>,
    letters: Vec<Key<'a>>,
}

impl<'a> SyncStates<'a> {
    #[must_use]
    pub fn of(replica: &'a Replica) -> Self {
        let parked = replica.conflicts.values();
        let mut conflicts: Vec<Key<'_>> = parked
            .map(|conflict| Key::new(&conflict.entity, &conflict.entity_id))
            .collect();
        let letters = replica.dead_letters.values();
        let mut letters: Vec<Key<'_>> = letters
            .map(|letter| Key::new(&letter.op.entity, &letter.op.id))
            .collect();
        sort(&mut conflicts);
        sort(&mut letters);
        Self {
            replica,
            conflicts,
            letters,
        }
    }

    /// Returns the state of an entity: of several that hold, the one that asks most of the app.
    #[must_use]
    pub fn get(&self, key: &Key<'_>) -> EntitySyncState {
        if self.conflicts.binary_search(key).is_ok() {
            EntitySyncState::Conflict
        } else if self.letters.binary_search(key).is_ok() {
            EntitySyncState::Rejected
        } else if self.replica.outbox.last(key).is_some() {
            EntitySyncState::Pending
        } else {
            EntitySyncState::Synced
        }
    }

    /// Iterates over the entities that are in conflict or rejected.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = &Key<'a>> {
        self.conflicts.iter().chain(&self.letters)
    }
}
