//! Fields that never leave the device: `localOnly` of an entity type.
//!
//! They are kept beside the rows and under the same ids, apart from everything that is pulled,
//! pushed, counted or digested: a body never has them, so that none of those needs to know of them.
//! They live as long as the entity has a body here, an operation that could give it one, or a dead
//! letter.
//!
//! In the log they are rows of an entity type whose name begins with [`MARK`], which no app's can.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::log::commit::{Entry, SegmentBody, SegmentWrite};
use crate::model::entity::{Fields, Key};
use crate::model::error::Result;
use crate::state::replica::{Replica, ViewBody};
use crate::state::rows::{Body, Row};

/// What the name of an entity type begins with in a segment of such fields. Names have no control
/// characters.
pub const MARK: char = '\0';

/// A body's fields in two: those that may travel, and those that may not; none where there are
/// none.
///
/// # Errors
/// [`crate::model::error::Code::InvalidEntity`] where the body is not a JSON object.
pub fn split(body: &str, names: &[String]) -> Result<(String, Option<String>)> {
    let (stay, travel) = Fields::parse(body)?
        .0
        .into_iter()
        .partition(|(name, _)| names.iter().any(|only| *only == **name));
    let (stay, travel): (Fields<'_>, Fields<'_>) = (Fields(stay), Fields(travel));
    let stay = (!stay.0.is_empty()).then(|| stay.to_json());
    Ok((travel.to_json(), stay))
}

/// A body with the fields that stay here at its end: where a name stands twice, the last one
/// counts.
#[must_use]
pub fn joined(body: &str, device: &str) -> String {
    let open = body.trim_end().strip_suffix('}').unwrap_or("{");
    let more = device.strip_prefix('{').unwrap_or("}");
    let comma = if open.trim_end().ends_with('{') || more == "}" {
        ""
    } else {
        ","
    };
    [open, comma, more].concat()
}

/// Whether two sets of such fields say the same.
#[must_use]
pub fn same(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_content(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// The rows of a commit that set such fields, or take them away.
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
        entity: format!("{MARK}{entity}"),
        entries,
        body: SegmentBody::New(Rc::from(bytes)),
    }
}

impl Replica {
    /// The fields of an entity that never leave the device, as the text of a JSON object.
    #[must_use]
    pub fn device_fields(&self, key: &Key) -> Option<ViewBody<'_>> {
        self.body_of(self.device.get(key.entity)?.get(key.id)?)
    }

    /// All of them, as far as they are in memory: what a lost log has to be given again.
    #[must_use]
    pub fn device_segments(&self) -> Vec<SegmentWrite> {
        let text = |row| match self.body_of(row) {
            Some(ViewBody::Text(text)) => Some(text),
            _ => None,
        };
        let types = self
            .device
            .iter()
            .filter(|(_, rows)| rows.iter().next().is_some());
        types
            .map(|(entity, rows)| {
                written(
                    entity,
                    rows.iter()
                        .filter_map(|(id, row)| Some((id, Some(text(row)?)))),
                )
            })
            .collect()
    }

    /// The entity has lost a row, an operation or a dead letter: at the end of the commit it is
    /// seen whether anything is left that such fields could belong to.
    pub(super) fn mark_orphan(&mut self, entity: &str, id: &str) {
        if self
            .device
            .get(entity)
            .is_some_and(|rows| rows.get(id).is_some())
        {
            self.orphans.push(Key::new(entity, id).to_owned());
        }
    }

    /// As [`Self::mark_orphan`], for all entities of these types; none for all types.
    pub(super) fn mark_orphans(&mut self, entities: Option<&[String]>) {
        for (entity, rows) in self.device.iter() {
            if entities.is_none_or(|only| only.iter().any(|name| name == entity)) {
                self.orphans
                    .extend(rows.iter().map(|(id, _)| Key::new(entity, id).to_owned()));
            }
        }
    }

    /// Takes away the fields of entities that are gone.
    pub(super) fn collect_orphans(&mut self) {
        if self.orphans.is_empty() {
            return;
        }
        self.materialize();
        for key in std::mem::take(&mut self.orphans) {
            let key = key.as_key();
            let row = self
                .row(&key)
                .is_some_and(|row| !row.is_deleted() || row.body != Body::None);
            let alive = row
                || self
                    .outbox
                    .chain(&key)
                    .any(|queued| queued.op.body.is_some())
                || self
                    .dead_letters
                    .values()
                    .any(|letter| letter.op.entity == key.entity && letter.op.id == key.id);
            if alive {
                continue;
            }
            let gone = self
                .device
                .get_mut(key.entity)
                .and_then(|rows| rows.remove(key.entity, key.id));
            if let Some(Row {
                body: Body::At { segment, len, .. },
                ..
            }) = gone
            {
                self.segments.lose(segment, len);
            }
        }
    }
}
