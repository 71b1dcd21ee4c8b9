//! The key directory: the rows of one entity type in order of id, and where each row's body is.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::digest::{Digest, row_hash};
use crate::util::collections::ordered_map::OrderedMap;

pub mod fold;

/// The location of a row's body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RowBody {
    #[default]
    None,
    /// In memory since its operation was applied; the next checkpoint writes it into a segment.
    Own(Rc<str>),
    /// In a segment.
    At {
        segment: BodyId,
        offset: u32,
        len: u32,
    },
}

/// The state of an entity that client and server last agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The server's version, or [`crate::model::operation::UNKNOWN`].
    pub version: u64,
    /// The server has a tombstone.
    pub deleted: bool,
    /// The tombstone waits for a cycle that includes deletes; until then the row stays visible.
    pub held: bool,
    pub body: RowBody,
    /// The record that last confirmed this row; the end of a full pull sweeps older ones.
    pub stamp: Seq,
}

impl Row {
    /// Returns true if a reader sees a tombstone.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.deleted && !self.held
    }
}

/// The rows of one entity type.
#[derive(Debug, Default)]
pub struct Rows {
    rows: OrderedMap<Row>,
    /// How many rows the server has not deleted.
    present: u64,
    hashed: Hashed,
    /// How many tombstones are held.
    pub held: u64,
}

/// The hashes of the rows that the server has not deleted, in order of id up to one of them. To hash a row costs
/// more than to index it, and a page that only shows its rows never asks for their digest.
#[derive(Debug)]
struct Hashed {
    sum: u64,
    /// The id of the last row that is hashed.
    last: Option<String>,
    /// Whether all rows are, whatever their ids.
    is_whole: bool,
}

impl Default for Hashed {
    /// Of no rows.
    fn default() -> Self {
        Self {
            sum: 0,
            last: None,
            is_whole: true,
        }
    }
}

impl Hashed {
    fn covers(&self, id: &str) -> bool {
        self.is_whole || self.last.as_deref().is_some_and(|last| id <= last)
    }
}

impl Rows {
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// The digest of the rows that the server has not deleted.
    #[must_use]
    pub fn digest(&self, entity: &str) -> Digest {
        let left = (!self.hashed.is_whole).then(|| self.rows.after(self.hashed.last.as_deref()));
        let sum = (left.into_iter().flatten())
            .filter(|(_, row)| !row.deleted)
            .fold(self.hashed.sum, |sum, (id, row)| {
                sum.wrapping_add(row_hash(entity, id, row.version))
            });
        Digest {
            count: self.present,
            sum,
        }
    }

    /// Leaves the hashes for [`Self::hash_some`].
    pub fn defer_hashes(&mut self) {
        if self.hashed.is_whole {
            self.hashed = Hashed {
                is_whole: false,
                ..Hashed::default()
            };
        }
    }

    /// Hashes about so many more rows, and keeps the sum. Returns how many it has met; fewer if none are left.
    pub fn hash_some(&mut self, entity: &str, most: usize) -> usize {
        if self.hashed.is_whole {
            return 0;
        }
        let (mut met, mut sum, mut last) = (0_usize, self.hashed.sum, None);
        for (id, row) in self.rows.after(self.hashed.last.as_deref()).take(most) {
            if !row.deleted {
                sum = sum.wrapping_add(row_hash(entity, id, row.version));
            }
            met = met.saturating_add(1);
            last = Some(id);
        }
        self.hashed = Hashed {
            sum,
            last: last.map(str::to_owned),
            is_whole: met < most,
        };
        met
    }

    /// Puts a row, updates hashes and counts, and returns the row it replaced.
    pub fn put(&mut self, entity: &str, id: &str, row: Row) -> Option<Row> {
        if !row.deleted {
            self.present = self.present.saturating_add(1);
            if self.hashed.covers(id) {
                let hash = row_hash(entity, id, row.version);
                self.hashed.sum = self.hashed.sum.wrapping_add(hash);
            }
        }
        if row.held {
            self.held = self.held.saturating_add(1);
        }
        let old = self.rows.insert(id, row);
        if let Some(old) = &old {
            self.forget(entity, id, old);
        }
        old
    }

    /// Removes a row and updates hashes and counts.
    pub fn remove(&mut self, entity: &str, id: &str) -> Option<Row> {
        let old = self.rows.remove(id)?;
        self.forget(entity, id, &old);
        Some(old)
    }

    fn forget(&mut self, entity: &str, id: &str, row: &Row) {
        if !row.deleted {
            self.present = self.present.saturating_sub(1);
            if self.hashed.covers(id) {
                let hash = row_hash(entity, id, row.version);
                self.hashed.sum = self.hashed.sum.wrapping_sub(hash);
            }
        }
        if row.held {
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Drops about so many rows, without updating anything else. Returns how many.
    pub(in crate::state) fn shed(&mut self, most: usize) -> usize {
        self.rows.shed(most)
    }

    /// Sets the stamp of a row that a pull has confirmed.
    pub fn confirm(&mut self, id: &str, stamp: Seq) {
        if let Some(row) = self.rows.get_mut(id) {
            row.stamp = stamp;
        }
    }

    /// Ids in order, those greater than `after`.
    pub fn after<'a>(&'a self, after: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        self.rows.after(after).map(|(id, _)| id)
    }

    /// Rows in order of id, those greater than `after`.
    pub fn rows_after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a Row)> {
        self.rows.after(after)
    }

    /// Counts the rows, tombstones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Every row, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.iter()
    }

    /// Counts the rows that a reader sees.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.present.saturating_add(self.held)
    }
}
