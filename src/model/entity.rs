//! The entity envelope: the fields that the engine owns. They are read from the app's JSON and
//! added to it without parsing it into a tree.
//!
//! A stored body is the app's object with `createdAt` and `modifiedAt`. What an app reads is that
//! body with the authoritative `id`, `userId`, `version` and `isDeleted` appended: `JSON.parse`
//! keeps the last of two equal keys, so a body can never contradict its envelope.

use std::borrow::Cow;

use crate::model::error::{Code, Error, Result};
use crate::util::json::scan;
use crate::util::json::write::{push_escaped, push_field, push_number, push_string, put_text};

/// The longest id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 512;

/// A table and an id, borrowed: rows are looked up far more often than their keys are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a> {
    /// The table's name: [`crate::model::table::Table::name`]. In the personal space, which has no
    /// name, it is the entity type, as the config names it.
    pub entity: &'a str,
    pub id: &'a str,
}

impl<'a> Key<'a> {
    #[must_use]
    pub const fn new(entity: &'a str, id: &'a str) -> Self {
        Self { entity, id }
    }

    #[must_use]
    pub fn to_owned(self) -> OwnedKey {
        OwnedKey {
            entity: self.entity.into(),
            id: self.id.into(),
        }
    }
}

/// An owned [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnedKey {
    /// The table's name: [`crate::model::table::Table::name`]. In the personal space, which has no
    /// name, it is the entity type, as the config names it.
    pub entity: String,
    pub id: String,
}

impl OwnedKey {
    #[must_use]
    pub fn as_key(&self) -> Key<'_> {
        Key::new(&self.entity, &self.id)
    }
}

/// Checks an entity id or a user id: 1 to 512 bytes, no control characters.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the broken rule.
pub fn check_id(id: &str) -> Result<()> {
    let wrong = if id.is_empty() {
        "An id must not be empty."
    } else if id.len() > MAX_ID_BYTES {
        "An id must not be longer than 512 bytes."
    } else if !id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && id.chars().any(char::is_control)
    {
        "An id must not have control characters."
    } else {
        return Ok(());
    };
    Err(Error::new(Code::InvalidArgument, wrong))
}

/// Checks the id of a space: a UUID in lower case.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`].
pub fn check_space_id(id: &str) -> Result<()> {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    if id.len() == 36 && id.bytes().enumerate().all(fits) {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidArgument,
        "`spaceId` must be the id of a shared space, a UUID in lower case, or null for the user's own.",
    ))
}

/// Checks the name of an entity type: an id of at most 128 bytes.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the broken rule.
pub fn check_name(name: &str) -> Result<()> {
    check_id(name)?;
    if name.len() > 128 {
        return Err(Error::new(
            Code::InvalidArgument,
            "The name of an entity type must not be longer than 128 bytes.",
        ));
    }
    Ok(())
}

/// The fields that the engine owns: an app can neither set them freely nor make them local-only.
pub const OWN_FIELDS: [&str; 7] = [
    "id",
    "userId",
    "spaceId",
    "createdAt",
    "modifiedAt",
    "version",
    "isDeleted",
];

/// The member that says how far an entity's writes have come, where it is asked for. It is never
/// stored.
pub const SYNC_STATE: &str = "$syncState";

/// Adds that member to the text of an entity.
pub fn push_sync_state(entity: &mut String, state: &str) {
    entity.pop();
    put_text(entity, SYNC_STATE, state);
    entity.push('}');
}

/// Returns true if the engine sets this field of a body: `createdAt` or `modifiedAt`.
#[must_use]
pub fn is_time(field: &str) -> bool {
    matches!(field, "createdAt" | "modifiedAt")
}

/// The keys of a JSON object in order, each with the text of its value.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Fields<'a> {
    /// Parses an object.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidEntity`] if the text is not a JSON object.
    pub fn parse(json: &'a str) -> Result<Self> {
        let wrong = |cause| {
            Error::new(Code::InvalidEntity, "An entity must be a JSON object.").caused_by(cause)
        };
        scan::object(json).map(Self).map_err(wrong)
    }

    /// Returns the text of a value; the last one if the key stands twice, as in `JSON.parse`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, v)| *v)
    }

    /// Returns the object without white space around the values.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.0.iter().fold(2_usize, |n, (k, v)| {
            n.saturating_add(k.len())
                .saturating_add(v.len())
                .saturating_add(4)
        }));
        out.push('{');
        for (key, value) in &self.0 {
            push_field(&mut out, key, value);
        }
        out.push('}');
        out
    }
}

/// The two times of a stored body; `None` if the body has none or not as text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Times {
    /// When the entity was created.
    pub created_at: Option<String>,
    /// When it was last written; for display and for last-write-wins only.
    pub modified_at: Option<String>,
}

/// Reads `createdAt` and `modifiedAt` of a body.
#[must_use]
pub fn times(body: &str) -> Times {
    Fields::parse(body).map_or_else(
        |_| Times::default(),
        |fields| {
            let get = |key| fields.get(key).and_then(scan::text).map(Cow::into_owned);
            Times {
                created_at: get("createdAt"),
                modified_at: get("modifiedAt"),
            }
        },
    )
}

/// The end of every entity of one user, from the quote after the id to the version. Made once for
/// many entities.
#[derive(Debug)]
pub struct Owner(String);

impl Owner {
    #[must_use]
    pub fn new(user_id: &str) -> Self {
        Self::of(user_id, None)
    }

    /// Does the same for entities of a shared space.
    #[must_use]
    pub fn of(user_id: &str, space: Option<&str>) -> Self {
        let mut text = String::from("\",\"userId\":");
        push_string(&mut text, user_id);
        if let Some(space) = space {
            put_text(&mut text, "spaceId", space);
        }
        text.push_str(",\"version\":");
        Self(text)
    }
}

/// Appends the entity as the app sees it: the body followed by its envelope.
pub fn push_entity(
    out: &mut String,
    body: &str,
    id: &str,
    owner: &Owner,
    version: u64,
    deleted: bool,
) {
    // Bodies that the engine wrote end with `}`; looking for white space first would cost more than
    // everything else here.
    let open = body
        .strip_suffix('}')
        .or_else(|| body.trim_end().strip_suffix('}'))
        .unwrap_or("{");
    out.push_str(open);
    let is_value = open
        .as_bytes()
        .last()
        .is_some_and(|last| matches!(last, b'"' | b'}' | b']' | b'a'..=b'z' | b'0'..=b'9'));
    let is_empty = !is_value && open.trim_end().ends_with('{');
    out.push_str(if is_empty { "\"id\":\"" } else { ",\"id\":\"" });
    push_escaped(out, id);
    out.push_str(&owner.0);
    push_number(out, version);
    out.push_str(if deleted {
        ",\"isDeleted\":true}"
    } else {
        ",\"isDeleted\":false}"
    });
}

pub(crate) fn not_found(key: &Key) -> Error {
    Error::new(
        Code::NotFound,
        "There is no such entity; it may have been deleted. Call `create` for a new one.",
    )
    .on(key.entity, Some(key.id))
}

/// Checks the id of a read or a delete.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the broken rule.
pub fn check_entity_id(entity: &str, id: &str) -> Result<()> {
    check_id(id).map_err(|e| e.on(entity, None))
}
