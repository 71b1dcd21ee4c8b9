//! The restriction of a pull. The reference server knows one kind of scope, equality of top-level
//! fields: `{"where": {"field": value}}`.

use datum_sync::model::digest::row_hash;
use datum_sync::model::entity::{Fields, check_name};
use serde_json::Value;

use super::{Config, ServerError};

/// A checked restriction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Only these entity types, sorted and unique; `None` for all.
    pub entities: Option<Vec<String>>,
    /// Only rows whose fields have these values; `None` for all rows.
    pub fields: Option<Vec<(String, Value)>>,
}

/// The most entity types in a filter.
const MAX_ENTITIES: usize = 256;
/// The most fields in a scope.
const MAX_FIELDS: usize = 16;

impl Scope {
    /// Checks a filter and a scope.
    ///
    /// # Errors
    /// 400 `badRequest`, `unknownEntity` or `unsupportedScope`.
    pub fn parse(
        config: &Config,
        entities: Option<&[String]>,
        scope: Option<&Value>,
    ) -> Result<Self, ServerError> {
        let entities = match entities {
            None => None,
            Some([]) => {
                return Err(ServerError::bad_request(
                    "`entities` must name at least one entity type; leave it out for all.",
                ));
            }
            Some(all) if all.len() > MAX_ENTITIES => {
                return Err(ServerError::bad_request(format!(
                    "`entities` names more than {MAX_ENTITIES} entity types; leave it out for all."
                )));
            }
            Some(all) => Some(parse_entities(config, all)?),
        };
        let fields = scope
            .filter(|scope| !scope.is_null())
            .map(parse_where)
            .transpose()?;
        Ok(Self { entities, fields })
    }

    /// Returns the hash that cursors are bound to: equal for equal restrictions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let text = serde_json::json!([self.entities, self.fields]).to_string();
        if self.is_everything() {
            0
        } else {
            row_hash("scope", &text, 1)
        }
    }

    /// Returns whether nothing is restricted.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.entities.is_none() && self.fields.is_none()
    }

    /// Returns whether a row's data matches. A missing field equals null.
    #[must_use]
    pub fn matches(&self, data: &str) -> bool {
        let Some(wanted) = &self.fields else {
            return true;
        };
        let Ok(fields) = Fields::parse(data) else {
            return false;
        };
        wanted.iter().all(|(name, value)| match fields.get(name) {
            None => value.is_null(),
            Some(raw) => serde_json::from_str::<Value>(raw).is_ok_and(|have| equal(&have, value)),
        })
    }
}

fn parse_entities(config: &Config, entities: &[String]) -> Result<Vec<String>, ServerError> {
    for name in entities {
        check_name(name)
            .map_err(|e| ServerError::bad_request(format!("`entities`: {}", e.message())))?;
        if !config.knows(name) {
            return Err(ServerError::new(
                400,
                "unknownEntity",
                format!("`entities` names `{name}`, which this server does not keep."),
            ));
        }
    }
    let mut sorted = entities.to_vec();
    sorted.sort();
    sorted.dedup();
    Ok(sorted)
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // 1 and 1.0 are one number in JavaScript.
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn parse_where(scope: &Value) -> Result<Vec<(String, Value)>, ServerError> {
    let unsupported = |why: &str| {
        ServerError::new(
            400,
            "unsupportedScope",
            format!("{why} This server knows {{\"where\": {{field: value}}}}."),
        )
    };
    let object = scope
        .as_object()
        .ok_or_else(|| unsupported("`scope` must be an object."))?;
    let fields = match (object.len(), object.get("where").and_then(Value::as_object)) {
        (1, Some(fields)) => fields,
        _ => return Err(unsupported("`scope` must have `where` and nothing else.")),
    };
    if fields.is_empty() || fields.len() > MAX_FIELDS {
        return Err(unsupported("`scope.where` must have 1 to 16 fields."));
    }
    let mut all = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if value.is_array() || value.is_object() {
            return Err(unsupported(
                "`scope.where` compares with strings, numbers, booleans and null.",
            ));
        }
        all.push((name.clone(), value.clone()));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}
