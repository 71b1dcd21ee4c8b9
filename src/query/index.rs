//! Indexes: the entities of a type in order of declared fields.

use crate::query::bounds::ABOVE;
use crate::query::cell::Cell;
use crate::query::field_index::FieldIndex;
use crate::query::fields::{EntityRef, Slots};
use crate::query::filter::Found;
use crate::query::order;
use crate::query::planner::{self, AccessPath};
use crate::query::read::Query;
use crate::query::sort_key::{self, SortKey};

/// The indexes of an entity type.
#[derive(Debug, Default)]
pub struct Indexes {
    list: Vec<FieldIndex>,
    slots: Slots,
    key: Vec<u8>,
}

impl Indexes {
    /// Adds an index on one or more fields, without entities.
    ///
    /// # Errors
    /// Fails with what is wrong with a field's path, as the end of a sentence about it.
    pub fn declare(&mut self, fields: &[&str]) -> Result<(), &'static str> {
        self.list.push(FieldIndex::new(fields)?);
        Ok(())
    }

    /// Puts an entity that is new or has another body into its places.
    pub fn put(&mut self, entity: &EntityRef<'_>) {
        for index in &mut self.list {
            self.slots.fill(&index.paths, entity);
            let found = Found {
                paths: &index.paths,
                slots: &self.slots,
                entity,
            };
            sort_key::write(&mut self.key, &index.order, found);
            let probe = index.keys.probe(entity.id, entity.space);
            let old = index.keys.get(&probe);
            if old.is_some_and(|old| old.bytes() == self.key) {
                continue;
            }
            index.keys.remove(&probe);
            index.keys.insert(SortKey::new(&self.key));
        }
    }

    /// Removes an entity that is not there any more.
    pub fn remove(&mut self, id: &str, space: Option<&str>) {
        for index in &mut self.list {
            let probe = index.keys.probe(id, space);
            index.keys.remove(&probe);
        }
    }

    /// Returns how a query is best read. It is good until the next change.
    #[must_use]
    pub fn plan(&self, query: &Query) -> AccessPath {
        planner::plan(&self.list, query)
    }

    /// Iterates over the entities that an index finds for a query: all that can match, and others.
    pub fn candidates<'a>(&'a self, path: &'a AccessPath) -> impl Iterator<Item = &'a SortKey> {
        let index = path.index.and_then(|index| self.list.get(index));
        let backwards = path.backwards;
        index.into_iter().flat_map(move |index| {
            let places = index.keys.places();
            path.ranges.iter().flat_map(move |(start, end)| {
                let count = end.saturating_sub(*start);
                let (forth, back) = if backwards { (0, count) } else { (count, 0) };
                let back_from = places.back_from(*end).take(back);
                places.from(*start).take(forth).chain(back_from)
            })
        })
    }

    /// Iterates over the entities whose first field of an index is this string.
    pub fn of_text(&self, index: usize, text: &str) -> impl Iterator<Item = &SortKey> {
        let mut least = Vec::with_capacity(text.len().saturating_add(3));
        order::push_part(&mut least, Cell::Text(text.as_bytes()), false, None);
        let mut most = least.clone();
        most.push(ABOVE);
        let index = self.list.get(index);
        index.into_iter().flat_map(move |index| {
            let places = index.keys.places();
            let (start, end) = (places.rank(&least), places.rank(&most));
            places.from(start).take(end.saturating_sub(start))
        })
    }

    /// Returns the fields of an index.
    #[must_use]
    pub fn fields(&self, index: usize) -> Vec<String> {
        self.list.get(index).map_or_else(Vec::new, |index| {
            let keys = index.order.iter();
            keys.map(|key| index.paths.text(key.slot)).collect()
        })
    }

    /// Returns how much memory the keys take, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.list.iter().fold(0, |sum: usize, index| {
            sum.saturating_add(index.keys.memory())
        })
    }
}
