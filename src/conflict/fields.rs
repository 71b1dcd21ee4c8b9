//! Compares bodies field by field.

use serde_json::{Map, Value};
use twox_hash::XxHash3_64;

use crate::model::error::{Code, Error, Result};
use crate::util::json::scan;
use crate::util::json::serialize::to_string;

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
        .filter(|key| !TIMES.contains(&key.as_str()))
        .filter(|key| {
            let (was, ours, theirs) = (base.get(*key), local.get(*key), remote.get(*key));
            ours != was
                && theirs != was
                && ours != theirs
                && !theirs.is_some_and(|theirs| earlier.contains(&field_hash(key, theirs)))
        })
        .cloned()
        .collect()
}

/// Rebases a write: applies what `ours` changed in `base` to `theirs`. Where both changed a field,
/// ours wins and the flag is true. `None` if a body is not an object.
#[must_use]
pub fn onto(base: Option<&str>, ours: &str, theirs: &str) -> Option<(String, bool)> {
    let base = base.map_or_else(|| Ok(Map::new()), object).ok()?;
    let (ours, theirs) = (object(ours).ok()?, object(theirs).ok()?);
    let (mut made, mut clash) = (Map::new(), false);
    for key in all_keys(&theirs, &ours) {
        let (was, mine, other) = (base.get(key), ours.get(key), theirs.get(key));
        clash |= mine != was && other != was && mine != other && !TIMES.contains(&key.as_str());
        if let Some(value) = if mine == was { other } else { mine } {
            made.insert(key.clone(), value.clone());
        }
    }
    Some((to_string(&made), clash))
}

/// Returns a hash of each field of a body with its value; only of the fields in `only` if it is not
/// empty.
#[must_use]
pub fn field_hashes(body: &str, only: &[String]) -> Vec<u64> {
    let fields = object(body).unwrap_or_default();
    let concerned =
        |key: &String| !TIMES.contains(&key.as_str()) && (only.is_empty() || only.contains(key));
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
        if was != now && !TIMES.contains(&key.as_str()) {
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

/// Returns a body without this device's own values: those whose hash is in `own`, or all values if
/// `own` is `None`. Values that the remote has too are kept.
#[must_use]
pub fn of_others(body: &str, own: Option<&[u64]>, remote: Option<&str>) -> Option<String> {
    let remote = object_or_empty(remote);
    let mut fields = Map::new();
    // A new map: removing from a map would be code that nothing else needs.
    for (key, value) in object(body).ok()? {
        if remote.get(&key) == Some(&value)
            || own.is_some_and(|own| !own.contains(&field_hash(&key, &value)))
        {
            fields.insert(key, value);
        }
    }
    Some(to_string(&fields))
}

pub(super) fn field_hash(key: &str, value: &Value) -> u64 {
    XxHash3_64::oneshot([key, "\0", &to_string(value)].concat().as_bytes())
}

/// Returns true if the remote row is this device's own work: each field has the local value, the
/// base's, or one that an earlier write of this device set.
#[must_use]
pub fn is_own(base: Option<&str>, local: Option<&str>, remote: &str, earlier: &[u64]) -> bool {
    let (base, local) = (object_or_empty(base), object_or_empty(local));
    let Ok(remote) = object(remote) else {
        return false;
    };
    let mut fields = remote
        .iter()
        .filter(|(key, _)| !TIMES.contains(&key.as_str()));
    fields.all(|(key, theirs)| {
        local.get(key) == Some(theirs)
            || base.get(key) == Some(theirs)
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
    let is_content = |(key, _): &(&String, &Value)| !TIMES.contains(&key.as_str());
    a.iter().filter(is_content).eq(b.iter().filter(is_content))
}

pub(crate) fn object(body: &str) -> Result<Map<String, Value>> {
    let wrong = || Error::new(Code::Conflict, "A conflicting entity is not a JSON object.");
    match scan::tree(body).map_err(|cause| wrong().caused_by(cause))? {
        Value::Object(map) => Ok(map),
        _ => Err(wrong()),
    }
}

/// Parses a body; an empty object if there is none or it is not an object.
pub(crate) fn object_or_empty(body: Option<&str>) -> Map<String, Value> {
    body.and_then(|body| object(body).ok()).unwrap_or_default()
}

/// Returns the keys of both sides, the remote's first.
pub(super) fn all_keys<'a>(
    remote: &'a Map<String, Value>,
    local: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    remote
        .keys()
        .chain(local.keys().filter(|key| !remote.contains_key(*key)))
}
