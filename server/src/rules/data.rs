//! An entity's JSON on its way in: checked, stripped of what stands beside it, and merged.
//!
//! Values are never parsed: what the app wrote inside a field is stored as it was written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::entity::Fields;
use datum_sync::model::protocol::Raw;
use serde_json::Value;

/// Fields that stand beside the data and never in it.
const BESIDE: [&str; 4] = ["id", "userId", "version", "isDeleted"];

/// Why an operation's data cannot be taken: code and message of the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable word.
    pub code: &'static str,
    /// The same for people.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Checks the object of a write and leaves out what must not be stored in it.
///
/// # Errors
/// `invalidData`, `tooLarge` or `userMismatch`.
pub fn clean(user: &str, raw: Option<Raw<'_>>, max_bytes: usize) -> Result<Arc<str>, Refusal> {
    let Raw(text) = raw.ok_or_else(|| {
        Refusal::new(
            "invalidData",
            "`data` is missing; create, update and patch need an object.",
        )
    })?;
    check_size(text.len(), max_bytes)?;
    let fields = Fields::parse(text)
        .map_err(|_| Refusal::new("invalidData", "`data` must be a JSON object."))?;
    if let Some(owner) = fields.get("userId")
        && owner != "null"
        && serde_json::from_str::<Cow<'_, str>>(owner).ok().as_deref() != Some(user)
    {
        return Err(Refusal::new(
            "userMismatch",
            "`data.userId` names someone else than the token; leave it out.",
        ));
    }
    let stands_beside = |key: &str| BESIDE.contains(&key);
    let mut last = BTreeMap::new();
    for (place, (key, _)) in fields.0.iter().enumerate() {
        last.insert(key.as_ref(), place);
    }
    if last.len() == fields.0.len() && !fields.0.iter().any(|(key, _)| stands_beside(key)) {
        return Ok(text.into());
    }
    let kept =
        fields.0.iter().enumerate().filter(|(place, (key, _))| {
            !stands_beside(key) && last.get(key.as_ref()) == Some(place)
        });
    Ok(Fields(kept.map(|(_, field)| field.clone()).collect())
        .to_json()
        .into())
}

/// Lays the top-level fields of a patch over the stored object.
///
/// # Errors
/// `tooLarge` for the result; `invalidData` where the stored text is no object.
pub fn merge(stored: &str, patch: &str, max_bytes: usize) -> Result<Arc<str>, Refusal> {
    let broken = |_| {
        Refusal::new(
            "invalidData",
            "The stored entity or the patch is not a JSON object.",
        )
    };
    let mut fields = Fields::parse(stored).map_err(broken)?;
    let patch = Fields::parse(patch).map_err(broken)?;
    let mut places: BTreeMap<String, usize> = fields
        .0
        .iter()
        .enumerate()
        .map(|(place, (key, _))| (key.to_string(), place))
        .collect();
    for (key, value) in patch.0 {
        match places
            .get(key.as_ref())
            .and_then(|place| fields.0.get_mut(*place))
        {
            Some(field) => field.1 = value,
            None => {
                places.insert(key.to_string(), fields.0.len());
                fields.0.push((key, value));
            }
        }
    }
    let merged = fields.to_json();
    check_size(merged.len(), max_bytes)?;
    Ok(merged.into())
}

/// Whether two objects say the same, whatever the order of their keys and their white space.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
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

fn check_size(bytes: usize, max_bytes: usize) -> Result<(), Refusal> {
    if bytes > max_bytes {
        return Err(Refusal::new(
            "tooLarge",
            format!(
                "The entity is {bytes} bytes of JSON; the most is {max_bytes}. Keep large values elsewhere and store a reference."
            ),
        ));
    }
    Ok(())
}
