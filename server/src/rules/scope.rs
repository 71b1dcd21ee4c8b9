//! The restriction of a pull. The reference server knows one kind of scope, equality of top-level
//! fields: `{"where": {"field": value}}`.

use std::collections::BTreeMap;

use datum_sync::model::digest::row_hash;
use datum_sync::model::entity::{Fields, check_name};
use datum_sync::model::space::{MEMBER, SPACE};
use datum_sync::util::json::equal::{canonical, same_value};

use super::{Config, ServerError};

/// A checked restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only these entity types, sorted and unique; `None` for all. Spaces and members are among
    /// them: a client needs them to know what it may do.
    pub entities: Option<Vec<String>>,
    /// Only rows whose fields have these values, in canonical text; `None` for all rows.
    pub fields: Option<Vec<(String, String)>>,
}

/// The most entity types in a filter.
const MAX_ENTITIES: usize = 256;
/// The most fields in a scope.
const MAX_FIELDS: usize = 16;

impl Scope {
    /// Checks a filter, and a scope in JSON.
    ///
    /// # Errors
    /// 400 `badRequest`, `unknownEntity` or `unsupportedScope`.
    pub fn parse(
        config: &Config,
        entities: Option<&[String]>,
        scope: Option<&str>,
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
        let fields = scope.map(parse_where).transpose()?;
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
            None => value == "null",
            Some(have) => same_value(have, value),
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
    sorted.extend([SPACE, MEMBER].map(str::to_owned));
    sorted.sort();
    sorted.dedup();
    Ok(sorted)
}

fn parse_where(scope: &str) -> Result<Vec<(String, String)>, ServerError> {
    let unsupported = |why: &str| {
        ServerError::new(
            400,
            "unsupportedScope",
            format!("{why} This server knows {{\"where\": {{field: value}}}}."),
        )
    };
    let object = Fields::parse(scope).map_err(|_| unsupported("`scope` must be an object."))?;
    let fields = match object.0.as_slice() {
        [(name, value)] if name == "where" => Fields::parse(value).ok(),
        _ => None,
    };
    let fields = fields
        .ok_or_else(|| unsupported("`scope` must have the object `where` and nothing else."))?;
    // If a name stands twice, the last one counts.
    let mut all = BTreeMap::new();
    for (name, value) in fields.0 {
        if value.starts_with(['[', '{']) {
            return Err(unsupported(
                "`scope.where` compares with strings, numbers, booleans and null.",
            ));
        }
        all.insert(name.into_owned(), canonical(value));
    }
    if all.is_empty() || all.len() > MAX_FIELDS {
        return Err(unsupported("`scope.where` must have 1 to 16 fields."));
    }
    Ok(all.into_iter().collect())
}
