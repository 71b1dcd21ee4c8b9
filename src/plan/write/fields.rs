//! Compares the fields of bodies, and leaves some out.

use std::borrow::Cow;

use crate::model::entity::{Fields, is_time};
use crate::model::error::Result;
use crate::model::operation::OperationKind;
use crate::model::schema_field::SchemaField;
use crate::state::local_only;
use crate::util::json::write::push_string;

/// Returns true if two bodies have the same texts in all fields but their times.
pub(super) fn same_fields(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (Fields::parse(a), Fields::parse(b)) else {
        return false;
    };
    let count = |fields: &Fields<'_>| fields.0.iter().filter(|(name, _)| !is_time(name)).count();
    let mut own = b.0.iter().filter(|(name, _)| !is_time(name));
    count(&a) == count(&b) && own.all(|(name, value)| a.get(name) == Some(value))
}

/// Returns an entity with its id and without some of its fields; `None` if it has none of them.
pub(super) fn without(
    body: &str,
    beside: Option<&str>,
    removed: &[String],
    id: &str,
) -> Result<Option<String>> {
    let whole = beside.map_or(Cow::Borrowed(body), |beside| {
        Cow::Owned(local_only::joined(body, beside))
    });
    let mut fields = Fields::parse(&whole)?;
    let had = fields.0.len();
    let is_removed = |name: &str| removed.iter().any(|gone| gone == name);
    fields.0.retain(|(name, _)| !is_removed(name));
    if fields.0.len() == had {
        return Ok(None);
    }
    let mut text = String::new();
    push_string(&mut text, id);
    fields.0.push((Cow::Borrowed("id"), &text));
    Ok(Some(fields.to_json()))
}

/// Returns a body with the app's version in the field for it. A patch becomes an update if the server
/// has the entity in another form: its fields would not fit to the rest.
pub(super) fn in_form(
    field: &SchemaField,
    body: String,
    kind: &mut OperationKind,
    stored: Option<&str>,
) -> String {
    let has = stored.and_then(|stored| field.of(stored));
    if *kind == OperationKind::Patch && has < Some(field.version) {
        *kind = OperationKind::Update;
    }
    field.stated(&body).into_owned()
}
