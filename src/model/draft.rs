//! Drafts: what an app gives to a write, checked, and the body to store.
//!
//! A write checks what its caller gives and changes, and nothing else. An app reads an entity
//! through `JSON.parse` and gives it back, so a field for which `JSON.parse` makes the same value
//! of both texts keeps its stored text: an integer beyond 2^53, a time in another form, half of a
//! surrogate pair.

use std::borrow::Cow;

use crate::model::entity::{Fields, OWN_FIELDS, SYNC_STATE, check_id, check_space_id, is_time};
use crate::model::error::{Code, Error, Result};
use crate::model::limits::{MAX_ENTITY_BYTES, MAX_VERSION};
use crate::util::json::equal::{has_lone_surrogate, same_parsed};
use crate::util::json::keep::keep;
use crate::util::json::members::Members;
use crate::util::json::scan;
use crate::util::json::write::{push_field, put_text};

/// The most bytes that the fields of the engine add to what an app gives.
const ENVELOPE_BYTES: usize = 8192;

/// A checked draft: its values of the fields that the engine owns, and the body to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// The id, if the app chose one.
    pub id: Option<String>,
    /// The shared space, if the app named one; empty for the user's own.
    pub space_id: Option<String>,
    /// The user, if the app named one.
    pub user_id: Option<String>,
    /// The version that the app read; only its type is checked.
    pub version: Option<u64>,
    /// The body to store: the app's fields, `createdAt` and `modifiedAt`.
    pub body: String,
    /// The names of the app's own fields in order, if they were asked for.
    pub fields: Vec<String>,
}

/// Reads a draft or a whole entity from the app, checks what differs from the stored bodies, and
/// builds the body to store. If two bodies have a field, the last one's text is kept.
///
/// `createdAt` is the stored body's, else the draft's; a draft without a stored body has `now`.
/// `modifiedAt` is always `now`. The names of the fields are only collected if `names` is true.
///
/// # Errors
/// Fails with [`Code::InvalidEntity`], naming the field and the fix.
pub fn parse_draft(json: &str, now: &str, stored: &[&str], names: bool) -> Result<Draft> {
    let stored = Stored::new(stored);
    let (mut draft, given) = stored.read(json, names)?;
    let mut body = String::with_capacity(json.len().saturating_add(80));
    body.push('{');
    for (key, raw) in &given {
        if !OWN_FIELDS.contains(&key.as_ref()) {
            push_field(&mut body, key, raw);
        }
    }
    // What a backend keeps under the names of the engine's fields: no app sees or changes it.
    for key in OWN_FIELDS.into_iter().filter(|key| !is_time(key)) {
        if let Some(raw) = stored.get(key) {
            push_field(&mut body, key, raw);
        }
    }
    stored.close(&mut draft, body, &given, now)?;
    Ok(draft)
}

/// Reads the changes of a patch, checks what differs from the stored body, and builds the body to
/// store. The names of the given fields are collected.
///
/// # Errors
/// Fails with [`Code::InvalidEntity`], naming the field and the fix.
pub fn parse_patch(changes: &str, now: &str, stored: &str) -> Result<Draft> {
    let stored = Stored::new(&[stored]);
    let (mut draft, given) = stored.read(changes, true)?;
    let mut body = String::with_capacity(stored.bytes.saturating_add(changes.len()));
    body.push('{');
    let changed = |name: &str| {
        let mut all = given.iter().rev();
        all.find(|(key, _)| key == name)
            .map(|(_, raw)| raw.as_ref())
    };
    for (name, raw) in stored.bodies.iter().flat_map(Members::iter) {
        if OWN_FIELDS.contains(&name) {
            if !is_time(name) {
                push_field(&mut body, name, raw);
            }
        } else {
            push_field(&mut body, name, changed(name).unwrap_or(raw));
        }
    }
    for (name, raw) in &given {
        if !OWN_FIELDS.contains(&name.as_ref()) && stored.get(name).is_none() {
            push_field(&mut body, name, raw);
        }
    }
    stored.close(&mut draft, body, &given, now)?;
    Ok(draft)
}

/// Given fields, with the stored text where they are unchanged.
type Given<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The stored bodies of an entity.
struct Stored<'a> {
    bodies: Vec<Members<'a>>,
    /// The size of the largest.
    bytes: usize,
}

impl<'a> Stored<'a> {
    fn new(bodies: &[&'a str]) -> Self {
        Self {
            bodies: bodies
                .iter()
                .filter_map(|body| Members::parse(body).ok())
                .collect(),
            bytes: bodies.iter().map(|body| body.len()).max().unwrap_or(0),
        }
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.bodies.iter().rev().find_map(|body| body.get(key))
    }

    /// Returns a given value with the text of a stored one where both are the same to the app.
    fn kept(&self, key: &str, raw: &'a str) -> Cow<'a, str> {
        let mut kept = Cow::Borrowed(raw);
        for body in &self.bodies {
            let Some(stored) = body.get(key) else {
                continue;
            };
            kept = match kept {
                Cow::Borrowed(raw) => keep(stored, raw),
                Cow::Owned(raw) => Cow::Owned(keep(stored, &raw).into_owned()),
            };
        }
        kept
    }

    fn is_unchanged(&self, key: &str, raw: &str) -> bool {
        let mut sides = self.bodies.iter().filter_map(|body| body.get(key));
        sides.any(|stored| same_parsed(stored, raw))
    }

    /// Reads and checks what an app gives.
    fn read(&self, json: &'a str, names: bool) -> Result<(Draft, Given<'a>)> {
        self.check_size(json.len().saturating_sub(ENVELOPE_BYTES))?;
        let mut draft = Draft::default();
        let fields = Fields::parse(json)?.0;
        let mut given = Vec::with_capacity(fields.len());
        for (key, raw) in fields {
            match key.as_ref() {
                SYNC_STATE => continue,
                "id" => draft.id = Some(text(raw, "id")?.into_owned()),
                "userId" => draft.user_id = Some(text(raw, "userId")?.into_owned()),
                "spaceId" => draft.space_id = Some(space(raw)?),
                "version" => draft.version = Some(version(raw)?),
                "isDeleted" => check_not_deleted(raw)?,
                key if is_time(key) => {
                    if !self.is_unchanged(key, raw) {
                        check_time(raw, key)?;
                    }
                }
                key => {
                    self.check_surrogates(key, raw)?;
                    if names {
                        draft.fields.push(key.to_owned());
                    }
                }
            }
            let kept = self.kept(&key, raw);
            given.push((key, kept));
        }
        if let Some(id) = &draft.id {
            check_id(id)
                .map_err(|e| Error::new(Code::InvalidEntity, format!("`id`: {}", e.message())))?;
        }
        Ok((draft, given))
    }

    /// Adds the times and completes the body.
    fn close(&self, draft: &mut Draft, body: String, given: &Given<'_>, now: &str) -> Result<()> {
        let mut body = body;
        let created = given.iter().rev().find(|(key, _)| key == "createdAt");
        match self
            .get("createdAt")
            .or(created.map(|(_, raw)| raw.as_ref()))
        {
            Some(raw) => push_field(&mut body, "createdAt", raw),
            // Nobody knows when a stored entity without it was made.
            None if !self.bodies.is_empty() => {}
            None => put_text(&mut body, "createdAt", now),
        }
        put_text(&mut body, "modifiedAt", now);
        body.push('}');
        self.check_size(body.len())?;
        draft.body = body;
        Ok(())
    }

    /// Checks a size. An entity that is too large already may stay so, but not grow.
    fn check_size(&self, bytes: usize) -> Result<()> {
        let most = if self.bytes > MAX_ENTITY_BYTES {
            self.bytes.saturating_add(ENVELOPE_BYTES)
        } else {
            MAX_ENTITY_BYTES
        };
        if bytes > most {
            return Err(Error::new(
                Code::InvalidEntity,
                format!(
                    "The entity is {bytes} bytes of JSON; the most is {MAX_ENTITY_BYTES}. Keep large values elsewhere and store a reference."
                ),
            ));
        }
        Ok(())
    }

    /// Refuses half of a surrogate pair that is new: most servers cannot store it.
    fn check_surrogates(&self, key: &str, raw: &str) -> Result<()> {
        let is_new = |raw: &str| {
            let mut sides = self.bodies.iter().filter_map(|body| body.get(key));
            has_lone_surrogate(raw) && !sides.any(has_lone_surrogate)
        };
        if is_new(raw) || (scan::has_lone_surrogate_name(key) && self.get(key).is_none()) {
            return Err(Error::new(
                Code::InvalidEntity,
                format!(
                    "`{key}` has a lone surrogate; strings must be well-formed Unicode (see `String.prototype.toWellFormed`)."
                ),
            ));
        }
        Ok(())
    }
}

fn version(raw: &str) -> Result<u64> {
    raw.parse().ok().filter(|v| *v <= MAX_VERSION).ok_or_else(|| {
        Error::new(
            Code::InvalidEntity,
            "`version` must be a whole number from 0 on; the server assigns it, so leave it as you read it.",
        )
    })
}

/// Reads the id of a space: empty for null, the user's own.
fn space(raw: &str) -> Result<String> {
    if raw == "null" {
        return Ok(String::new());
    }
    let id = text(raw, "spaceId")?.into_owned();
    check_space_id(&id).map_err(|e| Error::new(Code::InvalidEntity, e.message().to_owned()))?;
    Ok(id)
}

fn check_not_deleted(raw: &str) -> Result<()> {
    let wrong = match raw {
        "false" => return Ok(()),
        "true" => "`isDeleted` cannot be set by a write; call `delete(id)` instead.",
        _ => "`isDeleted` must be true or false; leave it out of a draft.",
    };
    Err(Error::new(Code::InvalidEntity, wrong))
}

fn text<'a>(raw: &'a str, field: &str) -> Result<Cow<'a, str>> {
    scan::text(raw).ok_or_else(|| {
        let wrong = if has_lone_surrogate(raw) {
            "has a lone surrogate; strings must be well-formed Unicode."
        } else {
            "must be a string."
        };
        Error::new(Code::InvalidEntity, format!("`{field}` {wrong}"))
    })
}

fn check_time(raw: &str, field: &str) -> Result<()> {
    if crate::util::time::parse(&text(raw, field)?).is_none() {
        return Err(Error::new(
            Code::InvalidEntity,
            format!("`{field}` must be an ISO 8601 UTC time such as 2026-01-31T12:00:00.000Z."),
        ));
    }
    Ok(())
}
