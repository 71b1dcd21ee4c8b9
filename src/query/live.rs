//! A result that follows its data: each commit is a few edits of the list that an app shows.
//!
//! A live query keeps the sort keys of the entities that match, no bodies. A change is looked up by the
//! entity's identity, evaluated, and put in its place; then the window that `offset` and `limit` ask
//! for is compared with what it was. Nothing else is read: an entity that moves into the window
//! has been among the keys all along.
//!
//! A limited query gives up its last keys beyond a budget. It asks to be loaded again once so many
//! entities have left that its window is not full any more.

use std::rc::Rc;

use crate::query::cursor;
use crate::query::evaluator::Evaluator;
use crate::query::fields::EntityRef;
use crate::query::key_set::KeySet;
use crate::query::read::Query;
use crate::query::sort_key::{self, SortKey};
use crate::query::sorted::{By, SortedKeys};

/// What happened to an entity.
#[derive(Clone, Copy, Debug)]
pub enum EntityChange<'a> {
    /// It is new, or has another body.
    Put(EntityRef<'a>),
    /// It is not there any more.
    Gone { id: &'a str, space: Option<&'a str> },
}

/// One step from the old list to the new one. Steps are made one after another: an index is that
/// in the list that the steps before have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEdit {
    Insert {
        index: usize,
        key: SortKey,
    },
    /// The entity changed, not its place.
    Update {
        index: usize,
        key: SortKey,
    },
    /// The entity changed and is taken from `from`, then put at `index`.
    Move {
        from: usize,
        index: usize,
        key: SortKey,
    },
    Remove {
        index: usize,
        key: SortKey,
    },
}

/// A query whose result is kept.
#[derive(Debug)]
pub struct LiveQuery {
    evaluator: Evaluator,
    keys: KeySet,
    /// The keys of the window, if it has an end.
    window: Vec<SortKey>,
    /// The most memory for keys beyond those of the window.
    budget: usize,
    /// Keys have been given up: those that are not here may be greater than the last one.
    is_cut: bool,
}

impl LiveQuery {
    /// Starts a live query without entities. A limited one keeps at most about `budget` bytes of
    /// keys, but twice its window in any case.
    #[must_use]
    pub fn new(query: Rc<Query>, budget: usize) -> Self {
        let keys = KeySet::new(
            query.order.is_empty(),
            sort_key::is_descending(&query.order),
        );
        Self {
            evaluator: Evaluator::new(query),
            keys,
            window: Vec::new(),
            budget,
            is_cut: false,
        }
    }

    /// Adds an entity that is there from the start, or once more after [`Self::clear`].
    pub fn load(&mut self, entity: &EntityRef<'_>) {
        self.put(entity);
        self.cut();
    }

    /// Ends loading: the window is as it will be shown.
    pub fn start(&mut self) {
        self.window = self.wanted();
    }

    /// Ends loading before every entity was offered: those that were not come behind all that are
    /// here.
    pub const fn end_early(&mut self) {
        self.is_cut = true;
    }

    /// Returns how many keys are here, of the window and behind it.
    #[must_use]
    pub const fn loaded(&self) -> usize {
        self.keys.places().len()
    }

    /// Returns true if there are entities behind the window; `None` if the keys cannot tell, and
    /// only loading again can.
    #[must_use]
    pub fn has_more(&self) -> Option<bool> {
        let query = self.evaluator.query();
        let window = query.offset.saturating_add(query.limit?);
        let more = self.loaded() > window;
        (more || !self.is_cut).then_some(more)
    }

    /// Returns the cursor behind the window; `None` if it is empty.
    #[must_use]
    pub fn cursor(&self) -> Option<String> {
        let last = self.rows().last()?;
        Some(cursor::write(
            self.evaluator.query().fingerprint,
            last.bytes(),
        ))
    }

    /// Forgets all entities, but not what is shown: loading again and then [`Self::refresh`] give
    /// the edits.
    pub fn clear(&mut self) {
        let order = &self.evaluator.query().order;
        self.keys = KeySet::new(order.is_empty(), sort_key::is_descending(order));
        self.is_cut = false;
    }

    /// Returns the keys in the window, in order.
    pub fn rows(&self) -> impl Iterator<Item = &SortKey> {
        let query = self.evaluator.query();
        let limit = query.limit.unwrap_or(usize::MAX);
        self.keys.places().from(query.offset).take(limit)
    }

    /// Returns how many entities match, whatever the window; `None` if keys have been given up.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        (!self.is_cut).then(|| self.keys.places().len())
    }

    /// Returns how much memory the keys take, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.keys.memory()
    }

    /// Follows the changes of one commit. Returns the edits, none if nothing that is shown has changed;
    /// `None` if it has to be loaded again, from [`Self::clear`] on.
    pub fn apply(&mut self, changes: &[EntityChange<'_>]) -> Option<Vec<ListEdit>> {
        let query = Rc::clone(self.evaluator.shared());
        let mut edits = Vec::new();
        let mut touched = SortedKeys::new(By::Identity);
        for change in changes {
            let (old, new) = match change {
                EntityChange::Put(entity) => self.put(entity),
                EntityChange::Gone { id, space } => {
                    let probe = self.keys.probe(id, *space);
                    (self.keys.remove(&probe), None)
                }
            };
            if query.limit.is_none() {
                self.step(&mut edits, query.offset, old, new);
            } else if let Some(key) = new.or(old) {
                touched.insert(key);
            }
        }
        let Some(limit) = query.limit else {
            return Some(edits);
        };
        self.cut();
        if self.is_cut && self.keys.places().len() < query.offset.saturating_add(limit) {
            return None;
        }
        if touched.len() > 0 {
            self.turn_window(&mut edits, &touched);
        }
        Some(edits)
    }

    /// Returns the edits that make what is shown into what has been loaded again. Every entity that
    /// stays counts as changed.
    pub fn refresh(&mut self) -> Vec<ListEdit> {
        let shown = std::mem::take(&mut self.window);
        self.refresh_from(shown)
    }

    /// As [`Self::refresh`], from a list of these keys, in order.
    pub fn refresh_from(&mut self, shown: Vec<SortKey>) -> Vec<ListEdit> {
        let mut touched = SortedKeys::new(By::Identity);
        for key in &shown {
            touched.insert(key.clone());
        }
        let wanted: Vec<SortKey> = self.rows().cloned().collect();
        let mut edits = Vec::new();
        self.turn(&mut edits, shown, &wanted, &touched);
        self.start();
        edits
    }

    /// Puts an entity in its place. Returns its old key and its new one, if it had or has one.
    fn put(&mut self, entity: &EntityRef<'_>) -> (Option<SortKey>, Option<SortKey>) {
        let matches = self.evaluator.matches(entity);
        let probe = self.keys.probe(entity.id, entity.space);
        let old = self.keys.get(&probe).cloned();
        let mut new = None;
        if matches {
            let key = self.evaluator.key(entity);
            if let Some(old) = old.as_ref().filter(|old| old.bytes() == key) {
                return (Some(old.clone()), Some(old.clone()));
            }
            let last = self.keys.places().last();
            let is_beyond = self.is_cut && last.is_none_or(|last| key > last.bytes());
            new = (!is_beyond).then(|| SortKey::new(key));
        }
        if let Some(old) = &old {
            self.keys.remove(old.bytes());
        }
        if let Some(new) = &new {
            self.keys.insert(new.clone());
        }
        (old, new)
    }

    /// Gives up the last keys beyond the budget.
    fn cut(&mut self) {
        const SLACK: usize = 64;
        let query = self.evaluator.query();
        let Some(limit) = query.limit else { return };
        let window = query.offset.saturating_add(limit);
        let least = window.saturating_mul(2).saturating_add(SLACK);
        while self.keys.memory() > self.budget && self.keys.places().len() > least {
            self.keys.pop();
            self.is_cut = true;
        }
    }

    /// Appends the edits for one change that is already made, of a window without an end.
    fn step(
        &self,
        edits: &mut Vec<ListEdit>,
        offset: usize,
        old: Option<SortKey>,
        new: Option<SortKey>,
    ) {
        let places = self.keys.places();
        let rank = |key: &SortKey| places.rank(key.bytes());
        match (old, new) {
            (Some(old), Some(new)) if old == new => {
                if let Some(index) = rank(&new).checked_sub(offset) {
                    edits.push(ListEdit::Update { index, key: new });
                }
            }
            (Some(old), Some(new)) => {
                let index = rank(&new);
                // Where it was, in the list without it.
                let from = rank(&old).saturating_sub(usize::from(old > new));
                match (from.checked_sub(offset), index.checked_sub(offset)) {
                    (Some(from), Some(index)) if from == index => {
                        edits.push(ListEdit::Update { index, key: new });
                    }
                    (Some(from), Some(index)) => edits.push(ListEdit::Move {
                        from,
                        index,
                        key: new,
                    }),
                    (Some(from), None) => {
                        edits.push(ListEdit::Remove {
                            index: from,
                            key: old,
                        });
                        // What was the last before the window is its first now.
                        self.enter(edits, offset);
                    }
                    (None, Some(index)) => {
                        if let Some(key) = places.at(offset.saturating_sub(1)) {
                            let key = key.clone();
                            edits.push(ListEdit::Remove { index: 0, key });
                        }
                        edits.push(ListEdit::Insert { index, key: new });
                    }
                    (None, None) => {}
                }
            }
            (None, Some(new)) => match rank(&new).checked_sub(offset) {
                Some(index) => edits.push(ListEdit::Insert { index, key: new }),
                None => self.enter(edits, offset),
            },
            (Some(old), None) => match rank(&old).checked_sub(offset) {
                Some(index) => edits.push(ListEdit::Remove { index, key: old }),
                None => {
                    if let Some(key) = places.at(offset.saturating_sub(1)) {
                        let key = key.clone();
                        edits.push(ListEdit::Remove { index: 0, key });
                    }
                }
            },
            (None, None) => {}
        }
    }

    /// Appends the insert of the entity that is the first of the window now.
    fn enter(&self, edits: &mut Vec<ListEdit>, offset: usize) {
        if let Some(key) = self.keys.places().at(offset) {
            let key = key.clone();
            edits.push(ListEdit::Insert { index: 0, key });
        }
    }

    fn wanted(&self) -> Vec<SortKey> {
        if self.evaluator.query().limit.is_none() {
            return Vec::new();
        }
        self.rows().cloned().collect()
    }

    /// Appends the edits from the window that is shown to the one that the keys have now, given the
    /// entities that have changed.
    fn turn_window(&mut self, edits: &mut Vec<ListEdit>, touched: &SortedKeys) {
        let (shown, wanted) = (std::mem::take(&mut self.window), self.wanted());
        self.turn(edits, shown, &wanted, touched);
        self.window = wanted;
    }

    /// Appends the edits from one list to another.
    fn turn(
        &self,
        edits: &mut Vec<ListEdit>,
        shown: Vec<SortKey>,
        wanted: &[SortKey],
        touched: &SortedKeys,
    ) {
        let has = |key: &SortKey| wanted.binary_search(key).is_ok();
        // First what leaves; the others keep their order.
        let (mut kept, mut moved) = (Vec::with_capacity(shown.len()), Vec::new());
        for (index, old) in shown.into_iter().enumerate().rev() {
            let is_touched = touched.get(old.bytes()).is_some();
            let new = if is_touched {
                self.keys.get(old.bytes())
            } else {
                Some(&old)
            };
            match new.filter(|new| has(new)) {
                Some(new) => {
                    if is_touched {
                        moved.push((old.clone(), new.clone()));
                    }
                    kept.push(old);
                }
                None => edits.push(ListEdit::Remove { index, key: old }),
            }
        }
        kept.reverse();
        // Then what has another place: one after another, the list is in order all the time.
        for (old, new) in moved {
            let Ok(from) = kept.binary_search(&old) else {
                continue;
            };
            if old == new {
                edits.push(ListEdit::Update {
                    index: from,
                    key: new,
                });
                continue;
            }
            kept.remove(from);
            let (Ok(index) | Err(index)) = kept.binary_search(&new);
            kept.insert(index, new.clone());
            edits.push(if from == index {
                ListEdit::Update { index, key: new }
            } else {
                ListEdit::Move {
                    from,
                    index,
                    key: new,
                }
            });
        }
        let mut kept = kept.iter().peekable();
        for (index, key) in wanted.iter().enumerate() {
            if kept.next_if_eq(&key).is_none() {
                let key = key.clone();
                edits.push(ListEdit::Insert { index, key });
            }
        }
    }
}
