//! The fold: how each record, and each part of a commit, changes the state. Folding a commit cannot
//! fail: its plan or the decoder of its record has already rejected invalid content.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, body_id};
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::directory::{Directory, Line};
use crate::log::segment::{INLINE_BYTES, checksum};
use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::Operation;
use crate::state::changes::touch_segment;
use crate::state::lazy_rows::Deferred;
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::RowBody;
use crate::util::collections::seq_map::SeqMap;

pub mod checkpoint;
mod events;
mod spaces;

/// The origin of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This instance planned it.
    Own,
    /// It was read from the log, so its writer may have sent its operations.
    Log,
}

/// Checksums of a commit's long bodies that are known already, in order.
type Sums<'a> = &'a mut dyn Iterator<Item = u64>;

impl Replica {
    /// Applies one record of the log.
    ///
    /// # Errors
    /// Fails with [`Code::Corrupt`] if the record does not come after the head;
    /// [`Code::ClientOutdated`] if a later version of the engine or of the app wrote it. A damaged or missing
    /// record is no error: it is counted, everything else is kept, and the next pull starts from
    /// the beginning.
    pub fn apply_record(&mut self, seq: Seq, record: &Rc<[u8]>) -> Result<()> {
        self.materialize();
        self.take_record(seq, record, Commit::skim(record, &|_| false))
    }

    /// As [`Self::apply_record`], but leaves rows in the record until [`Self::materialize`] if
    /// possible.
    ///
    /// # Errors
    /// As [`Self::apply_record`].
    pub fn load_record(&mut self, seq: Seq, record: &Rc<[u8]>) -> Result<()> {
        // Rows are deferred only if folding them has no other effect.
        let may_defer = |entity: &str| {
            !entity.starts_with(PREFIX)
                && !self.is_listening()
                && !self.receipts.has_suspects()
                && !self.local_only.contains(entity)
        };
        let read = Commit::skim(record, &may_defer);
        self.take_record(seq, record, read)
    }

    fn take_record(
        &mut self,
        seq: Seq,
        record: &Rc<[u8]>,
        read: Result<(Commit, SeqMap<Directory>)>,
    ) -> Result<()> {
        if seq <= self.head {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "The log is out of order: record {seq} follows {}.",
                    self.head
                ),
            ));
        }
        let read = match read {
            Err(error) if error.code() == Code::ClientOutdated => return Err(error),
            read => read.ok(),
        };
        if let Some((commit, _)) = &read
            && commit
                .schema()
                .is_some_and(|schema| schema > self.app_schema)
        {
            return Err(outdated());
        }
        let is_checkpoint = read.as_ref().is_some_and(|(commit, _)| {
            matches!(commit.events.first(), Some(Event::Checkpoint { .. }))
        });
        let is_next = seq == self.head.saturating_add(1);
        if self.head == 0 && !is_next {
            // The log starts here: compaction freed the records before.
            self.growth.checkpointed(seq);
        }
        self.growth.record(record.len());
        // A checkpoint holds the whole state, so that gaps before it do not matter.
        if read.is_none() || (!is_next && !is_checkpoint) {
            self.damage.quarantine();
            self.unreadable = self.unreadable.saturating_add(1);
        }
        match read {
            Some((commit, directories)) => self.fold(seq, commit, directories, Origin::Log, &[]),
            None => self.head = seq,
        }
        Ok(())
    }

    /// Applies a commit of this instance that has been appended. `sums` are the checksums of its
    /// long bodies.
    pub fn apply_own(&mut self, seq: Seq, commit: Commit, record_bytes: usize, sums: &[u64]) {
        self.growth.record(record_bytes);
        self.materialize();
        self.fold(seq, commit, SeqMap::default(), Origin::Own, sums);
    }

    /// Builds the row index from lazy rows.
    pub fn materialize(&mut self) {
        self.materialize_some(usize::MAX);
    }

    /// Puts about this many lazy rows into the row index. Returns true if there are more. Readers
    /// find each row, in the index or still lazy.
    pub fn materialize_some(&mut self, rows: usize) -> bool {
        for step in self.lazy_rows.take_first(rows) {
            match step {
                Deferred::Segment {
                    seq,
                    entity,
                    segment,
                    directory,
                } => {
                    let mut lines = directory.lines();
                    self.defer_hashes(&entity);
                    self.fold_rows(&entity, &mut lines, (seq, segment));
                    if !lines.were_all() {
                        self.damage.quarantine();
                    }
                }
                Deferred::Applied { seq, op, version } => {
                    self.defer_hashes(&op.entity);
                    self.fold_own_row(seq, &op, version);
                }
            }
        }
        self.has_lazy_rows()
    }

    fn defer_hashes(&mut self, table: &str) {
        if !table.starts_with(PREFIX) {
            self.entities.entry(table).defer_hashes();
        }
    }

    fn fold(
        &mut self,
        seq: Seq,
        commit: Commit,
        mut directories: SeqMap<Directory>,
        origin: Origin,
        sums: &[u64],
    ) {
        let before = match commit.events.first() {
            Some(Event::Checkpoint { kept, damage }) => {
                let fresh = emptied(self, seq, kept);
                let before = std::mem::replace(self, fresh);
                self.damage = *damage;
                Some(before)
            }
            _ => None,
        };
        let mut sums = sums.iter().copied();
        for (index, segment) in commit.segments.into_iter().enumerate() {
            let directory = directories.remove(index as u64);
            self.fold_segment(body_id(seq, index), seq, segment, &mut sums, directory);
        }
        for event in commit.events {
            events::fold_event(self, seq, event, origin);
        }
        match before {
            Some(mut before) => self.follow(seq, &mut before),
            None => self.end_fold(seq),
        }
    }

    /// Ends the fold of a checkpoint: takes over what the state before it knows of deliveries, and
    /// what is noted for readers.
    fn follow(&mut self, seq: Seq, before: &mut Self) {
        self.outbox.inherit(&before.outbox);
        self.touched = std::mem::take(&mut before.touched);
        self.end_fold(seq);
    }

    fn end_fold(&mut self, seq: Seq) {
        self.collect_orphans();
        self.head = seq;
    }

    fn fold_segment(
        &mut self,
        own_id: BodyId,
        seq: Seq,
        segment: SegmentWrite,
        sums: Sums<'_>,
        directory: Option<Directory>,
    ) {
        touch_segment(self, &segment);
        let id = match segment.body {
            SegmentBody::New(bytes) => {
                self.register_new(own_id, bytes, sums);
                own_id
            }
            SegmentBody::Stored { len, hash } => {
                self.segments.register(own_id, len, hash, true, None);
                own_id
            }
            SegmentBody::Kept(id) => id,
        };
        if let Some(directory) = directory.filter(|directory| directory.count > 0) {
            self.lazy_rows
                .defer_segment(seq, segment.entity, id, directory);
            return;
        }
        if !segment.entity.starts_with(PREFIX) {
            self.materialize();
            for entry in &segment.entries {
                self.receipts
                    .clear_suspect(&segment.entity, &entry.id, entry.version);
            }
        }
        if segment.entries.is_empty() {
            // A body to which a later checkpoint refers.
            return;
        }
        let mut lines = segment.entries.iter().map(Entry::line);
        self.fold_rows(&segment.entity, &mut lines, (seq, id));
    }

    fn register_new(&mut self, id: BodyId, bytes: Rc<[u8]>, sums: Sums<'_>) {
        let external = bytes.len() > INLINE_BYTES;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if len > 0 {
            let sum = if external { sums.next() } else { None };
            let sum = sum.unwrap_or_else(|| checksum(&bytes));
            self.segments.register(id, len, sum, external, Some(bytes));
        }
    }

    fn fold_rows<'a>(
        &mut self,
        entity: &str,
        lines: &mut dyn Iterator<Item = Line<'a>>,
        from: (Seq, BodyId),
    ) {
        if let Some(entity) = entity.strip_prefix(PREFIX) {
            self.local_only
                .fold(entity, lines, from, &mut self.segments);
            return;
        }
        let rows = self.entities.entry(entity);
        for line in lines {
            if line.deleted() {
                self.local_only.mark_orphan(entity, line.id);
            }
            rows.fold_line(entity, line, from, &mut self.segments);
        }
    }

    /// Puts the row of an applied operation.
    fn fold_own_row(&mut self, seq: Seq, op: &Operation, version: u64) {
        let rows = self.entities.entry(&op.entity);
        rows.fold_applied(seq, op, version, &mut self.segments);
    }

    /// Removes the local-only fields of entities that are gone.
    fn collect_orphans(&mut self) {
        let orphans = self.local_only.take_orphans();
        if orphans.is_empty() {
            return;
        }
        self.materialize();
        for key in orphans {
            let key = key.as_key();
            if !self.owns_local_only(&key) {
                self.local_only.discard(&key, &mut self.segments);
            }
        }
    }

    /// Returns true if an entity has a body here, an operation that could give it one, or a dead
    /// letter.
    fn owns_local_only(&self, key: &Key) -> bool {
        self.row(key)
            .is_some_and(|row| !row.is_deleted() || row.body != RowBody::None)
            || self
                .outbox
                .chain(key)
                .any(|queued| queued.op.body.is_some())
            || self.has_dead_letter(key)
    }
}

/// Returns the empty state that a checkpoint fills. Bodies in memory belong to this instance and are
/// taken over.
fn emptied(before: &Replica, seq: Seq, kept: &[KeptSegment]) -> Replica {
    let mut fresh = Replica {
        user_id: before.user_id.clone(),
        lost: before.lost,
        app_schema: before.app_schema,
        segments: before.segments.emptied(),
        ..Replica::default()
    };
    fresh.growth.checkpointed(seq);
    // Kept segments must be known before directories point into them.
    for segment in kept {
        let resident = before.segments.resident(segment.id).map(Rc::clone);
        (fresh.segments).register(segment.id, segment.len, segment.hash, true, resident);
    }
    fresh
}

fn outdated() -> Error {
    Error::new(
        Code::ClientOutdated,
        "This user's data was stored by a newer version of this app (a greater `schemaVersion`), so this one writes no more; reload the page to get that version.",
    )
}
