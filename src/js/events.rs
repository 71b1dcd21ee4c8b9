//! The filter of `events`.

use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Topic};
use crate::js::convert::read_options;
use crate::model::error::Result;

/// Reads the filter of `events`.
///
/// # Errors
/// Fails with `invalidArgument`, naming the field.
pub(super) fn read_filter(value: &JsValue) -> Result<Filter> {
    let given = read_options(value, "filter")?;
    let given = given.data();
    let one = || given.text("type").map(|name| vec![name]);
    let names = given.texts("type").or_else(one).unwrap_or_default();
    let topics = Topic::NAMES
        .iter()
        .filter(|(known, _)| names.iter().any(|name| name == known));
    Ok(Filter {
        user_id: given.text("userId"),
        entity: given.text("entity"),
        topics: topics.map(|(_, topic)| *topic).collect(),
        is_observer: false,
    })
}
