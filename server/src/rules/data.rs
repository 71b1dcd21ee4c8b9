//! Checks, cleans and merges the JSON that an app sends.
//!
//! Values are never parsed: a field's text is stored as the app wrote it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::entity::Fields;
use datum_sync::model::protocol::Raw;
use datum_sync::util::json::equal::{MAX_DEPTH, has_lone_surrogate};

/// Fields that travel beside the data and are not stored in it.
const RESERVED: [&str; 4] = ["id", "userId", "version", "isDeleted"];

/// Why an operation is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The stable code.
    pub code: &'static str,
    /// The reason in words.
    pub message: String,
    /// Of a move: which of its two spaces it is about.
    pub space: Option<Arc<str>>,
}

impl Rejection {
    /// Creates a rejection.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            space: None,
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
    check_editable(text)?;
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

/// Refuses values that no client could edit: JavaScript reads them as something else, or a client
/// does not read them at all.
fn check_editable(text: &str) -> Result<(), Rejection> {
    let whole = Unreadable::find(text);
    let Some(problem) = whole else {
        return Ok(());
    };
    let fields = Fields::parse(text).unwrap_or_default();
    let named = fields
        .0
        .iter()
        .find(|(_, value)| Unreadable::find_in_field(value).is_some());
    let place = named.map_or_else(
        || "The name of a field".to_owned(),
        |(name, _)| format!("`data.{name}`"),
    );
    Err(Rejection::new(
        "invalidData",
        format!("{place} {}", problem.words()),
    ))
}

/// What is wrong with a value.
#[derive(Clone, Copy)]
enum Unreadable {
    Surrogate,
    Depth,
    Number,
}

impl Unreadable {
    const fn words(self) -> &'static str {
        match self {
            Self::Surrogate => {
                "has half a surrogate pair; send whole characters, or replace it by U+FFFD."
            }
            Self::Depth => "is nested more than 128 levels deep.",
            Self::Number => {
                "has a number beyond 1.8e308, which JavaScript cannot hold; send it as a string."
            }
        }
    }

    fn find(object: &str) -> Option<Self> {
        Self::within(object, MAX_DEPTH)
    }

    fn find_in_field(value: &str) -> Option<Self> {
        Self::within(value, MAX_DEPTH.saturating_sub(1))
    }

    fn within(json: &str, levels: u32) -> Option<Self> {
        if has_lone_surrogate(json) {
            return Some(Self::Surrogate);
        }
        let mut left = levels;
        let mut bytes = json.bytes().enumerate();
        let mut number = None;
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => skip_string(&mut bytes),
                b'[' | b'{' => match left.checked_sub(1) {
                    Some(fewer) => left = fewer,
                    None => return Some(Self::Depth),
                },
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'e' | b'E' => {
                    number.get_or_insert(at);
                    continue;
                }
                _ => {}
            }
            if matches!(byte, b']' | b'}') {
                left = left.saturating_add(1);
            }
            if is_too_large(number.take().and_then(|start| json.get(start..at))) {
                return Some(Self::Number);
            }
        }
        is_too_large(number.and_then(|start| json.get(start..))).then_some(Self::Number)
    }
}

/// Skips the rest of a string.
fn skip_string(bytes: &mut impl Iterator<Item = (usize, u8)>) {
    while let Some((_, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

/// Short numbers without an exponent are not: parsing each would cost most.
fn is_too_large(number: Option<&str>) -> bool {
    number.is_some_and(|number| {
        (number.len() > 300 || number.contains(['e', 'E']))
            && number.parse::<f64>().is_ok_and(f64::is_infinite)
    })
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
