//! Rows of a log that was opened and that nobody has asked for yet: they stay in their records,
//! whose bytes were checked, and are folded all at once when somebody wants more than a look at one
//! of them.
//!
//! So an app that opens with many entities sees its first ones before a tree of all ids has grown.
//! What is not a row (the outbox, cursors, receipts, facts) is folded at once, as ever, and never
//! looks at rows meanwhile.

use std::cell::Cell;

use crate::log::address::{BodyId, Seq};
use crate::log::directory::{Directory, Line};
use crate::model::entity::Key;
use crate::model::operation::Operation;
use crate::state::replica::{Replica, View};

/// So many rows may be looked at one after another, for each that there is, before folding them
/// costs less.
const LOOKS: u64 = 4;

#[derive(Debug)]
enum Item {
    /// The rows of a segment.
    Rows {
        seq: Seq,
        entity: String,
        segment: BodyId,
        directory: Directory,
    },
    /// The remote has what an operation said: its body is the row's.
    Own {
        seq: Seq,
        op: Operation,
        version: u64,
    },
}

/// What is still to be folded, in order.
#[derive(Debug, Default)]
pub struct LazyRows {
    items: Vec<Item>,
    rows: u64,
    looked: Cell<u64>,
}

/// What the rows that nobody has asked for say of an entity.
enum Found<'a> {
    Nothing,
    Plain(Line<'a>, BodyId),
    /// It takes the fold to tell.
    Unclear,
}

impl LazyRows {
    fn find(&self, key: &Key<'_>) -> Found<'_> {
        for item in self.items.iter().rev() {
            match item {
                Item::Own { op, .. } if op.id == key.id && op.entity == key.entity => {
                    return Found::Unclear;
                }
                Item::Rows {
                    entity,
                    segment,
                    directory,
                    ..
                } if *entity == key.entity => {
                    if directory.bounds.is_none() {
                        self.looked
                            .set(self.looked.get().saturating_add(directory.count));
                    }
                    if let Some(line) = directory.find(key.id) {
                        return if line.is_plain() {
                            Found::Plain(line, *segment)
                        } else {
                            Found::Unclear
                        };
                    }
                }
                _ => {}
            }
        }
        Found::Nothing
    }
}

impl Replica {
    /// Whether rows were read that are not folded yet.
    #[must_use]
    pub const fn has_lazy_rows(&self) -> bool {
        !self.lazy_rows.items.is_empty()
    }

    /// Folds what is left of the rows.
    pub fn materialize(&mut self) {
        for item in std::mem::take(&mut self.lazy_rows).items {
            match item {
                Item::Rows {
                    seq,
                    entity,
                    segment,
                    directory,
                } => {
                    let mut lines = directory.lines();
                    self.fold_rows(seq, &entity, segment, &mut lines);
                    if !lines.were_all() {
                        self.damage.quarantine();
                    }
                }
                Item::Own { seq, op, version } => self.put_own_row(seq, &op, version),
            }
        }
    }

    /// Whether the rows of this type may stay in their record. Not where folding them does more
    /// than that.
    pub(super) fn may_defer(&self, entity: &str) -> bool {
        !self.is_listening() && !self.receipts.has_suspects() && !self.device.contains(entity)
    }

    /// Whether every row was put off, and comes after this place: then a sweep of what is not newer
    /// finds none.
    pub(super) fn is_late_after(&self, before: Seq) -> bool {
        self.entities.is_empty()
            && self.lazy_rows.items.iter().all(|item| match item {
                Item::Rows { seq, .. } | Item::Own { seq, .. } => *seq > before,
            })
    }

    pub(super) fn defer_rows(
        &mut self,
        seq: Seq,
        entity: String,
        segment: BodyId,
        directory: Directory,
    ) {
        self.lazy_rows.rows = self.lazy_rows.rows.saturating_add(directory.count);
        self.lazy_rows.items.push(Item::Rows {
            seq,
            entity,
            segment,
            directory,
        });
    }

    pub(super) fn put_off_own(&mut self, seq: Seq, op: Operation, version: u64) {
        self.lazy_rows.items.push(Item::Own { seq, op, version });
    }

    /// Whether [`Self::view`] can tell of this entity without folding the rows first.
    #[must_use]
    pub fn can_peek(&self, key: &Key<'_>) -> bool {
        let late = &self.lazy_rows;
        late.looked.get() <= late.rows.saturating_mul(LOOKS)
            && self.outbox.last(key).is_none()
            && self.kept(key).is_none()
            && !matches!(late.find(key), Found::Unclear)
    }

    pub(super) fn view_lazy(&self, key: &Key<'_>) -> Option<View<'_>> {
        let Found::Plain(line, segment) = self.lazy_rows.find(key) else {
            return None;
        };
        let body = (line.len > 0).then(|| self.segments.text(segment, line.offset, line.len));
        Some(View {
            body,
            version: line.version,
            deleted: false,
            over: None,
        })
    }

    /// Everything that a reader sees of one type, in order of id, where rows that are not folded
    /// say it all.
    #[must_use]
    pub fn lazy_in_order(&self, entity: &str) -> Option<Vec<(Directory, BodyId)>> {
        let is_covered = self.ids_over(entity, None).next().is_some()
            || self.device.contains(entity)
            || self.entities.contains(entity);
        if is_covered {
            return None;
        }
        let mut found = Vec::new();
        for item in &self.lazy_rows.items {
            match item {
                Item::Own { op, .. } if op.entity == entity => return None,
                Item::Rows {
                    entity: whose,
                    segment,
                    directory,
                    ..
                } if whose == entity => {
                    found.push((
                        directory
                            .plain
                            .then_some(directory.bounds.as_ref())
                            .flatten()?,
                        directory,
                        *segment,
                    ));
                }
                _ => {}
            }
        }
        found.sort_unstable_by_key(|((first, _), ..)| first);
        let mut end: Option<&str> = None;
        for ((first, last), ..) in &found {
            if end.is_some_and(|end| end >= &**first) {
                return None;
            }
            end = Some(last);
        }
        (!found.is_empty()).then(|| {
            found
                .into_iter()
                .map(|(_, directory, segment)| (directory.clone(), segment))
                .collect()
        })
    }
}
