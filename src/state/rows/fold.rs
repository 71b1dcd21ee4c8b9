//! How folding changes the rows of one entity type. Every change keeps the segments' live bytes in
//! step: bytes of a new body are counted in before those of the old one are counted out.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::log::directory::Line;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::state::rows::{Row, RowBody, Rows};
use crate::state::segment_cache::Segments;

impl Rows {
    /// Puts the row that a segment's directory describes.
    pub fn fold_line(
        &mut self,
        entity: &str,
        line: Line<'_>,
        (seq, segment): (Seq, BodyId),
        segments: &mut Segments,
    ) {
        let deleted = line.deleted();
        let is_confirmed = line.retain()
            && !deleted
            && self
                .get(line.id)
                .is_some_and(|row| row.version == line.version && row.deleted == deleted);
        if is_confirmed {
            return self.confirm(line.id, seq);
        }
        let body = if line.len > 0 {
            segments.gain(segment, line.len);
            RowBody::At {
                segment,
                offset: line.offset,
                len: line.len,
            }
        } else if line.retain() {
            self.retained_body(line.id, segments)
        } else {
            RowBody::None
        };
        let row = Row {
            version: line.version,
            deleted,
            held: line.held(),
            body,
            stamp: seq,
        };
        self.replace(entity, line.id, row, segments);
    }

    /// Puts the row of an applied operation: the remote has exactly the operation's body.
    pub fn fold_applied(
        &mut self,
        seq: Seq,
        op: &Operation,
        version: u64,
        segments: &mut Segments,
    ) {
        let body = match &op.body {
            Some(text) => RowBody::Own(Rc::clone(text)),
            None if op.soft => self.retained_body(&op.id, segments),
            None => RowBody::None,
        };
        let row = Row {
            version,
            deleted: op.kind == OperationKind::Delete,
            held: false,
            body,
            stamp: seq,
        };
        self.replace(&op.entity, &op.id, row, segments);
    }

    /// Removes a row and counts its body out of its segment.
    pub fn discard(&mut self, entity: &str, id: &str, segments: &mut Segments) {
        release(self.remove(entity, id), segments);
    }

    /// Removes the rows that were last confirmed at or before this record.
    pub fn sweep(&mut self, entity: &str, before: Seq, segments: &mut Segments) {
        self.discard_all(entity, &|row| row.stamp <= before, segments);
    }

    /// Removes the rows for which `which` holds, and returns their ids.
    pub fn discard_all(
        &mut self,
        entity: &str,
        which: &dyn Fn(&Row) -> bool,
        segments: &mut Segments,
    ) -> Vec<String> {
        let gone: Vec<String> = (self.matching(which).into_iter())
            .map(|(id, _)| id)
            .collect();
        for id in &gone {
            self.discard(entity, id, segments);
        }
        gone
    }

    /// Lets held tombstones take effect.
    pub fn release_deletes(&mut self, entity: &str) {
        for (id, row) in self.matching(&|row| row.held) {
            self.put(entity, &id, Row { held: false, ..row });
        }
    }

    /// Makes versions beyond `kept` unknown: they belong to a history that the server has lost.
    pub fn forget_versions(&mut self, entity: &str, kept: u64) {
        for (id, row) in self.matching(&|row| row.version > kept) {
            let version = UNKNOWN;
            self.put(entity, &id, Row { version, ..row });
        }
    }

    /// Removes the rows whose body is in a segment that cannot be read.
    pub fn remove_rows_of(&mut self, entity: &str, segment: BodyId) {
        for (id, _) in self.matching(&|row| row.is_in(segment)) {
            self.remove(entity, &id);
        }
    }

    fn matching(&self, predicate: &dyn Fn(&Row) -> bool) -> Vec<(String, Row)> {
        self.iter()
            .filter(|(_, row)| predicate(row))
            .map(|(id, row)| (id.to_owned(), row.clone()))
            .collect()
    }

    fn replace(&mut self, entity: &str, id: &str, row: Row, segments: &mut Segments) {
        release(self.put(entity, id, row), segments);
    }

    /// The present body of a row, counted once more for the row that takes it over.
    fn retained_body(&self, id: &str, segments: &mut Segments) -> RowBody {
        let body = self.get(id).map(|row| row.body.clone()).unwrap_or_default();
        if let RowBody::At { segment, len, .. } = &body {
            segments.gain(*segment, *len);
        }
        body
    }
}

impl Row {
    /// Returns true if the body is in this segment.
    #[must_use]
    pub fn is_in(&self, id: BodyId) -> bool {
        matches!(self.body, RowBody::At { segment, .. } if segment == id)
    }
}

fn release(row: Option<Row>, segments: &mut Segments) {
    if let Some(Row {
        body: RowBody::At { segment, len, .. },
        ..
    }) = row
    {
        segments.lose(segment, len);
    }
}
