//! A query at work: whether an entity is in its result, and where.

use std::rc::Rc;

use crate::query::fields::{EntityRef, Slots};
use crate::query::filter::{Found, Room};
use crate::query::read::Query;
use crate::query::sort_key;

/// A query with room to evaluate it in. Allocates nothing for an entity.
#[derive(Debug)]
pub struct Evaluator {
    query: Rc<Query>,
    slots: Slots,
    room: Room,
    key: Vec<u8>,
}

impl Evaluator {
    #[must_use]
    pub fn new(query: Rc<Query>) -> Self {
        Self {
            query,
            slots: Slots::default(),
            room: Room::default(),
            key: Vec::new(),
        }
    }

    /// Returns the query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    pub(super) const fn shared(&self) -> &Rc<Query> {
        &self.query
    }

    /// Returns true if an entity satisfies the conditions, and comes behind `after`.
    pub fn matches(&mut self, entity: &EntityRef<'_>) -> bool {
        let query = Rc::clone(&self.query);
        if entity.deleted && !query.include_deleted {
            return false;
        }
        self.slots.fill(&query.paths, entity);
        let found = Found {
            paths: &query.paths,
            slots: &self.slots,
            entity,
        };
        if !query.filter.holds(found, &mut self.room) {
            return false;
        }
        let Some(after) = &query.after else {
            return true;
        };
        sort_key::write(&mut self.key, &query.order, found);
        self.key.as_slice() > &**after
    }

    /// Returns the sort key of the entity that has just been found to match.
    pub(super) fn key(&mut self, entity: &EntityRef<'_>) -> &[u8] {
        let found = Found {
            paths: &self.query.paths,
            slots: &self.slots,
            entity,
        };
        sort_key::write(&mut self.key, &self.query.order, found);
        &self.key
    }
}
