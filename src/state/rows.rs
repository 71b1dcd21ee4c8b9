//! The key directory: for each entity type, its ids in order, and where each row's body lies.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::digest::Digest;
use crate::util::collections::ordered_map::OrderedMap;

/// Where a row's body lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Body {
    /// Nothing was kept.
    #[default]
    None,
    /// In memory since its operation was applied; the next checkpoint writes it into a segment.
    Own(Rc<str>),
    /// In a segment.
    At {
        /// The segment.
        segment: BodyId,
        /// Bytes from its start.
        offset: u32,
        /// Bytes.
        len: u32,
    },
}

/// The state that both sides agreed on last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The server's version, or [`crate::model::operation::UNKNOWN`].
    pub version: u64,
    /// The server has a tombstone.
    pub deleted: bool,
    /// The tombstone waits for a cycle that includes deletes; until then the row stays visible.
    pub held: bool,
    /// Where the body lies.
    pub body: Body,
    /// The record that last said that the server has this row; a full pull sweeps by it.
    pub stamp: Seq,
}

impl Row {
    /// Whether a reader sees a tombstone.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.deleted && !self.held
    }
}

/// The rows of one entity type.
#[derive(Debug, Default)]
pub struct Rows {
    rows: OrderedMap<Row>,
    /// Over the rows that the server has not deleted.
    pub digest: Digest,
    /// How many tombstones are held.
    pub held: u64,
}

impl Rows {
    /// One row.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// Puts a row and gives back what stood there, with digest and counts moved along.
    pub fn put(&mut self, entity: &str, id: &str, row: Row) -> Option<Row> {
        if !row.deleted {
            self.digest.add(entity, id, row.version);
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

    /// Takes a row away.
    pub fn remove(&mut self, entity: &str, id: &str) -> Option<Row> {
        let old = self.rows.remove(id)?;
        self.forget(entity, id, &old);
        Some(old)
    }

    fn forget(&mut self, entity: &str, id: &str, row: &Row) {
        if !row.deleted {
            self.digest.remove(entity, id, row.version);
        }
        if row.held {
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Sets the stamp of a row that a full pull has confirmed.
    pub fn confirm(&mut self, id: &str, stamp: Seq) {
        if let Some(row) = self.rows.get_mut(id) {
            row.stamp = stamp;
        }
    }

    /// Moves a row's body, as compaction does; the row itself is unchanged.
    pub fn relocate(&mut self, id: &str, body: Body) {
        if let Some(row) = self.rows.get_mut(id) {
            row.body = body;
        }
    }

    /// Ids in order.
    pub fn after<'a>(&'a self, after: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        self.rows.after(after).map(|(id, _)| id)
    }

    /// Every row, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.iter()
    }

    /// How many rows a reader sees.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.digest.count.saturating_add(self.held)
    }
}
