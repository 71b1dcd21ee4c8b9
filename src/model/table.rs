//! A table: the rows of one entity type in one space.
//!
//! The state, the log and the plans are keyed by a table's name: the entity type for the user's
//! personal space; entity type, a zero byte and the space's id for a shared one. Neither has
//! control characters, so two tables never have one name, and the tables of a type are neighbours
//! in order of name. Only the edges take a name apart: the config, the wire and the app.

use std::borrow::Cow;

use crate::model::space::is_reserved;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::put_text;

/// What separates the entity type from the space.
const BETWEEN: u8 = 0;

/// The name of a table, to take apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table<'a>(pub &'a str);

impl<'a> Table<'a> {
    /// Returns the name of the table of an entity type in a space; `None` for the personal one.
    #[must_use]
    pub fn name(entity: &'a str, space: Option<&str>) -> Cow<'a, str> {
        match space {
            None => Cow::Borrowed(entity),
            Some(space) => Cow::Owned([entity, "\0", space].concat()),
        }
    }

    /// The entity type, as the config names it.
    #[must_use]
    pub fn entity(self) -> &'a str {
        self.split().map_or(self.0, |(entity, _)| entity)
    }

    /// The id of the shared space; `None` for the personal one.
    #[must_use]
    pub fn space(self) -> Option<&'a str> {
        self.split().map(|(_, space)| space)
    }

    /// Byte by byte: for short names, which are asked for with each row, a search by `char` takes longer.
    fn split(self) -> Option<(&'a str, &'a str)> {
        let at = self.0.bytes().position(|byte| byte == BETWEEN)?;
        Some((self.0.get(..at)?, self.0.get(at.saturating_add(1)..)?))
    }

    /// Writes the members `entity` and, for a shared space, `spaceId`.
    pub fn put(self, out: &mut String) {
        put_text(out, "entity", self.entity());
        if let Some(space) = self.space() {
            put_text(out, "spaceId", space);
        }
    }
}

/// The tables of an entity type in a map by table: the personal one first, then by space id.
pub fn tables<'a, V>(
    map: &'a VecMap<V>,
    entity: &'a str,
) -> impl Iterator<Item = (&'a str, &'a V)> {
    map.from(entity)
        .take_while(move |(table, _)| Table(table).entity() == entity)
}

/// Returns true if a scope of these entity types has this table; `None` is a scope of all types.
/// Spaces and their members are in every scope.
#[must_use]
pub fn concerns(entities: Option<&[String]>, table: &str) -> bool {
    let entity = Table(table).entity();
    entities.is_none_or(|only| is_reserved(entity) || only.iter().any(|name| name == entity))
}
