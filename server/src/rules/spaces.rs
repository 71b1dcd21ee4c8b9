//! The two reserved entity types. A space and its members are rows of the space that they describe,
//! so they are pulled, pushed and merged like any other row; this is what such a row must look like.

use std::borrow::Cow;

use datum_sync::model::entity::{Fields, check_id};
use datum_sync::model::space::Role;

use super::data::Rejection;

/// The entity type of a space; the row's id is the space's.
pub const SPACE: &str = "$space";
/// The entity type of a member; the row's id is the space's, a slash and the user's.
pub const MEMBER: &str = "$member";

/// Returns whether an entity type is none that an app may have.
#[must_use]
pub fn is_reserved(entity: &str) -> bool {
    entity.starts_with('$')
}

/// Returns whether a text is the id of a space: a UUID, in lower case so that each has one form.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Returns the id of a member's row.
#[must_use]
pub fn member_id(space: &str, user: &str) -> String {
    format!("{space}/{user}")
}

/// Returns the user whose row of this space it is, if any.
#[must_use]
pub fn member<'a>(space: &str, id: &'a str) -> Option<&'a str> {
    let user = id.strip_prefix(space)?.strip_prefix('/')?;
    check_id(user).is_ok().then_some(user)
}

/// Returns the role in a member's row.
#[must_use]
pub fn role(data: &str) -> Option<Role> {
    let fields = Fields::parse(data).ok()?;
    let name: Cow<'_, str> = serde_json::from_str(fields.get("role")?).ok()?;
    let known = Role::NAMES.iter().find(|(known, _)| *known == name)?;
    Some(known.1)
}

/// Checks the data of a reserved row, or of a patch of one.
///
/// # Errors
/// Fails with `invalidData`.
pub fn check_data(entity: &str, data: &str, patch: bool) -> Result<(), Rejection> {
    let (field, why) = match entity {
        SPACE => (
            "name",
            "must be text of 1 to 512 bytes without control characters",
        ),
        MEMBER => ("role", "must be `reader`, `writer` or `owner`"),
        _ => return Ok(()),
    };
    let fields = Fields::parse(data).unwrap_or_default();
    let fits = match fields.get(field) {
        None => patch,
        Some(_) if entity == MEMBER => role(data).is_some(),
        Some(name) => {
            serde_json::from_str::<Cow<'_, str>>(name).is_ok_and(|name| check_id(&name).is_ok())
        }
    };
    if fits {
        return Ok(());
    }
    Err(Rejection::new(
        "invalidData",
        format!("`data.{field}` {why}."),
    ))
}
