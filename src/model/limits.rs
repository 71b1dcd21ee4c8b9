//! TODO

pub use crate::model::protocol::read::{PageReader, parse_error, parse_page, parse_push_reply};

/// The most rows in a page, and the most operations in a push.
pub const MAX_BATCH: usize = 10_000;

/// The largest entity, in bytes of its JSON.
pub const MAX_ENTITY_BYTES: usize = 1 << 20;

/// The greatest version: what a JavaScript number holds exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;
