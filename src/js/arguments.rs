//! Reads string arguments of exported methods.

use wasm_bindgen::prelude::*;

use crate::js::convert::{encode_many, is_well_formed, lines};
use crate::model::error::{Code, Error, Result};
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::scan;
use crate::web::interop::is_absent;

/// Reads a user id.
///
/// # Errors
/// As [`read_string`].
pub(crate) fn read_user(value: &JsValue) -> Result<String> {
    read_string(value, "`userId`")
}

/// Reads a user id that may be left out.
///
/// # Errors
/// As [`read_string`].
pub(crate) fn read_optional_user(value: &JsValue) -> Result<Option<String>> {
    if is_absent(value) {
        Ok(None)
    } else {
        read_user(value).map(Some)
    }
}

/// Reads a string.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`] if it is not a string, or has a lone surrogate, which UTF-8
/// cannot hold.
pub fn read_string(value: &JsValue, what: &str) -> Result<String> {
    let Some(text) = value.as_string() else {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{what} must be a string."),
        ));
    };
    // The conversion puts U+FFFD for a lone surrogate: only such a text needs a second look.
    if text.chars().any(|c| c == char::REPLACEMENT_CHARACTER) && !is_well_formed(value) {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{what} has a lone surrogate; strings must be well-formed Unicode."),
        ));
    }
    Ok(text)
}

/// Reads an array of strings. Of those that are there twice, the first stays.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the place.
pub fn read_distinct_strings(value: &JsValue, what: &str) -> Result<Vec<String>> {
    let text = encode_many(value, Code::InvalidArgument, what)?;
    let (mut seen, mut found) = (OrderedMap::default(), Vec::new());
    for (index, line) in lines(&text).enumerate() {
        let item = scan::text(line).ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                format!("{what}: `[{index}]` must be a string."),
            )
        })?;
        if seen.insert(&item, ()).is_none() {
            found.push(item.into_owned());
        }
    }
    Ok(found)
}
