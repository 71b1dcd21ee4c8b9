//! What an export writes: one state of a log, and its lines one after the other.
//!
//! The snapshot has where the bodies are, not the bodies: they are read a segment at a time, in the
//! order in which they are stored. A version of a row has one body, so a row that a checkpoint moves
//! meanwhile is found again.

use crate::log::address::BodyId;
use crate::log::facts::{DeadLetter, Parked};
use crate::log::segment::slice;
use crate::model::entity::Key;
use crate::model::operation::Operation;
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody};
use crate::transfer::file::FileHeader;
use crate::transfer::write::{FileWriter, RowLine};
use crate::util::collections::sort::sort;

/// A row of the snapshot.
#[derive(Debug)]
struct StoredRow {
    /// An index into the tables.
    table: usize,
    id: Box<str>,
    /// The row has fields that never leave the device, and nothing else.
    local_only: bool,
    row: Row,
}

/// One state of a log that is being written.
#[derive(Debug)]
pub struct Snapshot {
    header: FileHeader,
    tables: Vec<String>,
    /// The rows that are left, the next one last.
    rows: Vec<StoredRow>,
    operations: Vec<Operation>,
    conflicts: Vec<Parked>,
    dead_letters: Vec<DeadLetter>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    Rest,
    Done,
}

/// What comes of writing the next lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    Wrote,
    /// A row's body is in this segment, which must be given first.
    Needs(BodyId),
    Done,
}

/// Why the body of a row cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyGone {
    /// The row has changed since, and its old body was compacted.
    Changed,
    /// The log was lost, and the one that took its place has other bodies.
    Lost,
    /// It is damaged.
    Damaged,
}

impl Snapshot {
    /// Takes the present state. `schema` is that of the app, `now` the time.
    #[must_use]
    pub fn take(replica: &Replica, schema: u32, now: u64, local_only: bool) -> Self {
        let (mut tables, mut rows) = (Vec::new(), Vec::new());
        let mut add = |table: &str, all: &mut dyn Iterator<Item = (&str, &Row)>, local_only| {
            for (id, row) in all {
                rows.push(StoredRow {
                    table: tables.len(),
                    id: Box::from(id),
                    local_only,
                    row: row.clone(),
                });
            }
            tables.push(table.to_owned());
        };
        for (table, all) in replica.entities().iter() {
            add(table, &mut all.iter(), false);
        }
        if local_only {
            for (table, all) in replica.local_only().iter() {
                add(table, &mut all.iter(), true);
            }
        }
        let operations: Vec<Operation> = replica
            .outbox()
            .iter()
            .map(|queued| queued.op.clone())
            .collect();
        let conflicts: Vec<Parked> = replica.conflicts().values().cloned().collect();
        let dead_letters: Vec<DeadLetter> = replica.dead_letters().values().cloned().collect();
        let letters = dead_letters.iter().map(|letter| &letter.op);
        let named = operations.iter().chain(letters).flat_map(Operation::tables);
        let mut entities: Vec<String> = tables
            .iter()
            .map(String::as_str)
            .chain(named)
            .map(|table| Table(table).entity().to_owned())
            .filter(|entity| !is_reserved(entity))
            .collect();
        sort(&mut entities);
        entities.dedup();
        let lines = [
            rows.len(),
            operations.len(),
            conflicts.len(),
            dead_letters.len(),
        ];
        let header = FileHeader {
            user_id: replica.user_id().to_owned(),
            schema,
            created_at: now,
            server: replica.server().clone(),
            epoch: replica.facts().epoch.clone(),
            spaces: replica.spaces().list().to_vec(),
            entities,
            lines: lines.iter().fold(0, |sum, part| part.saturating_add(sum)) as u64,
        };
        in_stored_order(&mut rows);
        Self {
            header,
            tables,
            rows,
            operations,
            conflicts,
            dead_letters,
            stage: Stage::Header,
        }
    }

    /// How many lines there are between the first and the last one.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.header.lines
    }

    /// Writes lines until the writer has `most` bytes. `bodies` returns the bytes of a segment that
    /// is in memory.
    pub fn write<'a>(
        &mut self,
        out: &mut FileWriter,
        most: usize,
        bodies: &dyn Fn(BodyId) -> Option<&'a [u8]>,
    ) -> WriteStep {
        if self.stage == Stage::Header {
            out.header(&self.header);
            self.stage = Stage::Rows;
        }
        while self.stage == Stage::Rows && out.len() < most {
            let Some(found) = self.rows.last() else {
                self.stage = Stage::Rest;
                self.operations.reverse();
                break;
            };
            let body = match &found.row.body {
                RowBody::None => None,
                RowBody::Own(text) => Some(&**text),
                RowBody::At {
                    segment,
                    offset,
                    len,
                } => match bodies(*segment).and_then(|bytes| slice(bytes, *offset, *len)) {
                    Some(text) => Some(text),
                    None => return WriteStep::Needs(*segment),
                },
            };
            let table = self.tables.get(found.table).map_or("", String::as_str);
            if found.local_only {
                out.local_only(table, &found.id, body.unwrap_or("{}"));
            } else {
                let row = RowLine {
                    table,
                    id: &found.id,
                    version: found.row.version,
                    deleted: found.row.deleted,
                    held: found.row.held,
                };
                out.row(row, body);
            }
            self.rows.pop();
        }
        while self.stage == Stage::Rest && out.len() < most {
            if let Some(op) = self.operations.pop() {
                out.operation(&op);
            } else if let Some(conflict) = self.conflicts.pop() {
                out.conflict(&conflict);
            } else if let Some(letter) = self.dead_letters.pop() {
                out.dead_letter(&letter);
            } else {
                out.close();
                self.stage = Stage::Done;
            }
        }
        if self.stage == Stage::Done && out.is_empty() {
            WriteStep::Done
        } else {
            WriteStep::Wrote
        }
    }

    /// Looks the remaining rows up again: a segment is gone.
    ///
    /// # Errors
    /// Fails if a row has another version now, or none; or if it is still in the segment that is
    /// gone.
    pub fn relocate(&mut self, replica: &Replica, gone: BodyId) -> Result<(), BodyGone> {
        for found in &mut self.rows {
            if !matches!(found.row.body, RowBody::At { .. }) {
                continue;
            }
            let table = self.tables.get(found.table).map_or("", String::as_str);
            let key = Key::new(table, &found.id);
            let row = if found.local_only {
                replica.local_only().get(&key)
            } else {
                replica.row(&key)
            };
            let is_same = |row: &&Row| {
                row.version == found.row.version
                    && (!found.local_only || row.stamp == found.row.stamp)
            };
            let row = row.filter(is_same).ok_or(BodyGone::Changed)?;
            if matches!(row.body, RowBody::At { segment, .. } if segment == gone) {
                return Err(BodyGone::Damaged);
            }
            found.row.body = row.body.clone();
        }
        in_stored_order(&mut self.rows);
        Ok(())
    }
}

/// Sorts rows so that those of a segment follow each other, the first one last.
fn in_stored_order(rows: &mut Vec<StoredRow>) {
    let mut order: Vec<(bool, BodyId, u32, usize)> = Vec::with_capacity(rows.len());
    for (index, found) in rows.iter().enumerate() {
        let (segment, offset) = match found.row.body {
            RowBody::At {
                segment, offset, ..
            } => (segment, offset),
            _ => (0, 0),
        };
        order.push((found.local_only, segment, offset, index));
    }
    sort(&mut order);
    let mut all: Vec<Option<StoredRow>> = std::mem::take(rows).into_iter().map(Some).collect();
    for (.., index) in order.into_iter().rev() {
        rows.extend(all.get_mut(index).and_then(Option::take));
    }
}
