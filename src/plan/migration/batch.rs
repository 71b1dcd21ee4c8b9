//! One batch of a migration: entities as the app's functions get them, and what belongs where of
//! their results.

use std::rc::Rc;

use crate::log::commit::Entry;
use crate::model::entity::{Key, Owner, push_entity};
use crate::model::error::{Code, Error, Result};
use crate::model::limits::MAX_ENTITY_BYTES;
use crate::model::schema_field::SchemaField;
use crate::model::table::Table;
use crate::state::local_only::{PREFIX, joined, split};
use crate::state::replica::Replica;
use crate::state::rows::Row;
use crate::state::view::ViewBody;
use crate::util::json::keep::keep;
use crate::util::json::scan;

/// Entities of one type, to migrate.
#[derive(Debug, Default)]
pub struct MigrationBatch {
    /// The table; of local-only fields with their prefix.
    pub(super) table: String,
    /// The fields that never leave the device.
    pub(super) local_only: Rc<[String]>,
    /// The version of the entities.
    pub(super) from: u32,
    pub(super) items: Vec<Item>,
}

/// One body, to migrate.
#[derive(Debug)]
pub(super) struct Item {
    /// The entity as the app sees it; `None` for a tombstone without a body.
    pub(super) whole: Option<String>,
    /// The part of the result that belongs here.
    pub(super) part: Part,
    pub(super) place: Destination,
}

/// The part of an entity that a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All fields.
    Whole,
    /// Those that are sent.
    Sent,
    /// Those that never leave the device.
    LocalOnly,
}

/// Where a migrated body belongs.
#[derive(Debug)]
pub(super) enum Destination {
    /// To a row of the table that is walked.
    Row(Entry),
    /// To an operation, dead letter or conflict, by the name of its text.
    Waiting(String),
}

impl Destination {
    pub(super) fn name(&self, table: &str) -> String {
        match self {
            Self::Row(entry) => [table, "\0", &entry.id].concat(),
            Self::Waiting(name) => name.clone(),
        }
    }
}

impl MigrationBatch {
    /// The entities, as the app sees them.
    pub fn entities(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| item.whole.as_deref())
    }

    /// The names of its entities, which no others have, in the same order.
    pub(in crate::plan) fn names(&self) -> impl Iterator<Item = String> {
        let items = self.items.iter().filter(|item| item.whole.is_some());
        items.map(|item| item.place.name(&self.table))
    }

    /// The entity type.
    #[must_use]
    pub fn entity(&self) -> &str {
        type_of(&self.table)
    }

    /// The version of the entities.
    #[must_use]
    pub const fn from(&self) -> u32 {
        self.from
    }

    /// Returns the number of rows that it has looked at.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Returns a row to migrate; `None` if a body must be fetched first.
pub(super) fn item(replica: &Replica, name: &str, id: &str, row: &Row) -> Option<Item> {
    let entry = entry(id, row);
    let (table, is_local) = match name.strip_prefix(PREFIX) {
        Some(table) => (table, true),
        None => (name, false),
    };
    let key = Key::new(table, id);
    let view = is_local.then(|| replica.view(&key)).flatten();
    let body = match view {
        Some(view) => view.body,
        None if is_local => Some(ViewBody::Text("{}")),
        None => replica.body_of(row),
    };
    let local = match replica.local_only_fields(&key) {
        Some(ViewBody::Absent { .. }) => return None,
        Some(ViewBody::Text(fields)) => Some(fields),
        None => None,
    };
    let body = match body {
        Some(ViewBody::Absent { .. }) => return None,
        Some(ViewBody::Text(text)) => Some(text),
        None => is_local.then_some("{}"),
    };
    let part = match (is_local, local) {
        (true, _) => Part::LocalOnly,
        (false, Some(_)) => Part::Sent,
        (false, None) => Part::Whole,
    };
    Some(Item {
        whole: body.map(|body| whole(replica, &key, body, local, (row.version, row.is_deleted()))),
        part,
        place: Destination::Row(entry),
    })
}

/// Returns an entity as the app sees it.
pub(super) fn whole(
    replica: &Replica,
    key: &Key<'_>,
    body: &str,
    local: Option<&str>,
    (version, deleted): (u64, bool),
) -> String {
    let joint = local.map(|local| joined(body, local));
    let body = joint.as_deref().unwrap_or(body);
    let owner = Owner::of(replica.user_id(), Table(key.entity).space());
    let mut text = String::with_capacity(body.len().saturating_add(160));
    push_entity(&mut text, body, key.id, &owner, version, deleted);
    text
}

/// Returns a migrated entity. What has not changed keeps its text.
pub(super) fn migrated(
    whole: &str,
    made: Option<String>,
    field: Option<&SchemaField>,
) -> Result<String> {
    let made = made.ok_or_else(|| refused("returned fewer entities than it got"))?;
    if scan::object(&made).is_err() {
        return Err(refused("returned an entity that is no object"));
    }
    if made.len() > MAX_ENTITY_BYTES {
        return Err(refused("made an entity too large"));
    }
    let text = keep(whole, &made);
    Ok(field.map_or_else(|| text.to_string(), |field| field.kept(whole, &text)))
}

impl Part {
    /// Returns this part of a migrated entity.
    pub(super) fn of(self, text: String, local_only: &[String]) -> Result<Option<String>> {
        Ok(match self {
            Self::Whole => Some(text),
            Self::Sent => Some(split(&text, local_only)?.0),
            Self::LocalOnly => split(&text, local_only)?.1,
        })
    }
}

fn refused(problem: &str) -> Error {
    Error::new(
        Code::Migration,
        format!("A migration {problem}. Nothing has changed; correct it, and open the app again."),
    )
}

/// Returns a row's place in a directory.
pub(super) fn entry(id: &str, row: &Row) -> Entry {
    Entry {
        id: id.to_owned(),
        version: row.version,
        deleted: row.deleted,
        held: row.held,
        ..Entry::default()
    }
}

/// Returns the entity type of a table, or of one with local-only fields.
pub(super) fn type_of(table: &str) -> &str {
    Table(table.strip_prefix(PREFIX).unwrap_or(table)).entity()
}
