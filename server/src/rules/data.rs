//! Checks, cleans and merges the JSON that an app sends.
//!
//! Values are never parsed: a field's text is stored as the app wrote it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::entity::Fields;
use datum_sync::model::protocol::Raw;
use serde_json::Value;

/// Fields that travel beside the data and are not stored in it.
const RESERVED: [&str; 4] = ["id", "userId", "version", "isDeleted"];

/// Why an operation is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The stable code.
    pub code: &'static str,
    /// The reason in words.
    pub message: String,
}

impl Rejection {
    /// Creates a rejection.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Checks the object of a write, and removes reserved fields and all but the last of equal keys.
///
/// # Errors
/// Fails with `invalidData`, `tooLarge` or `userMismatch`.
pub fn clean(user: &str, raw: Option<Raw<'_>>, max_bytes: usize) -> Result<Arc<str>, Rejection> {
    let Raw(text) = raw.ok_or_else(|| {
        Rejection::new(
            "invalidData",
            "`data` is missing; create, update and patch need an object.",
        )
    })?;
    check_size(text.len(), max_bytes)?;
    let fields = Fields::parse(text)
        .map_err(|_| Rejection::new("invalidData", "`data` must be a JSON object."))?;
    if let Some(owner) = fields.get("userId")
        && owner != "null"
        && serde_json::from_str::<Cow<'_, str>>(owner).ok().as_deref() != Some(user)
    {
        return Err(Rejection::new(
            "userMismatch",
            "`data.userId` is not the user of the token; leave it out.",
        ));
    }
    let reserved = |key: &str| RESERVED.contains(&key);
    let mut last = BTreeMap::new();
    for (index, (key, _)) in fields.0.iter().enumerate() {
        last.insert(key.as_ref(), index);
    }
    if last.len() == fields.0.len() && !fields.0.iter().any(|(key, _)| reserved(key)) {
        return Ok(text.into());
    }
    let kept = fields
        .0
        .iter()
        .enumerate()
        .filter(|(index, (key, _))| !reserved(key) && last.get(key.as_ref()) == Some(index));
    Ok(Fields(kept.map(|(_, field)| field.clone()).collect())
        .to_json()
        .into())
}

/// Replaces the stored object's top-level fields with those of a patch.
///
/// # Errors
/// Fails with `tooLarge` for the result; `invalidData` if the stored text is not an object.
pub fn merge(stored: &str, patch: &str, max_bytes: usize) -> Result<Arc<str>, Rejection> {
    let broken = |_| {
        Rejection::new(
            "invalidData",
            "The stored entity or the patch is not a JSON object.",
        )
    };
    let mut fields = Fields::parse(stored).map_err(broken)?;
    let patch = Fields::parse(patch).map_err(broken)?;
    let mut index_of: BTreeMap<String, usize> = fields
        .0
        .iter()
        .enumerate()
        .map(|(index, (key, _))| (key.to_string(), index))
        .collect();
    for (key, value) in patch.0 {
        match index_of
            .get(key.as_ref())
            .and_then(|index| fields.0.get_mut(*index))
        {
            Some(field) => field.1 = value,
            None => {
                index_of.insert(key.to_string(), fields.0.len());
                fields.0.push((key, value));
            }
        }
    }
    let merged = fields.to_json();
    check_size(merged.len(), max_bytes)?;
    Ok(merged.into())
}

/// Returns whether two JSON texts have the same value, whatever their key order and white space.
#[must_use]
pub fn equal(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (
        serde_json::from_str::<Value>(a),
        serde_json::from_str::<Value>(b),
    ) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn check_size(bytes: usize, max_bytes: usize) -> Result<(), Rejection> {
    if bytes > max_bytes {
        return Err(Rejection::new(
            "tooLarge",
            format!(
                "The entity is {bytes} bytes of JSON; the most is {max_bytes}. \
                 Keep large values elsewhere and store a reference."
            ),
        ));
    }
    Ok(())
}
