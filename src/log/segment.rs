//! The bytes of a segment's body.

use crate::util::hash::hash;

/// A body up to this size is part of its record; a longer one is stored under its own key.
pub const INLINE_BYTES: usize = 4096;

/// Returns the text of a row within a body.
#[must_use]
pub fn slice(bytes: &[u8], offset: u32, len: u32) -> Option<&str> {
    let start = offset as usize;
    std::str::from_utf8(bytes.get(start..start.checked_add(len as usize)?)?).ok()
}

/// Returns the checksum of a body.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    hash(bytes)
}
