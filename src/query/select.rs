//! The result of a query, once: as many keys as are asked for, in order.

use std::rc::Rc;

use crate::query::cursor;
use crate::query::evaluator::Evaluator;
use crate::query::fields::EntityRef;
use crate::query::read::Query;
use crate::query::sort_key::SortKey;
use crate::query::sorted::{By, SortedKeys};

/// Collects the first entities of a query's order among those that it is offered. Holds no more
/// keys than offset and limit ask for.
#[derive(Debug)]
pub struct Select {
    evaluator: Evaluator,
    keys: SortedKeys,
    matched: usize,
    in_order: bool,
}

/// What a query returns.
#[derive(Debug)]
pub struct Selected {
    /// The entities of this page, in order.
    pub keys: Vec<SortKey>,
    /// There are more behind them.
    pub more: bool,
    /// How many entities matched, of those that were offered.
    pub matched: usize,
    /// The cursor behind the last one.
    pub after: Option<String>,
}

impl Select {
    /// Starts a query. Say that entities come in its order, as they do by id if it has no
    /// `orderBy`, and it ends once it has enough.
    #[must_use]
    pub fn new(query: Rc<Query>, in_order: bool) -> Self {
        Self {
            evaluator: Evaluator::new(query),
            keys: SortedKeys::new(By::Place),
            matched: 0,
            in_order,
        }
    }

    /// One more than the last that is wanted: its presence says that there are more.
    fn most(&self) -> usize {
        let query = self.evaluator.query();
        query.limit.map_or(usize::MAX, |limit| {
            query.offset.saturating_add(limit).saturating_add(1)
        })
    }

    /// Looks at an entity. Returns true if none that comes later can be in the result.
    pub fn offer(&mut self, entity: &EntityRef<'_>) -> bool {
        if !self.evaluator.matches(entity) {
            return false;
        }
        self.matched = self.matched.saturating_add(1);
        let most = self.most();
        let key = self.evaluator.key(entity);
        if self.keys.len() < most {
            self.keys.insert(SortKey::new(key));
        } else if self.keys.last().is_some_and(|last| key < last.bytes()) {
            self.keys.insert(SortKey::new(key));
            self.keys.pop();
        }
        self.in_order && self.keys.len() >= most
    }

    /// Returns the page.
    #[must_use]
    pub fn finish(self) -> Selected {
        let query = self.evaluator.query();
        let limit = query.limit.unwrap_or(usize::MAX);
        let keys: Vec<SortKey> = self.keys.from(query.offset).take(limit).cloned().collect();
        let end = query.offset.saturating_add(keys.len());
        let last = keys.last();
        Selected {
            more: self.keys.len() > end,
            matched: self.matched,
            after: last.map(|last| cursor::write(query.fingerprint, last.bytes())),
            keys,
        }
    }
}
