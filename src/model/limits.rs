//! Limits that the protocol sets for both sides.

/// The most rows in a page, and the most operations in a push.
pub const MAX_BATCH: usize = 10_000;

/// The largest entity, in bytes of its JSON.
pub const MAX_ENTITY_BYTES: usize = 1 << 20;

/// The greatest version: the largest integer that a JavaScript number holds exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;
