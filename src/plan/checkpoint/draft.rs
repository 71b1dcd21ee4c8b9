//! A checkpoint under way: rows and operations some at a time, all on one head.

use crate::log::address::{BodyId, Superseded};
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::segment::slice;
use crate::log::segment_writer::Packing;
use crate::plan::checkpoint::CheckpointWriter;
use crate::plan::migration::tables::rows_of;
use crate::state::local_only::PREFIX;
use crate::state::replica::{LogPlace, Replica};
use crate::state::rows::{Row, RowBody};
use crate::util::collections::seq_map::SeqMap;

/// External segments smaller than this are merged.
const SMALL_BYTES: u32 = 32 * 1024;

/// What comes of a step.
#[derive(Debug)]
pub enum CheckpointStep {
    /// There is more to do.
    More,
    /// These bodies are needed first.
    Needs(Vec<BodyId>),
    Done,
}

/// The rows and operations of a checkpoint.
#[derive(Debug, Default)]
pub struct CheckpointDraft {
    /// The place in the log that it is planned on; `None` before the first step.
    place: Option<LogPlace>,
    kept: SeqMap<KeptSegment>,
    dropped: Vec<BodyId>,
    /// What is written so far.
    commit: Commit,
    /// The tables that are left, the present one last.
    tables: Vec<String>,
    /// The last row of the present one.
    after: Option<String>,
    packing: Packing,
    /// Rows of the present one that stay where they are, by segment.
    staying: SeqMap<Vec<Entry>>,
    /// The next operation; `None` after the last.
    operation: Option<usize>,
}

impl CheckpointDraft {
    /// Plans at most so many rows and operations. Begins, also again, if the log has grown.
    pub fn step(&mut self, replica: &Replica, most: usize) -> CheckpointStep {
        if self.place != Some(replica.place()) {
            let missing = self.begin(replica);
            if !missing.is_empty() {
                *self = Self::default();
                return CheckpointStep::Needs(missing);
            }
        }
        let mut left = most;
        while let Some(table) = self.tables.pop() {
            let after = self.after.take();
            let rows = rows_of(replica, &table).into_iter();
            let rows = rows.flat_map(|rows| rows.rows_after(after.as_deref()));
            let (mut last, mut stop) = (None, None);
            for (id, row) in rows {
                stop = match left.checked_sub(1) {
                    None => Some(CheckpointStep::More),
                    Some(less) => {
                        left = less;
                        let missing = self.add(replica, &table, id, row);
                        missing.map(|segment| CheckpointStep::Needs(vec![segment]))
                    }
                };
                if stop.is_some() {
                    break;
                }
                last = Some(id);
            }
            if let Some(stop) = stop {
                self.after = last.map(str::to_owned).or(after);
                self.tables.push(table);
                return stop;
            }
            self.close(&table);
        }
        if let Some(from) = self.operation {
            let writer = CheckpointWriter {
                replica,
                migrated: None,
            };
            self.operation = writer.write_operations(&mut self.commit, from, left);
        }
        match self.operation {
            Some(_) => CheckpointStep::More,
            None => CheckpointStep::Done,
        }
    }

    /// Returns the commit, and what it supersedes. The state is that of the last step.
    pub(super) fn finish(self, replica: &Replica) -> (Commit, Superseded) {
        let mut commit = self.commit;
        if let Some(first) = commit.events.first_mut() {
            *first = Event::Checkpoint {
                kept: self.kept.iter().map(|(_, kept)| kept.clone()).collect(),
                damage: replica.damage(),
            };
        }
        let writer = CheckpointWriter {
            replica,
            migrated: None,
        };
        writer.write_rest(&mut commit);
        let first = replica.checkpointed_at().max(1);
        let superseded = Superseded {
            records: (first..=replica.head()).collect(),
            bodies: self.dropped,
        };
        (commit, superseded)
    }

    /// Begins. Returns bodies to fetch first.
    fn begin(&mut self, replica: &Replica) -> Vec<BodyId> {
        *self = Self {
            place: Some(replica.place()),
            operation: Some(0),
            ..Self::default()
        };
        // It comes first, and has its content at the end.
        self.commit.events.push(Event::NeedFullPull);
        let mut missing = Vec::new();
        for (id, len, live) in replica.segments().external() {
            let mostly_dead = live.saturating_mul(2) < u64::from(len);
            if live > 0 && !mostly_dead && len >= SMALL_BYTES {
                if let Some((len, hash, _)) = replica.segments().describe(id) {
                    self.kept.insert(id, KeptSegment { id, len, hash });
                }
                continue;
            }
            if live > 0 && replica.segments().resident(id).is_none() {
                missing.push(id);
            }
            self.dropped.push(id);
        }
        let own = replica.entities().keys().map(str::to_owned);
        let local = replica.local_only().iter();
        let local = local.map(|(table, _)| format!("{PREFIX}{table}"));
        self.tables = own.chain(local).collect();
        self.tables.reverse();
        missing
    }

    /// Adds a row. Returns the segment of its body if that has left memory since the last step.
    fn add(&mut self, replica: &Replica, table: &str, id: &str, row: &Row) -> Option<BodyId> {
        let mut entry = Entry {
            id: id.to_owned(),
            version: row.version,
            deleted: row.deleted,
            held: row.held,
            ..Entry::default()
        };
        let text = match &row.body {
            RowBody::None => None,
            RowBody::Own(text) => Some(&**text),
            RowBody::At {
                segment,
                offset,
                len,
            } => {
                if self.kept.get(*segment).is_some() {
                    (entry.offset, entry.len) = (*offset, *len);
                    match self.staying.get_mut(*segment) {
                        Some(entries) => entries.push(entry),
                        None => self.staying.insert(*segment, vec![entry]),
                    }
                    return None;
                }
                let known = replica.segments().describe(*segment);
                let bytes = replica.segments().resident(*segment);
                if known.is_some() && bytes.is_none() {
                    return Some(*segment);
                }
                bytes.and_then(|bytes| slice(bytes, *offset, *len))
            }
        };
        self.packing.push(table, entry, text, &mut self.commit);
        None
    }

    /// Ends a table.
    fn close(&mut self, table: &str) {
        self.packing.close(table, &mut self.commit);
        for (id, entries) in std::mem::take(&mut self.staying) {
            self.commit.segments.push(SegmentWrite {
                entity: table.to_owned(),
                entries,
                body: SegmentBody::Kept(id),
            });
        }
    }
}
