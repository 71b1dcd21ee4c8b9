//! What folds change in what readers see. Noted only while somebody listens, so that a pull costs
//! nothing more when nobody does.

use crate::log::commit::SegmentWrite;
use crate::model::entity::Key;
use crate::state::local_only::MARK;
use crate::state::replica::{Replica, ViewBody};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::collections::vec_map::VecMap;

/// What became of an entity, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there now, and was not.
    Created,
    /// It is another one now.
    Updated,
    /// It was there.
    Deleted,
    /// It was not there and is not: a tombstone moved.
    Unseen,
}

/// The changed entities of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The entity type.
    pub entity: String,
    /// Ids in order, each once.
    pub ids: Vec<(String, Change)>,
}

/// Which entities were touched since they were last taken, and whether each was there before.
#[derive(Debug, Default)]
pub struct Touched {
    on: bool,
    before: VecMap<OrderedMap<bool>>,
}

impl Replica {
    /// Begins to note changes, or stops.
    pub fn listen(&mut self, on: bool) {
        self.touched = Touched {
            on,
            before: VecMap::default(),
        };
    }

    /// Whether changes are noted.
    #[must_use]
    pub const fn is_listening(&self) -> bool {
        self.touched.on
    }

    /// What has changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        let touched = std::mem::take(&mut self.touched.before);
        touched
            .iter()
            .map(|(entity, ids)| self.changed(entity, &mut ids.iter().map(|(id, was)| (id, *was))))
            .collect()
    }

    /// What differs from an older state that this one replaces, as after a log was read anew.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> Vec<Changed> {
        let mut before: VecMap<OrderedMap<bool>> = VecMap::default();
        for (one, other) in [(old, self), (self, old)] {
            for entity in one
                .entities
                .keys()
                .chain(one.outbox.entities())
                .chain(one.kept.keys())
            {
                let touched = before.entry(entity);
                for id in one.ids(entity, None) {
                    let key = Key::new(entity, id);
                    if one.look(&key) != other.look(&key) {
                        touched.insert(id, old.is_seen(&key));
                    }
                }
            }
        }
        before
            .iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(entity, ids)| self.changed(entity, &mut ids.iter().map(|(id, was)| (id, *was))))
            .collect()
    }

    fn changed(&self, entity: &str, ids: &mut dyn Iterator<Item = (&str, bool)>) -> Changed {
        let ids = ids.map(|(id, was)| {
            let change = match (was, self.is_seen(&Key::new(entity, id))) {
                (false, true) => Change::Created,
                (true, true) => Change::Updated,
                (true, false) => Change::Deleted,
                (false, false) => Change::Unseen,
            };
            (id.to_owned(), change)
        });
        Changed {
            entity: entity.to_owned(),
            ids: ids.collect(),
        }
    }

    fn is_seen(&self, key: &Key) -> bool {
        self.view(key).is_some_and(|view| !view.deleted)
    }

    /// What tells two states of an entity apart.
    fn look(&self, key: &Key) -> Option<(u64, bool, Option<&str>, Option<&str>)> {
        let view = self.view(key)?;
        let beside = match self.device_fields(key) {
            Some(ViewBody::Text(text)) => Some(text),
            _ => None,
        };
        let over = self
            .outbox
            .last(key)
            .map(|op| op.op_id.as_str())
            .or_else(|| Some(self.kept(key)?.letter.as_str()));
        Some((view.version, view.deleted, over, beside))
    }

    /// An entity is about to change.
    pub(super) fn touch(&mut self, entity: &str, id: &str) {
        if !self.touched.on
            || self
                .touched
                .before
                .get(entity)
                .is_some_and(|ids| ids.get(id).is_some())
        {
            return;
        }
        let was = self.is_seen(&Key::new(entity, id));
        self.touched.before.entry(entity).insert(id, was);
    }

    /// The rows of a segment are about to change.
    pub(super) fn touch_segment(&mut self, segment: &SegmentWrite) {
        if self.touched.on {
            // Fields that never leave the device are the entity's all the same.
            let entity = segment.entity.strip_prefix(MARK).unwrap_or(&segment.entity);
            for entry in &segment.entries {
                // A full pull that finds a row as it was changes nothing for a reader.
                let same = entry.retain
                    && !entry.deleted
                    && self
                        .entities
                        .get(&segment.entity)
                        .and_then(|rows| rows.get(&entry.id))
                        .is_some_and(|row| row.version == entry.version && !row.deleted);
                if !same {
                    self.touch(entity, &entry.id);
                }
            }
        }
    }

    /// The entity of a queued operation is about to change.
    pub(super) fn touch_operation(&mut self, op_id: &str) {
        if self.touched.on {
            let key = self
                .outbox
                .get(op_id)
                .map(|queued| (queued.op.entity.clone(), queued.op.id.clone()));
            if let Some((entity, id)) = key {
                self.touch(&entity, &id);
            }
        }
    }

    /// A dead letter is about to go.
    pub(super) fn touch_letter(&mut self, id: &str) {
        let letter = self
            .dead_letters
            .get(id)
            .filter(|letter| self.touched.on && letter.kept);
        if let Some((entity, id)) =
            letter.map(|letter| (letter.op.entity.clone(), letter.op.id.clone()))
        {
            self.touch(&entity, &id);
        }
    }

    /// Some rows are about to change.
    pub(super) fn touch_rows(
        &mut self,
        concerned: &dyn Fn(&str, &crate::state::rows::Row) -> bool,
    ) {
        if self.touched.on {
            let mut keys = Vec::new();
            for (entity, rows) in self.entities.iter() {
                keys.extend(
                    rows.iter()
                        .filter(|(_, row)| concerned(entity, row))
                        .map(|(id, _)| (entity.to_owned(), id.to_owned())),
                );
            }
            for (entity, id) in keys {
                self.touch(&entity, &id);
            }
        }
    }
}
