//! `SyncScope`: a partial pull with a cursor of its own.

use crate::model::config::is_name;
use crate::model::object_reader::ObjectReader;
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

    pub(super) fn read(mut given: ObjectReader<'_>) -> Self {
        let scope = Self {
            entities: given.texts("entities"),
            query: given.value("query").cloned(),
            name: given.text("name"),
        };
        if scope.name.as_deref() == Some("") {
            given.reject::<()>("name", "must not be empty.");
        }
        if scope.entities.as_ref().is_some_and(Vec::is_empty) {
            given.reject::<()>(
                "entities",
                "must name at least one entity type; leave it out for all.",
            );
        }
        for entity in scope.entities.iter().flatten() {
            is_name(
                &given,
                "entities",
                "has no name of an entity type: ",
                entity,
            );
        }
        given.reject_unknown();
        scope
    }
}
