//! Fields that never leave the device: `localOnly` of an entity type.
//!
//! They are stored beside the rows under the same ids. Bodies never contain them, so that pull,
//! push, counts and digests need not know about them. They live as long as the entity has a body
//! here, an operation that could give it one, or a dead letter; after that they are orphans.
//!
//! In the log they are rows of an entity type whose name begins with [`PREFIX`].

use std::rc::Rc;

use crate::conflict::same_content;
use crate::log::address::{BodyId, Seq};
use crate::log::commit::{Entry, SegmentBody, SegmentWrite};
use crate::log::directory::Line;
use crate::model::entity::{Fields, Key, OwnedKey};
use crate::model::error::Result;
use crate::model::table::concerns;
use crate::state::rows::{Row, Rows};
use crate::state::segment_cache::Segments;
use crate::util::collections::vec_map::VecMap;

/// The first character of the entity type in a segment of such fields. An app's names have no
/// control characters.
pub const PREFIX: char = '\0';

/// Splits a body into the fields that are sent and the local-only ones, if there are any.
///
/// # Errors
/// Fails with [`crate::model::error::Code::InvalidEntity`] if the body is not a JSON object.
pub fn split(body: &str, names: &[String]) -> Result<(String, Option<String>)> {
    let (local, sent) = Fields::parse(body)?
        .0
        .into_iter()
        .partition(|(name, _)| names.iter().any(|only| *only == **name));
    let (local, sent): (Fields<'_>, Fields<'_>) = (Fields(local), Fields(sent));
    let local = (!local.0.is_empty()).then(|| local.to_json());
    Ok((sent.to_json(), local))
}

/// Returns a body with the local-only fields appended. They win if a name occurs twice, because a
/// JSON reader takes the last one.
#[must_use]
pub fn joined(body: &str, local: &str) -> String {
    let open = body.trim_end().strip_suffix('}').unwrap_or("{");
    let more = local.strip_prefix('{').unwrap_or("}");
    let comma = if open.trim_end().ends_with('{') || more == "}" {
        ""
    } else {
        ","
    };
    [open, comma, more].concat()
}

/// Returns true if two sets of local-only fields are equal.
#[must_use]
pub fn same(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_content(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Returns a segment that sets local-only fields, or removes them (`None`).
#[must_use]
pub fn written<'a>(
    entity: &str,
    fields: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> SegmentWrite {
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    for (id, text) in fields {
        let text = text.unwrap_or_default();
        entries.push(Entry {
            id: id.to_owned(),
            deleted: text.is_empty(),
            offset: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            len: u32::try_from(text.len()).unwrap_or(u32::MAX),
            ..Entry::default()
        });
        bytes.extend_from_slice(text.as_bytes());
    }
    SegmentWrite {
        entity: format!("{PREFIX}{entity}"),
        entries,
        body: SegmentBody::New(Rc::from(bytes)),
    }
}

/// The local-only fields of every entity, and the entities that may have become orphans.
#[derive(Debug, Default)]
pub struct LocalOnly {
    rows: VecMap<Rows>,
    orphans: Vec<OwnedKey>,
}

impl LocalOnly {
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key.entity)?.get(key.id)
    }

    /// Returns true if any entity of this type may have local-only fields.
    #[must_use]
    pub fn contains(&self, entity: &str) -> bool {
        self.rows.contains(entity)
    }

    /// Returns the rows of a table.
    #[must_use]
    pub fn rows(&self, table: &str) -> Option<&Rows> {
        self.rows.get(table)
    }

    /// The rows by entity type, without [`PREFIX`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rows)> {
        self.rows.iter()
    }

    /// Folds the rows of a segment.
    pub fn fold<'a>(
        &mut self,
        entity: &str,
        lines: &mut dyn Iterator<Item = Line<'a>>,
        from: (Seq, BodyId),
        segments: &mut Segments,
    ) {
        let rows = self.rows.entry(entity);
        for line in lines {
            if line.deleted() {
                rows.discard(entity, line.id, segments);
            } else {
                rows.fold_line(entity, line, from, segments);
            }
        }
    }

    /// Removes the fields whose segment cannot be read.
    pub fn remove_rows_of(&mut self, segment: BodyId) {
        for (entity, rows) in self.rows.iter_mut() {
            rows.remove_rows_of(entity, segment);
        }
    }

    /// Notes that an entity has lost a row, an operation or a dead letter. At the end of the commit
    /// the replica checks whether its fields still belong to something.
    pub fn mark_orphan(&mut self, entity: &str, id: &str) {
        let key = Key::new(entity, id);
        if self.get(&key).is_some() {
            self.orphans.push(key.to_owned());
        }
    }

    /// As [`Self::mark_orphan`], for all entities of these types; `None` for all types.
    pub fn mark_orphans(&mut self, entities: Option<&[String]>) {
        for (entity, rows) in self.rows.iter() {
            if concerns(entities, entity) {
                self.orphans
                    .extend(rows.iter().map(|(id, _)| Key::new(entity, id).to_owned()));
            }
        }
    }

    /// Returns the entities that may be orphans and forgets them.
    pub fn take_orphans(&mut self) -> Vec<OwnedKey> {
        std::mem::take(&mut self.orphans)
    }

    /// Removes the fields of one entity.
    pub fn discard(&mut self, key: &Key, segments: &mut Segments) {
        if let Some(rows) = self.rows.get_mut(key.entity) {
            rows.discard(key.entity, key.id, segments);
        }
    }
}
