//! Plans a migration: the whole state again, as a checkpoint, with every body as the app's
//! migrations made it.
//!
//! Nothing is written while bodies are made. Those that are long go to the store first, in records
//! that change nothing; the checkpoint then refers to them. If another tab has written meanwhile,
//! only what it has changed is made again.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::log::address::{BodyId, Seq, Superseded, body_id};
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::segment::INLINE_BYTES;
use crate::log::segment_writer::Packing;
use crate::model::error::Result;
use crate::model::schema_field::SchemaField;
use crate::plan::checkpoint::CheckpointWriter;
pub use crate::plan::migration::answers::{Answers, stated};
pub use crate::plan::migration::batch::MigrationBatch;
use crate::plan::migration::batch::{Destination, Part, entry, item, migrated, type_of};
use crate::plan::migration::pending::{Migrated, WaitingBody, waiting};
pub use crate::plan::migration::tables::count;
use crate::plan::migration::tables::{absent, rows_of, table_after};
use crate::state::replica::Replica;
use crate::state::rows::{Row, RowBody};
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;

mod answers;
mod batch;
pub mod pending;
pub(super) mod tables;

/// How many bytes of bodies are migrated in one call of the app's functions.
const BATCH_BYTES: usize = 64 * 1024;

/// How many rows are looked at in one step.
const STEP_ROWS: usize = 2_000;

/// How many bytes of new bodies a transaction has.
const TRANSACTION_BYTES: usize = 2 * 1024 * 1024;

/// What the config says of entity types.
#[allow(missing_debug_implementations)]
pub struct MigrationRules<'a> {
    /// The version of the log, and the one that it gets.
    pub from: u32,
    pub to: u32,
    /// Returns true if entities of a type change on the way from a version.
    pub changes: &'a dyn Fn(&str, u32) -> bool,
    /// The field of each entity that names its version on the server. A later one than the log's is
    /// the entity's.
    pub field: Option<&'a SchemaField>,
    /// The fields of a type that never leave the device.
    pub local_only: &'a dyn Fn(&str) -> Rc<[String]>,
}

impl MigrationRules<'_> {
    /// Returns the version of an entity.
    fn version_of(&self, entity: &str) -> u32 {
        let named = self.field.and_then(|field| field.of(entity));
        named.map_or(self.from, |named| named.max(self.from))
    }

    /// Returns true if an entity of a type and version changes.
    fn concerns(&self, entity: &str, from: u32) -> bool {
        from < self.to && (self.changes)(entity, from)
    }
}

/// The next step of a migration.
#[derive(Debug)]
pub enum MigrationStep {
    /// These bodies are needed first.
    Fetch(Vec<BodyId>),
    /// The app's migrations change these; there may be none.
    Migrate(MigrationBatch),
    /// Everything was made.
    Done,
}

/// How far a pass has come.
#[derive(Debug, Default)]
enum MigrationPass {
    #[default]
    Start,
    Table {
        name: String,
        after: Option<String>,
        ended: bool,
    },
    /// The bodies beside the rows that are left.
    Waiting(VecDeque<WaitingBody>),
}

impl MigrationPass {
    /// Begins with a table; without one, all of them were walked.
    fn of(replica: &Replica, table: Option<String>) -> Self {
        match table {
            Some(name) => Self::Table {
                name,
                after: None,
                ended: false,
            },
            None => Self::Waiting(waiting(replica)),
        }
    }
}

/// A migration under way: what it has made so far.
#[derive(Debug)]
pub struct MigrationDraft {
    /// The head as of which all rows were made; 0 if none were.
    complete: Seq,
    /// The segments that were made.
    made: Commit,
    migrated: Migrated,
    walk: MigrationPass,
    packing: Packing,
    /// Rows of the walked table that stay where they are, by segment.
    staying: SeqMap<Vec<Entry>>,
    /// What the app's functions have made, for a trace.
    answers: Option<Answers>,
}

impl MigrationDraft {
    /// Begins a migration to a version.
    #[must_use]
    pub fn new(to: u32) -> Self {
        Self {
            complete: 0,
            made: Commit::default(),
            migrated: Migrated::new(to),
            walk: MigrationPass::Start,
            packing: Packing::default(),
            staying: SeqMap::default(),
            answers: None,
        }
    }

    /// Keeps what the app's functions answer, if it is to be described.
    #[must_use]
    pub fn traced(mut self, is_traced: bool) -> Self {
        self.answers = is_traced.then(Answers::default);
        self
    }

    /// Begins a pass over all rows. Drops what has changed since the last one: it is made again.
    pub fn begin(&mut self, replica: &Replica) {
        self.walk = MigrationPass::Start;
        let complete = self.complete;
        for segment in &mut self.made.segments {
            let rows = rows_of(replica, &segment.entity);
            segment.entries.retain_mut(|entry| {
                let row = rows.and_then(|rows| rows.get(&entry.id));
                let Some(row) = row.filter(|row| row.stamp <= complete) else {
                    return false;
                };
                (entry.version, entry.deleted, entry.held) = (row.version, row.deleted, row.held);
                true
            });
        }
        (self.made.segments).retain(|segment| !segment.entries.is_empty());
    }

    /// Notes that the pass has seen everything as of a head.
    pub const fn complete(&mut self, head: Seq) {
        self.complete = head;
    }

    /// Forgets everything that was made.
    pub fn start_over(&mut self) {
        *self = Self::new(self.migrated.to).traced(self.answers.is_some());
    }

    /// Returns the next step of the pass.
    pub fn next(&mut self, replica: &Replica, rules: &MigrationRules<'_>) -> MigrationStep {
        loop {
            match std::mem::take(&mut self.walk) {
                MigrationPass::Start => {
                    self.walk = MigrationPass::of(replica, table_after(replica, None));
                }
                MigrationPass::Table {
                    name, ended: true, ..
                } => {
                    self.close(&name);
                    self.walk = MigrationPass::of(replica, table_after(replica, Some(&name)));
                }
                MigrationPass::Table { name, after, .. } => {
                    return self.rows(replica, rules, name, after);
                }
                MigrationPass::Waiting(mut left) => {
                    let step = self.waiting(replica, rules, &mut left);
                    self.walk = MigrationPass::Waiting(left);
                    return step;
                }
            }
        }
    }

    /// Looks at the next rows of a table.
    fn rows(
        &mut self,
        replica: &Replica,
        rules: &MigrationRules<'_>,
        name: String,
        after: Option<String>,
    ) -> MigrationStep {
        let entity = type_of(&name);
        let may_change = (rules.changes)(entity, rules.from);
        let mut batch = MigrationBatch {
            local_only: (rules.local_only)(entity),
            table: name.clone(),
            from: rules.from,
            items: Vec::new(),
        };
        let (mut last, mut bytes, mut ended) = (None, 0_usize, true);
        let rows = rows_of(replica, &name).into_iter();
        for (seen, (id, row)) in rows
            .flat_map(|rows| rows.rows_after(after.as_deref()))
            .enumerate()
        {
            if seen >= STEP_ROWS || bytes >= BATCH_BYTES {
                ended = false;
                break;
            }
            if row.stamp > self.complete {
                let looked = if may_change {
                    item(replica, &name, id, row).and_then(|item| {
                        let whole = item.whole.as_deref();
                        let from = whole.map_or(batch.from, |whole| rules.version_of(whole));
                        if !rules.concerns(entity, from) {
                            // In the order of ids.
                            let stays = batch.items.is_empty();
                            return stays.then(|| self.take_over(replica, &name, id, row))?;
                        }
                        if from != batch.from && !batch.items.is_empty() {
                            return None;
                        }
                        bytes = bytes.saturating_add(whole.map_or(0, str::len));
                        batch.from = from;
                        batch.items.push(item);
                        Some(())
                    })
                } else {
                    self.take_over(replica, &name, id, row)
                };
                if looked.is_none() {
                    if seen == 0 {
                        self.walk = MigrationPass::Table {
                            name: name.clone(),
                            after: after.clone(),
                            ended: false,
                        };
                        return MigrationStep::Fetch(absent(replica, &name, after.as_deref()));
                    }
                    ended = false;
                    break;
                }
            }
            last = Some(id.to_owned());
        }
        self.walk = MigrationPass::Table {
            name,
            after: last.or(after),
            ended,
        };
        MigrationStep::Migrate(batch)
    }

    /// Takes over a row that no migration changes. Returns `None` if its body must be fetched first.
    fn take_over(&mut self, replica: &Replica, name: &str, id: &str, row: &Row) -> Option<()> {
        let mut entry = entry(id, row);
        if let RowBody::At {
            segment,
            offset,
            len,
        } = row.body
            && let Some((_, _, true)) = replica.segments().describe(segment)
        {
            (entry.offset, entry.len) = (offset, len);
            match self.staying.get_mut(segment) {
                Some(entries) => entries.push(entry),
                None => self.staying.insert(segment, vec![entry]),
            }
            return Some(());
        }
        let body = match replica.body_of(row) {
            Some(ViewBody::Absent { .. }) => return None,
            Some(ViewBody::Text(text)) => Some(text),
            None => None,
        };
        self.packing.push(name, entry, body, &mut self.made);
        Some(())
    }

    /// Ends a table.
    fn close(&mut self, name: &str) {
        self.packing.close(name, &mut self.made);
        for (segment, entries) in std::mem::take(&mut self.staying) {
            self.made.segments.push(SegmentWrite {
                entity: name.to_owned(),
                entries,
                body: SegmentBody::Kept(segment),
            });
        }
    }

    /// Takes what the app's migrations have made of a batch, in its order.
    ///
    /// # Errors
    /// Fails with [`Code::Migration`] if anything is missing, or no object, or too large.
    pub fn put(
        &mut self,
        batch: MigrationBatch,
        made: Vec<String>,
        field: Option<&SchemaField>,
    ) -> Result<()> {
        let entity = type_of(&batch.table).to_owned();
        let mut made = made.into_iter();
        for item in batch.items {
            let body = match &item.whole {
                Some(whole) => {
                    let text = migrated(whole, made.next(), field);
                    let text = text.map_err(|e| e.on(&entity, None))?;
                    if let Some(answers) = &mut self.answers {
                        answers.note(&item.place.name(&batch.table), &text);
                    }
                    let part = item.part.of(text, &batch.local_only);
                    part.map_err(|e| e.on(&entity, None))?
                }
                None => None,
            };
            match item.place {
                Destination::Waiting(name) => {
                    self.migrated
                        .insert(&name, body.unwrap_or_else(|| "{}".to_owned()));
                }
                // Fields that never leave the device, of which none is left.
                Destination::Row(_) if body.is_none() && item.part == Part::LocalOnly => {}
                Destination::Row(entry) => {
                    (self.packing).push(&batch.table, entry, body.as_deref(), &mut self.made);
                }
            }
        }
        Ok(())
    }

    /// Returns the next bodies to write ahead of the checkpoint, with their places among the
    /// segments: all but as much as one transaction may have.
    #[must_use]
    pub fn ahead(&self) -> Option<(Vec<usize>, Commit)> {
        let long = |segment: &SegmentWrite| match &segment.body {
            SegmentBody::New(bytes) if bytes.len() > INLINE_BYTES => bytes.len(),
            _ => 0,
        };
        let all = (self.made.segments.iter())
            .fold(0_usize, |sum, segment| sum.saturating_add(long(segment)));
        if all <= TRANSACTION_BYTES {
            return None;
        }
        let (mut places, mut commit, mut bytes) = (Vec::new(), Commit::default(), 0_usize);
        for (place, segment) in self.made.segments.iter().enumerate() {
            let len = long(segment);
            if len > 0 && bytes < TRANSACTION_BYTES {
                bytes = bytes.saturating_add(len);
                places.push(place);
                commit.segments.push(SegmentWrite {
                    entity: segment.entity.clone(),
                    entries: Vec::new(),
                    body: segment.body.clone(),
                });
            }
        }
        Some((places, commit))
    }

    /// Notes that the record at `seq` has the bodies of these segments.
    pub fn written(&mut self, places: &[usize], seq: Seq) {
        for (index, place) in places.iter().enumerate() {
            if let Some(segment) = self.made.segments.get_mut(*place) {
                segment.body = SegmentBody::Kept(body_id(seq, index));
            }
        }
    }

    /// Returns the rows of the checkpoint, and what it supersedes; `None` if a body that was written
    /// ahead is gone.
    pub fn checkpoint(&mut self, replica: &Replica) -> Option<(Commit, Superseded)> {
        let mut kept: SeqMap<KeptSegment> = SeqMap::default();
        for segment in &self.made.segments {
            if let SegmentBody::Kept(id) = segment.body {
                let (len, hash, _) = replica.segments().describe(id)?;
                kept.insert(id, KeptSegment { id, len, hash });
            }
        }
        let commit = Commit {
            segments: std::mem::take(&mut self.made.segments),
            events: vec![Event::Checkpoint {
                kept: kept.iter().map(|(_, kept)| kept.clone()).collect(),
                damage: replica.damage(),
            }],
        };
        let dropped = (replica.segments().external())
            .map(|(id, ..)| id)
            .filter(|id| kept.get(*id).is_none());
        let superseded = Superseded {
            records: (replica.checkpointed_at().max(1)..=replica.head()).collect(),
            bodies: dropped.collect(),
        };
        Some((commit, superseded))
    }

    /// Writes at most so many operations into the checkpoint, from one of them on, and behind the last
    /// one the rest of it. Returns the next operation, if there is more.
    pub fn write_operations(
        &self,
        replica: &Replica,
        commit: &mut Commit,
        from: usize,
        most: usize,
    ) -> Option<usize> {
        let writer = CheckpointWriter {
            replica,
            migrated: Some(&self.migrated),
        };
        let next = writer.write_operations(commit, from, most);
        if next.is_none() {
            writer.write_rest(commit);
        }
        next
    }

    /// Returns what the app's functions have answered, if the migration is traced.
    pub const fn answers(&mut self) -> Option<&mut Answers> {
        self.answers.as_mut()
    }

    /// Takes the segments of a checkpoint back that could not be appended.
    pub fn take_back(&mut self, commit: Commit) {
        self.made.segments = commit.segments;
    }
}
