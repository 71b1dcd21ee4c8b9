//! What readers see: rows with pending writes, kept rejections and local-only fields over them.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::log::directory::Directory;
use crate::model::entity::{Key, OwnedKey};
use crate::model::operation::Operation;
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody, Rows};
use crate::state::view::{View, ViewBody};

impl Replica {
    /// Returns the entity as readers see it; `None` if neither side knows it. While rows are
    /// [lazy](Self::has_lazy_rows), ask [`Self::can_peek`] first.
    ///
    /// The first of these that exists decides:
    ///
    /// | what exists                  | what readers see                                       |
    /// |------------------------------|--------------------------------------------------------|
    /// | a pending write              | its body; after a soft delete the row's, as deleted    |
    /// | a kept rejection             | its body, or a patch's fields over the row             |
    /// | a row, lazy or in the index  | the row                                                |
    #[must_use]
    pub fn view(&self, key: &Key) -> Option<View<'_>> {
        let row = self.row(key);
        let version = row.map_or(0, |row| row.version);
        if let Some(op) = self.outbox.last(key) {
            let deleted = !op.leaves_in(key.entity);
            let body = match &op.body {
                Some(body) if !deleted => Some(ViewBody::Text(body)),
                Some(_) => None,
                None if deleted && op.soft => row.and_then(|row| self.body_of(row)),
                None => None,
            };
            return Some(View {
                deleted,
                ..View::live(body, version)
            });
        }
        if let Some(kept) = self.kept_rejections.get(key) {
            let op = &self.dead_letters.get(&kept.letter)?.op;
            let synced = row
                .filter(|row| !row.is_deleted())
                .and_then(|row| self.body_of(row));
            return Some(kept.view(op, version, synced));
        }
        self.lazy_view(key)
            .or_else(|| row.map(|row| self.row_view(row)))
    }

    /// As [`Self::view`], but without kept rejections.
    #[must_use]
    pub fn synced_view(&self, key: &Key) -> Option<View<'_>> {
        if self.outbox.last(key).is_some() {
            self.view(key)
        } else {
            self.row(key).map(|row| self.row_view(row))
        }
    }

    fn row_view<'a>(&'a self, row: &'a Row) -> View<'a> {
        View {
            deleted: row.is_deleted(),
            ..View::live(self.body_of(row), row.version)
        }
    }

    fn lazy_view(&self, key: &Key) -> Option<View<'_>> {
        let (line, segment) = self.lazy_rows.get(key)?;
        let body = (line.len > 0).then(|| self.segments.text(segment, line.offset, line.len));
        Some(View::live(body, line.version))
    }

    /// Returns true if the entity exists for readers.
    #[must_use]
    pub fn is_visible(&self, key: &Key) -> bool {
        self.view(key).is_some_and(|view| !view.deleted)
    }

    /// Returns true if [`Self::view`] can answer for this entity without [`Self::materialize`].
    #[must_use]
    pub fn can_peek(&self, key: &Key<'_>) -> bool {
        self.outbox.last(key).is_none()
            && self.kept_rejections.get(key).is_none()
            && self.lazy_rows.can_answer(key)
    }

    /// Returns the segments with everything that readers see of one type, in order of id, if lazy
    /// rows alone determine it.
    #[must_use]
    pub fn lazy_in_order(&self, entity: &str) -> Option<Vec<(Directory, BodyId)>> {
        let is_covered = self.overlaid_ids(entity, None).next().is_some()
            || self.local_only.contains(entity)
            || self.entities.contains(entity);
        if is_covered {
            return None;
        }
        self.lazy_rows.in_order(entity)
    }

    pub(crate) fn body_of<'a>(&'a self, row: &'a Row) -> Option<ViewBody<'a>> {
        match &row.body {
            RowBody::None => None,
            RowBody::Own(text) => Some(ViewBody::Text(text)),
            RowBody::At {
                segment,
                offset,
                len,
            } => Some(self.segments.text(*segment, *offset, *len)),
        }
    }

    /// Returns the body of the synced row, which is the base of a pending write.
    ///
    /// # Errors
    /// Returns the segment to fetch first.
    pub(crate) fn base_of(&self, key: &Key) -> Result<Option<&str>, BodyId> {
        self.text_of(self.row(key).filter(|row| !row.is_deleted()))
    }

    /// Returns what a pending operation was made on: as [`Self::base_of`], or what the row's
    /// tombstone keeps of it.
    ///
    /// # Errors
    /// Returns the segment to fetch first.
    pub(crate) fn base_of_op(&self, op: &Operation) -> Result<Option<&str>, BodyId> {
        let row = self.row(&Key::new(&op.entity, &op.id));
        self.text_of(row.filter(|row| !row.is_deleted() || op.base_version.is_some()))
    }

    fn text_of<'a>(&'a self, row: Option<&'a Row>) -> Result<Option<&'a str>, BodyId> {
        match row.and_then(|row| self.body_of(row)) {
            None => Ok(None),
            Some(ViewBody::Text(text)) => Ok(Some(text)),
            Some(ViewBody::Absent { segment, .. }) => Err(segment),
        }
    }

    /// Returns the bases of pending operations with their versions, as far as they are in memory.
    #[must_use]
    pub fn bases(&self) -> Vec<(OwnedKey, u64, Rc<str>)> {
        let keys = self
            .outbox
            .iter()
            .map(|queued| Key::new(&queued.op.entity, &queued.op.id));
        keys.filter_map(|key| {
            let (version, body) = (self.row_version(&key)?, self.base_of(&key).ok()??.into());
            Some((key.to_owned(), version, body))
        })
        .collect()
    }

    /// Returns an entity's fields that never leave the device, as a JSON object.
    #[must_use]
    pub fn local_only_fields(&self, key: &Key) -> Option<ViewBody<'_>> {
        self.body_of(self.local_only.get(key)?)
    }

    /// Returns all local-only fields that are in memory, and the record that wrote each.
    #[must_use]
    pub fn local_only_texts(&self) -> Vec<(OwnedKey, Rc<str>, Seq)> {
        let mut texts = Vec::new();
        for (entity, rows) in self.local_only.iter() {
            for (id, row) in rows.iter() {
                if let Some(ViewBody::Text(text)) = self.body_of(row) {
                    texts.push((Key::new(entity, id).to_owned(), text.into(), row.stamp));
                }
            }
        }
        texts
    }

    /// Ids of one entity type in order, those greater than `after`: of rows and of what overlays
    /// them.
    pub fn ids<'a>(
        &'a self,
        entity: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        let rows = self
            .entities
            .get(entity)
            .map(|rows| rows.after(after))
            .into_iter()
            .flatten();
        merged(rows, self.overlaid_ids(entity, after))
    }

    /// Ids of entities whose row is overlaid by a pending write or a kept rejection.
    pub(crate) fn overlaid_ids<'a>(
        &'a self,
        entity: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> {
        merged(
            self.outbox.ids(entity, after),
            self.kept_rejections.ids(entity, after),
        )
    }

    /// Counts the entities of a table that readers see, without reading a body.
    #[must_use]
    pub fn count(&self, entity: &str) -> u64 {
        let mut count = self.entities.get(entity).map_or(0, Rows::live);
        for id in self.overlaid_ids(entity, None) {
            let key = Key::new(entity, id);
            let was_visible = self.row(&key).is_some_and(|row| !row.is_deleted());
            count = match (was_visible, self.is_visible(&key)) {
                (false, true) => count.saturating_add(1),
                (true, false) => count.saturating_sub(1),
                _ => count,
            };
        }
        count
    }

    /// The bytes of all live rows and of the outbox.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        let rows = self.entities.values().flat_map(Rows::iter);
        let own = rows.fold(0_u64, |sum, (_, row)| match &row.body {
            RowBody::Own(text) => sum.saturating_add(text.len() as u64),
            _ => sum,
        });
        self.segments
            .live_bytes()
            .saturating_add(self.outbox.bytes())
            .saturating_add(own)
    }
}

/// Merges two ordered sequences into one, each item once.
fn merged<'a>(
    a: impl Iterator<Item = &'a str>,
    b: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(first), Some(second)) if second < first => b.next(),
        (Some(first), Some(second)) if second == first => {
            b.next();
            a.next()
        }
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}
