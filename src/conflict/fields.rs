//! Compares bodies field by field.

use crate::model::error::{Code, Error, Result};
use crate::util::hash::hash;
use crate::util::json::equal::{canonical, same_value};
use crate::util::json::members::Members;
use crate::util::json::write::push_field;

/// Times that every write sets; they never conflict.
pub(super) const TIMES: [&str; 2] = ["createdAt", "modifiedAt"];

/// Returns the top-level fields that both sides changed to different values.
#[must_use]
pub fn clashing_fields(
    base: Option<&str>,
    local: Option<&str>,
    remote: Option<&str>,
    earlier: &[u64],
) -> Vec<String> {
    let (base, local, remote) = (
        object_or_empty(base),
        object_or_empty(local),
        object_or_empty(remote),
    );
    all_keys(&remote, &local)
        .filter(|key| !TIMES.contains(key))
        .filter(|key| {
            let (was, ours, theirs) = (base.get(key), local.get(key), remote.get(key));
            !same(ours, was)
                && !same(theirs, was)
                && !same(ours, theirs)
                && !theirs.is_some_and(|theirs| earlier.contains(&field_hash(key, theirs)))
        })
        .map(str::to_owned)
        .collect()
}

/// Rebases a write: applies what `ours` changed in `base` to `theirs`. Where both changed a field,
/// ours wins and the flag is true. `None` if a body is not an object.
#[must_use]
pub fn onto(base: Option<&str>, ours: &str, theirs: &str) -> Option<(String, bool)> {
    let base = base.map_or_else(|| Ok(Members::default()), object).ok()?;
    let (ours, theirs) = (object(ours).ok()?, object(theirs).ok()?);
    let (mut made, mut clash) = (String::from("{"), false);
    for key in all_keys(&theirs, &ours) {
        let (was, mine, other) = (base.get(key), ours.get(key), theirs.get(key));
        let untouched = same(mine, was);
        clash |= !untouched && !same(other, was) && !same(mine, other) && !TIMES.contains(&key);
        if let Some(value) = if untouched { other } else { mine } {
            push_field(&mut made, key, value);
        }
    }
    made.push('}');
    Some((made, clash))
}

/// Returns a hash of each field of a body with its value; only of the fields in `only` if it is not
/// empty.
#[must_use]
pub fn field_hashes(body: &str, only: &[String]) -> Vec<u64> {
    let fields = object(body).unwrap_or_default();
    let concerned = |key: &str| {
        !TIMES.contains(&key) && (only.is_empty() || only.iter().any(|name| name == key))
    };
    fields
        .iter()
        .filter(|(key, _)| concerned(key))
        .map(|(key, value)| field_hash(key, value))
        .collect()
}

/// Returns the hashes of the values that a write set and replaced; those of the whole write if the
/// base is not known.
#[must_use]
pub fn changed_field_hashes(base: Option<&str>, body: &str, only: &[String]) -> Vec<u64> {
    let (Some(was), Ok(now)) = (base.and_then(|base| object(base).ok()), object(body)) else {
        return field_hashes(body, only);
    };
    let mut hashes = Vec::new();
    for key in all_keys(&now, &was) {
        let (was, now) = (was.get(key), now.get(key));
        if !same(was, now) && !TIMES.contains(&key) {
            hashes.extend(
                [was, now]
                    .into_iter()
                    .flatten()
                    .map(|value| field_hash(key, value)),
            );
        }
    }
    hashes
}

/// Returns the names of the fields in which a body differs from its base.
#[must_use]
pub fn changed_fields(base: &str, body: &str) -> Vec<String> {
    let (was, now) = (object_or_empty(Some(base)), object_or_empty(Some(body)));
    all_keys(&now, &was)
        .filter(|key| !TIMES.contains(key) && !same(was.get(key), now.get(key)))
        .map(str::to_owned)
        .collect()
}

/// Returns a body without this device's own values: those whose hash is in `own`, or all values if
/// `own` is `None`. Values that the remote has too are kept, and those in whose place it has one
/// whose hash is not in `older`, if that is given.
#[must_use]
pub fn of_others(
    body: &str,
    own: Option<&[u64]>,
    remote: Option<&str>,
    older: Option<&[u64]>,
) -> Option<String> {
    let remote = object_or_empty(remote);
    let mut fields = String::from("{");
    for (key, value) in object(body).ok()?.iter() {
        let theirs = remote.get(key);
        if same(theirs, Some(value))
            || own.is_some_and(|own| !own.contains(&field_hash(key, value)))
            || (older.zip(theirs))
                .is_some_and(|(older, theirs)| !older.contains(&field_hash(key, theirs)))
        {
            push_field(&mut fields, key, value);
        }
    }
    fields.push('}');
    Some(fields)
}

pub(super) fn field_hash(key: &str, value: &str) -> u64 {
    hash([key, "\0", &canonical(value)].concat().as_bytes())
}

/// Returns true if the remote row is this device's own work: each field has the local value, the
/// base's, or one that an earlier write of this device set.
#[must_use]
pub fn is_own(base: Option<&str>, local: Option<&str>, remote: &str, earlier: &[u64]) -> bool {
    let (base, local) = (object_or_empty(base), object_or_empty(local));
    let Ok(remote) = object(remote) else {
        return false;
    };
    let mut fields = remote.iter().filter(|(key, _)| !TIMES.contains(key));
    fields.all(|(key, theirs)| {
        same(local.get(key), Some(theirs))
            || same(base.get(key), Some(theirs))
            || earlier.contains(&field_hash(key, theirs))
    })
}

/// Returns true if two bodies are equal except for the order of keys and the times of the writes.
#[must_use]
pub fn same_content(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (object(a), object(b)) else {
        return false;
    };
    let content = |(key, _): &(&str, &str)| !TIMES.contains(key);
    let (mut a, mut b) = (a.sorted().filter(content), b.sorted().filter(content));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some((key, a)), Some((other, b))) if key == other && same_value(a, b) => {}
            _ => return false,
        }
    }
}

/// Returns true if a field has the same value on two sides, or is absent on both.
pub(super) fn same(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_value(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

pub(crate) fn object(body: &str) -> Result<Members<'_>> {
    Members::parse(body).map_err(|cause| {
        Error::new(Code::Conflict, "A conflicting entity is not a JSON object.").caused_by(cause)
    })
}

/// Parses a body; an empty object if there is none or it is not an object.
pub(crate) fn object_or_empty(body: Option<&str>) -> Members<'_> {
    body.and_then(|body| object(body).ok()).unwrap_or_default()
}

/// Returns the keys of both sides, the remote's first.
pub(super) fn all_keys<'a>(
    remote: &'a Members<'_>,
    local: &'a Members<'_>,
) -> impl Iterator<Item = &'a str> {
    let mine = local.iter().filter(|(key, _)| remote.get(key).is_none());
    remote.iter().chain(mine).map(|(key, _)| key)
}
