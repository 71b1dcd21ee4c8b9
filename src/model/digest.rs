//! An order-independent digest of a set of rows, by which two replicas find out in one comparison
//! whether they hold the same rows: the wrapping sum of a part of the MD5 of each row's entity, id
//! and version. Every database and language has that hash, so that any backend can have digests.
//!
//! Adding and removing a row take constant time: a side walks its rows once, if at all.

use md5::{Digest as _, Md5};

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

/// The first eight bytes, most significant first, of the MD5 of the lines entity, id and version.
/// Ids have no control characters, so the line feeds separate without doubt. `table` is a table's
/// name; that of a shared space goes to [`row_hash_in`].
#[must_use]
pub fn row_hash(table: &str, id: &str, version: u64) -> u64 {
    let table = Table(table);
    row_hash_in(table.space(), table.entity(), id, version)
}

/// Like [`row_hash`]; the lines of a row of a shared space begin with the space's id. So a row that
/// a replica files under the wrong space is a difference.
#[must_use]
pub fn row_hash_in(space: Option<&str>, entity: &str, id: &str, version: u64) -> u64 {
    let mut md5 = Md5::new();
    for line in space.into_iter().chain([entity, id]) {
        md5.update(line.as_bytes());
        md5.update(b"\n");
    }
    let mut digits = [b'0'; 20];
    let mut rest = version;
    let mut from = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' | u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        from = at;
        if rest == 0 {
            break;
        }
    }
    md5.update(digits.get(from..).unwrap_or_default());
    let hash: [u8; 16] = md5.finalize().into();
    u64::from_be_bytes(hash.first_chunk().copied().unwrap_or_default())
}
