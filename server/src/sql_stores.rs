//! What the stores in SQL databases share.

pub(crate) mod merge;
mod page;
#[cfg(feature = "http")]
mod writing;

use datum_sync::model::space::Role;

pub(crate) use page::BoundedRows;
#[cfg(feature = "http")]
pub(crate) use writing::Writing;

/// Converts to a database's signed integers. Versions and times stay below 2^53, and larger numbers
/// are only compared with.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a limit that shows whether there is more.
pub(crate) fn and_one(limit: usize) -> i64 {
    i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)
}

/// Returns a role as it is stored; 0 is none.
pub(crate) const fn role_number(role: Option<Role>) -> i64 {
    match role {
        None => 0,
        Some(Role::Reader) => 1,
        Some(Role::Writer) => 2,
        Some(Role::Owner) => 3,
    }
}

/// Returns the role that is stored as this number, or the number if it is none.
pub(crate) const fn role_of(number: i64) -> Result<Option<Role>, i64> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(Role::Reader)),
        2 => Ok(Some(Role::Writer)),
        3 => Ok(Some(Role::Owner)),
        other => Err(other),
    }
}
