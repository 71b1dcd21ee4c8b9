//! The rules of the protocol, over any store. They must not read a clock, draw a random number or
//! know the transport: the caller has authenticated the user.

pub mod cursor;
pub mod data;
mod digest_table;
pub mod error;
pub mod metadata;
pub mod page;
pub mod pull;
pub mod push;
pub mod scope;
pub mod spaces;
pub mod store;

use datum_sync::model::limits::{MAX_BATCH, MAX_ENTITY_BYTES};
use serde::Deserialize;

pub use error::ServerError;
use store::{Swept, Transaction};

/// One day, in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// The operator's settings. The defaults are those of `PROTOCOL.md`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// The entity types that may be written; `None` allows any.
    pub entities: Option<Vec<String>>,
    /// The oldest schema version of an app that may still pull and push.
    pub min_schema: u32,
    /// The most operations in one push.
    pub max_operations: usize,
    /// The most rows that a client may request in one page.
    pub max_page_rows: usize,
    /// The bytes after which a page ends; a single larger row is still sent.
    pub max_page_bytes: usize,
    /// The bytes of current rows after which a push answers further conflicts with `retry`.
    pub max_reply_bytes: usize,
    /// The largest entity, in bytes of its JSON.
    pub max_entity_bytes: usize,
    /// The largest request body, in bytes after decompression.
    pub max_body_bytes: usize,
    /// The longest that a pull may wait for a change, in milliseconds.
    pub max_wait_ms: u64,
    /// How long a tombstone is kept, in milliseconds.
    pub tombstone_retention_ms: u64,
    /// How long an applied operation is recorded, in milliseconds.
    pub operation_memory_ms: u64,
    /// The most devices whose metadata is kept for one user.
    pub max_devices: usize,
    /// The most members of one space.
    pub max_members: u64,
    /// The most shared spaces of one user.
    pub max_spaces: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            entities: None,
            min_schema: 0,
            max_operations: MAX_BATCH,
            max_page_rows: MAX_BATCH,
            max_page_bytes: 4 << 20,
            max_reply_bytes: 16 << 20,
            max_entity_bytes: MAX_ENTITY_BYTES,
            max_body_bytes: 16 << 20,
            max_wait_ms: 25_000,
            tombstone_retention_ms: 90 * DAY_MS,
            operation_memory_ms: 30 * DAY_MS,
            max_devices: 1_000,
            max_members: 10_000,
            max_spaces: 2_000,
        }
    }
}

impl Config {
    /// Returns whether an entity type may be written.
    #[must_use]
    pub fn knows(&self, entity: &str) -> bool {
        if spaces::is_reserved(entity) {
            return matches!(entity, spaces::SPACE | spaces::MEMBER);
        }
        self.entities
            .as_ref()
            .is_none_or(|all| all.iter().any(|one| one == entity))
    }

    fn check_schema(&self, schema: u32) -> Result<(), ServerError> {
        if schema < self.min_schema {
            return Err(ServerError::client_outdated(schema, self.min_schema));
        }
        Ok(())
    }
}

/// Compares the user that the request names, if any, with the authenticated one.
///
/// # Errors
/// 409 if they differ: the client sent one user's data with another user's token.
pub fn check_user(user: &str, named: Option<&str>) -> Result<(), ServerError> {
    match named {
        Some(named) if named != user => Err(ServerError::user_mismatch()),
        _ => Ok(()),
    }
}

/// The most that one transaction sweeps: the writes of others wait for it.
pub const SWEEP_MOST: u64 = 2_000;

/// Removes tombstones and applied operations whose retention has ended, some of them. Cursors older than a
/// removed tombstone are refused from then on.
///
/// # Errors
/// Errors of the store.
pub async fn sweep<T: Transaction>(
    tx: &mut T,
    config: &Config,
    now_ms: u64,
) -> Result<Swept, ServerError> {
    tx.sweep(
        now_ms.saturating_sub(config.tombstone_retention_ms),
        now_ms.saturating_sub(config.operation_memory_ms),
        SWEEP_MOST,
    )
    .await
}
