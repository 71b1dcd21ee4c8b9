//! How a space is named in every table.

use crate::rules::store::{Result, Space};

use super::failure::corrupt;

/// Returns the key of a user's own space, which stands for the user too.
pub(super) fn user_key(user: &str) -> String {
    format!("u:{user}")
}

/// Returns the key of a shared space.
pub(super) fn shared_key(id: &str) -> String {
    format!("s:{id}")
}

/// Returns a space's key.
pub(super) fn key(space: &Space) -> String {
    match space {
        Space::Personal(user) => user_key(user),
        Space::Shared(id) => shared_key(id),
    }
}

/// Returns the space of a key.
pub(super) fn space_of(key: &str) -> Result<Space> {
    match (key.strip_prefix("u:"), key.strip_prefix("s:")) {
        (Some(user), _) => Ok(Space::personal(user)),
        (_, Some(id)) => Ok(Space::shared(id)),
        _ => Err(corrupt("the key of a space")),
    }
}

/// Returns whether PostgreSQL can have this text: it has none with U+0000.
pub(super) fn can_have(text: &str) -> bool {
    !text.contains('\0')
}
