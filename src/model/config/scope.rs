//! `SyncScope`: a partial pull with a cursor of its own.

use crate::model::checked_object::CheckedObject;
use crate::util::json::serialize::to_string;

/// `SyncScope` of the public surface: a partial pull with a cursor of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Only these entity types.
    pub entities: Option<Vec<String>>,
    /// The remote's own filter.
    pub query: Option<serde_json::Value>,
    /// The cursor's name; made of the other two by default.
    pub name: Option<String>,
}

impl Scope {
    /// Returns the name under which its cursor is stored. It is never empty, which is the main
    /// cursor's name. Types are separated by a character that no name can have, so different scopes
    /// have different cursors.
    #[must_use]
    pub fn cursor_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let query = self.query.as_ref().map(to_string).unwrap_or_default();
            [
                &self.entities.as_deref().unwrap_or_default().join("\n"),
                "?",
                &query,
            ]
            .concat()
        })
    }

    pub(super) fn read(given: CheckedObject<'_>) -> Self {
        Self {
            entities: given.texts("entities"),
            query: given.value("query").cloned(),
            name: given.text("name"),
        }
    }
}
