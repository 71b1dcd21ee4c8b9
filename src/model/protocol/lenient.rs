//! Reads the members of requests as the protocol allows them: null is absent, and a whole number may
//! be written with a fraction of zero. For servers; what a client reads is in `read`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::util::json::number::whole;

/// Reads null as the default.
///
/// # Errors
/// Those of the type.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a whole number, as [`whole`] does, or null.
///
/// # Errors
/// Fails for anything else, and for a number that is too large for the type.
pub fn whole_or_none<'de, D, N>(deserializer: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    let Some(value) = Option::<Box<RawValue>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let number = whole(value.get()).and_then(|number| N::try_from(number).ok());
    let wrong = || D::Error::custom("expected a whole number from 0 on, in the field's range");
    number.map(Some).ok_or_else(wrong)
}

/// Reads a whole number; null is 0.
///
/// # Errors
/// Those of [`whole_or_none`].
pub fn whole_or_zero<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64> + Default,
{
    whole_or_none(deserializer).map(Option::unwrap_or_default)
}
