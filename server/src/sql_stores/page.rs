//! The limits of a page.

use crate::rules::store::{Row, Scanned};

/// Collects rows up to the limits, but at least one.
pub(crate) struct BoundedRows {
    pub(crate) scanned: Scanned,
    limit: usize,
    max_bytes: usize,
    bytes: usize,
}

impl BoundedRows {
    pub(crate) fn new(limit: usize, max_bytes: usize) -> Self {
        Self {
            scanned: Scanned::default(),
            limit,
            max_bytes,
            bytes: 0,
        }
    }

    /// Adds a row. Returns false if it does not fit.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        self.bytes = self.bytes.saturating_add(row.bytes());
        let full = self.scanned.rows.len() >= self.limit || self.bytes > self.max_bytes;
        if full && !self.scanned.rows.is_empty() {
            self.scanned.more = true;
            return false;
        }
        self.scanned.rows.push(row);
        true
    }

    /// Returns how many bytes are left.
    #[cfg(feature = "http")]
    pub(crate) const fn bytes_left(&self) -> usize {
        self.max_bytes.saturating_sub(self.bytes)
    }
}
