//! What a key in an entity refers to: ids are looked for in the entity's own space before others.

use std::borrow::Cow;

use crate::model::entity::Key;
use crate::model::table::Table;
use crate::state::replica::Replica;
use crate::state::tables;

/// Returns the table of the entity that an id refers to in an entity of the space `beside`; `None`
/// if there is none to see.
#[must_use]
pub fn target<'a>(
    replica: &'a Replica,
    entity: &'a str,
    id: &str,
    beside: Option<&str>,
) -> Option<Cow<'a, str>> {
    let neighbour = Table::name(entity, beside);
    if replica.is_visible(&Key::new(&neighbour, id)) {
        return Some(neighbour);
    }
    let table = tables::find(replica, entity, id)?;
    let is_visible = replica.is_visible(&Key::new(table, id));
    is_visible.then_some(Cow::Borrowed(table))
}

/// Returns true if an id refers to this entity in one of the space `beside`.
#[must_use]
pub fn refers(replica: &Replica, beside: Option<&str>, to: &Key<'_>) -> bool {
    let table = Table(to.entity);
    table.space() == beside
        || target(replica, table.entity(), to.id, beside).as_deref() == Some(to.entity)
}
