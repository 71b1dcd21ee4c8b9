//! Which entities a commit touches. Noted only while a listener exists, so that a pull without one
//! pays nothing.

use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// How an entity changed, as readers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowChange {
    Created,
    Updated,
    Deleted,
    /// It was invisible before and after: a tombstone changed.
    Unseen,
    /// Only how far its writes have come.
    SyncState,
}

impl RowChange {
    /// The change between two visibilities of an entity.
    #[must_use]
    pub const fn between(was_visible: bool, is_visible: bool) -> Self {
        match (was_visible, is_visible) {
            (false, true) => Self::Created,
            (true, true) => Self::Updated,
            (true, false) => Self::Deleted,
            (false, false) => Self::Unseen,
        }
    }
}

/// The changed entities of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub entity: String,
    /// Ids in order, each once.
    pub ids: Vec<(String, RowChange)>,
}

/// Whether each touched entity was visible before, by entity type and id.
pub type Visibility = VecMap<OrderedMap<bool>>;

/// The entities touched since they were last taken.
#[derive(Debug, Default)]
pub struct Touched {
    on: bool,
    before: Visibility,
    /// Entities whose sync state may have changed.
    states: VecMap<OrderedMap<()>>,
}

impl Touched {
    /// Starts afresh, noting entities or not.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self {
            on,
            ..Self::default()
        }
    }

    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Returns true if this entity is still to be noted.
    #[must_use]
    pub fn wants(&self, entity: &str, id: &str) -> bool {
        self.on
            && self
                .before
                .get(entity)
                .is_none_or(|ids| ids.get(id).is_none())
    }

    pub fn note(&mut self, entity: &str, id: &str, was_visible: bool) {
        self.before.entry(entity).insert(id, was_visible);
    }

    pub fn note_state(&mut self, entity: &str, id: &str) {
        if self.on {
            self.states.entry(entity).insert(id, ());
        }
    }

    pub fn take_states(&mut self) -> VecMap<OrderedMap<()>> {
        std::mem::take(&mut self.states)
    }

    pub fn take(&mut self) -> Visibility {
        std::mem::take(&mut self.before)
    }
}
