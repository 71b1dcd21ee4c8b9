//! Lazy rows. On open, rows stay encoded in their records, whose checksums were verified, and
//! single rows are looked up there. The row index is built when a caller needs more than a few
//! lookups, so that an app with many entities shows the first ones before the index exists.
//!
//! Everything that is not a row (outbox, cursors, receipts, facts) is folded immediately and never
//! reads rows in that process.

use std::cell::Cell;

use crate::log::address::{BodyId, Seq};
use crate::log::directory::{Directory, Line};
use crate::model::entity::Key;
use crate::model::operation::Operation;
use crate::util::collections::sort::sort_by_text;

/// How many rows may be scanned in lookups, for each row that is deferred, before building the
/// index is cheaper.
const SCANS_PER_ROW: u64 = 4;

/// One deferred step of the fold.
#[derive(Debug)]
pub enum Deferred {
    /// The rows of a segment.
    Segment {
        seq: Seq,
        entity: String,
        segment: BodyId,
        directory: Directory,
    },
    /// The remote applied an operation: its body becomes the row's.
    Applied {
        seq: Seq,
        op: Operation,
        version: u64,
    },
}

/// The deferred steps, in order.
#[derive(Debug, Default)]
pub struct LazyRows {
    steps: Vec<Deferred>,
    rows: u64,
    scanned: Cell<u64>,
}

enum RowLookup<'a> {
    Missing,
    Plain(Line<'a>, BodyId),
    /// Only the row index can tell.
    Unclear,
}

impl LazyRows {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub fn defer_segment(
        &mut self,
        seq: Seq,
        entity: String,
        segment: BodyId,
        directory: Directory,
    ) {
        self.rows = self.rows.saturating_add(directory.count);
        self.steps.push(Deferred::Segment {
            seq,
            entity,
            segment,
            directory,
        });
    }

    pub fn defer_applied(&mut self, seq: Seq, op: Operation, version: u64) {
        self.steps.push(Deferred::Applied { seq, op, version });
    }

    /// Returns the deferred steps and forgets them.
    pub fn take(&mut self) -> Vec<Deferred> {
        std::mem::take(self).steps
    }

    /// Returns the first deferred steps, with about this many rows, and forgets them.
    pub fn take_first(&mut self, rows: usize) -> Vec<Deferred> {
        let (mut seen, mut count) = (0_u64, 0_usize);
        for step in &self.steps {
            if seen >= rows as u64 {
                break;
            }
            count = count.saturating_add(1);
            seen = seen.saturating_add(match step {
                Deferred::Segment { directory, .. } => directory.count,
                Deferred::Applied { .. } => 1,
            });
        }
        if count == self.steps.len() {
            return self.take();
        }
        self.rows = self.rows.saturating_sub(seen);
        self.steps.drain(..count).collect()
    }

    /// Returns true if every step came after this record.
    #[must_use]
    pub fn are_all_after(&self, before: Seq) -> bool {
        self.steps.iter().all(|step| match step {
            Deferred::Segment { seq, .. } | Deferred::Applied { seq, .. } => *seq > before,
        })
    }

    /// Returns true if [`Self::get`] answers for this entity, and lookups have not become more
    /// expensive than the index.
    #[must_use]
    pub fn can_answer(&self, key: &Key<'_>) -> bool {
        self.scanned.get() <= self.rows.saturating_mul(SCANS_PER_ROW)
            && !matches!(self.lookup(key), RowLookup::Unclear)
    }

    /// Returns the deferred row of an entity, and the segment of its body.
    #[must_use]
    pub fn get(&self, key: &Key<'_>) -> Option<(Line<'_>, BodyId)> {
        match self.lookup(key) {
            RowLookup::Plain(line, segment) => Some((line, segment)),
            RowLookup::Missing | RowLookup::Unclear => None,
        }
    }

    fn lookup(&self, key: &Key<'_>) -> RowLookup<'_> {
        for step in self.steps.iter().rev() {
            match step {
                Deferred::Applied { op, .. } if op.id == key.id && op.entity == key.entity => {
                    return RowLookup::Unclear;
                }
                Deferred::Segment {
                    entity,
                    segment,
                    directory,
                    ..
                } if *entity == key.entity => {
                    if directory.bounds.is_none() {
                        self.scanned
                            .set(self.scanned.get().saturating_add(directory.count));
                    }
                    match directory.find(key.id) {
                        Some(line) if line.is_plain() => return RowLookup::Plain(line, *segment),
                        Some(_) => return RowLookup::Unclear,
                        None => {}
                    }
                }
                _ => {}
            }
        }
        RowLookup::Missing
    }

    /// The tables of the deferred rows, each as often as it has steps.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| match step {
            Deferred::Segment { entity, .. } => &**entity,
            Deferred::Applied { op, .. } => &*op.entity,
        })
    }

    /// Returns the segments of one type in order of id, if they hold all of its rows, all rows are
    /// plain, and the ranges of ids do not overlap.
    #[must_use]
    pub fn in_order(&self, entity: &str) -> Option<Vec<(Directory, BodyId)>> {
        let mut found = Vec::new();
        for step in &self.steps {
            match step {
                Deferred::Applied { op, .. } if op.entity == entity => return None,
                Deferred::Segment {
                    entity: other,
                    segment,
                    directory,
                    ..
                } if other == entity => {
                    let bounds = directory.bounds.as_ref().filter(|_| directory.plain)?;
                    found.push((bounds, directory, *segment));
                }
                _ => {}
            }
        }
        sort_by_text(&mut found, |((first, _), ..)| first);
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
