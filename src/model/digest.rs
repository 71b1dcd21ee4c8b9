//! An order-independent digest of a set of rows, by which two replicas find out in one comparison
//! whether they hold the same rows: the wrapping sum of an xxh3 over each row's entity, id and
//! version.
//!
//! Adding and removing a row take constant time, so neither side ever walks its rows.

use twox_hash::XxHash3_64;

use crate::model::protocol::WireDigest;
use crate::model::table::Table;

/// Count and hash of the live rows of one entity type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The number of rows.
    pub count: u64,
    /// The sum of their hashes.
    pub sum: u64,
}

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, entity: &str, id: &str, version: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add(row_hash(entity, id, version));
    }

    /// Removes a row.
    pub fn remove(&mut self, entity: &str, id: &str, version: u64) {
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(row_hash(entity, id, version));
    }

    /// Adds a row of a shared space, or of the user's own without one.
    pub fn add_in(&mut self, space: Option<&str>, entity: &str, id: &str, version: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self
            .sum
            .wrapping_add(row_hash_in(space, entity, id, version));
    }

    /// Removes a row of a shared space, or of the user's own without one.
    pub fn remove_in(&mut self, space: Option<&str>, entity: &str, id: &str, version: u64) {
        self.count = self.count.saturating_sub(1);
        self.sum = self
            .sum
            .wrapping_sub(row_hash_in(space, entity, id, version));
    }

    /// Returns the digest of the union of two disjoint sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum: self.sum.wrapping_add(other.sum),
        }
    }

    /// Returns the hash as 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:016x}", self.sum)
    }

    /// Returns the digest as the protocol sends it.
    #[must_use]
    pub fn wire(self) -> WireDigest {
        WireDigest {
            count: self.count,
            hash: self.hex(),
        }
    }
}

/// xxh3-64 over `entity NUL id NUL version`, the version as eight little-endian bytes. Ids have no
/// control characters, so the zero bytes separate without doubt. `table` is a table's name; that of
/// a shared space goes to [`row_hash_in`].
#[must_use]
pub fn row_hash(table: &str, id: &str, version: u64) -> u64 {
    let table = Table(table);
    row_hash_in(table.space(), table.entity(), id, version)
}

/// Like [`row_hash`]; the bytes of a row of a shared space begin with the space's id and a zero
/// byte. So a row that a replica files under the wrong space is a difference.
#[must_use]
pub fn row_hash_in(space: Option<&str>, entity: &str, id: &str, version: u64) -> u64 {
    let space_len = space.map_or(0, |space| space.len().saturating_add(1));
    let names = entity.len().saturating_add(id.len()).saturating_add(10);
    let mut bytes = Vec::with_capacity(names.saturating_add(space_len));
    for name in space.into_iter().chain([entity, id]) {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
    }
    bytes.extend_from_slice(&version.to_le_bytes());
    XxHash3_64::oneshot(&bytes)
}
