//! The fold: what each record, and each part of a commit, does to the state. Folding a commit cannot
//! fail: its plan or the decoder of its record has already rejected what could be wrong.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, body_id};
use crate::log::commit::{Commit, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::directory::{Directory, Line};
use crate::log::facts::{CursorState, DeadLetter, Parked};
use crate::log::receipt::Restored;
use crate::log::segment::{INLINE_BYTES, checksum};
use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Kind, Operation};
use crate::state::changes::{touch, touch_letter, touch_operation, touch_rows, touch_segment};
use crate::state::lazy_rows::Deferred;
use crate::state::local_only::PREFIX;
use crate::state::replica::Replica;
use crate::state::rows::RowBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// Where a commit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This instance planned it.
    Own,
    /// It was read from the log, so its writer may have sent what it queued.
    Log,
}

/// Checksums of a commit's long bodies that are known already, in order.
type Sums<'a> = std::iter::Copied<std::slice::Iter<'a, u64>>;

impl Replica {
    /// Applies one record of the log.
    ///
    /// # Errors
    /// [`Code::Corrupt`] if the record does not come after the head; [`Code::ClientOutdated`] if a
    /// later version of the engine wrote it. A damaged or missing record is no error: it is counted,
    /// everything else is kept, and the next pull starts from the beginning.
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
        // Rows are deferred only if folding them does nothing but that.
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

    /// Applies a commit of this instance that has been appended. `sums` are the checksums of its long
    /// bodies.
    pub fn apply_own(&mut self, seq: Seq, commit: Commit, record_bytes: usize, sums: &[u64]) {
        self.growth.record(record_bytes);
        self.materialize();
        self.fold(seq, commit, SeqMap::default(), Origin::Own, sums);
    }

    /// Builds the row index from lazy rows.
    pub fn materialize(&mut self) {
        for step in self.lazy_rows.take() {
            match step {
                Deferred::Segment {
                    seq,
                    entity,
                    segment,
                    directory,
                } => {
                    let mut lines = directory.lines();
                    self.fold_rows(&entity, &mut lines, (seq, segment));
                    if !lines.were_all() {
                        self.damage.quarantine();
                    }
                }
                Deferred::Applied { seq, op, version } => self.fold_own_row(seq, &op, version),
            }
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
                let before = self.start_from_checkpoint(seq, kept);
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
            self.fold_event(seq, event, origin);
        }
        if let Some(before) = before {
            self.outbox.inherit(&before.outbox);
            self.touched = before.touched;
        }
        self.collect_orphans();
        self.head = seq;
    }

    /// Empties the state for a checkpoint to fill, and returns the old one. Bodies in memory and what
    /// is known about deliveries belong to this instance and are taken over.
    fn start_from_checkpoint(&mut self, seq: Seq, kept: &[KeptSegment]) -> Self {
        let mut fresh = Self {
            user_id: self.user_id.clone(),
            segments: self.segments.emptied(),
            ..Self::default()
        };
        fresh.growth.checkpointed(seq);
        let before = std::mem::replace(self, fresh);
        // Kept segments must be known before directories point into them.
        for segment in kept {
            let resident = before.segments.resident(segment.id).map(Rc::clone);
            self.segments
                .register(segment.id, segment.len, segment.hash, true, resident);
        }
        before
    }

    fn fold_segment(
        &mut self,
        own_id: BodyId,
        seq: Seq,
        segment: SegmentWrite,
        sums: &mut Sums<'_>,
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
        if let Some(directory) = directory {
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
        let mut lines = segment.entries.iter().map(Entry::line);
        self.fold_rows(&segment.entity, &mut lines, (seq, id));
    }

    fn register_new(&mut self, id: BodyId, bytes: Rc<[u8]>, sums: &mut Sums<'_>) {
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

    fn fold_own_row(&mut self, seq: Seq, op: &Operation, version: u64) {
        let rows = self.entities.entry(&op.entity);
        rows.fold_applied(seq, op, version, &mut self.segments);
    }

    fn fold_event(&mut self, seq: Seq, event: Event, origin: Origin) {
        match event {
            Event::Queue { op, replaces } => self.fold_queue(op, &replaces, origin),
            Event::Dequeue { ops } => self.fold_dequeue(&ops),
            Event::Applied {
                op_id,
                version,
                with_row,
                at,
                field_hashes,
            } => {
                if let Some(op) = self.fold_applied(&op_id, version, at, &field_hashes)
                    && !with_row
                {
                    self.fold_applied_row(seq, op, version);
                }
            }
            Event::Rebase { op_id, version } => self.outbox.rebase(&op_id, version),
            Event::Cursor { scope, state } => self.fold_cursor(&scope, state),
            Event::ResetCursor { scope } => drop(self.cursors.remove(&scope)),
            Event::Sweep { before, entities } => self.fold_sweep(before, entities.as_deref()),
            Event::NeedFullPull => self.damage.needs_full_pull = true,
            Event::ReleaseDeletes => self.fold_release_deletes(),
            Event::Park { conflict } => self.fold_park(conflict),
            Event::Unpark { id } => self.unpark(&id),
            Event::DeadLetters { letters } => self.fold_dead_letters(letters),
            Event::Revive { id } => self.fold_revive(&id),
            // The epoch is set by its own event; facts of a cycle leave it out.
            Event::Facts { facts } => self.facts = *facts,
            Event::Receipt {
                entity,
                id,
                receipt,
            } => self.receipts.put(&entity, &id, receipt),
            Event::Epoch { epoch, restored } => self.fold_epoch(epoch, restored),
            Event::Offered { count, done } => self.receipts.count_offers(count, done),
            Event::Quarantine { body } => self.fold_quarantine(body),
            Event::Explained { what } => self.history.add(what),
            Event::Checkpoint { .. } => {}
        }
    }

    fn fold_queue(&mut self, op: Operation, replaces: &[String], origin: Origin) {
        touch(self, &op.entity, &op.id);
        let parked = self
            .conflicts
            .values()
            .find(|parked| parked.entity == op.entity && parked.entity_id == op.id);
        self.outbox.queue(op, replaces, origin == Origin::Log);
        // Every write of an entity waits for the decision of its conflict, also after a checkpoint,
        // which parks the conflict after queueing the writes.
        if let Some(parked) = parked {
            self.outbox.block(
                &Key::new(&parked.entity, &parked.entity_id),
                Some(&parked.id),
            );
        }
    }

    fn fold_dequeue(&mut self, ops: &[String]) {
        for op in ops {
            touch_operation(self, op);
            if let Some(op) = self.outbox.remove(op) {
                self.local_only.mark_orphan(&op.entity, &op.id);
            }
        }
    }

    /// Takes an applied operation out of the outbox, with its receipt, and bases the next operation of
    /// its entity on the new version. Returns the operation.
    fn fold_applied(
        &mut self,
        op_id: &str,
        version: u64,
        at: u64,
        field_hashes: &[u64],
    ) -> Option<Operation> {
        touch_operation(self, op_id);
        let op = self.outbox.remove(op_id)?;
        self.local_only.mark_orphan(&op.entity, &op.id);
        self.receipts.acknowledge(&op, version, at, field_hashes);
        let next = self.outbox.chain(&Key::new(&op.entity, &op.id)).next();
        if let Some(next) = next.map(|queued| queued.op.op_id.clone()) {
            let base = (op.kind != Kind::Delete).then_some(version);
            self.outbox.rebase(&next, base);
        }
        Some(op)
    }

    /// Puts the row that an applied operation leaves, now or with the lazy rows before it.
    fn fold_applied_row(&mut self, seq: Seq, op: Operation, version: u64) {
        if self.has_lazy_rows() {
            self.lazy_rows.defer_applied(seq, op, version);
        } else {
            self.fold_own_row(seq, &op, version);
        }
    }

    fn fold_cursor(&mut self, scope: &str, state: CursorState) {
        if scope.is_empty() && state.reached_end && state.full_since.is_none() {
            self.damage.needs_full_pull = false;
        }
        self.cursors.insert(scope, state);
    }

    fn fold_sweep(&mut self, before: Seq, entities: Option<&[String]>) {
        // Lazy rows that all came later are not swept and may stay lazy.
        if !(self.entities.is_empty() && self.lazy_rows.are_all_after(before)) {
            self.materialize();
        }
        let swept =
            |entity: &str| entities.is_none_or(|only| only.iter().any(|name| name == entity));
        touch_rows(self, &|entity, row| swept(entity) && row.stamp <= before);
        for (entity, rows) in self.entities.iter_mut() {
            if swept(entity) {
                rows.sweep(entity, before, &mut self.segments);
            }
        }
        self.receipts.clear_missing(entities);
        self.local_only.mark_orphans(entities);
    }

    fn fold_release_deletes(&mut self) {
        self.materialize();
        touch_rows(self, &|_, row| row.held);
        for (entity, rows) in self.entities.iter_mut() {
            rows.release_deletes(entity);
        }
    }

    /// Parks a conflict in place of earlier ones of the same entity or id, so that an entity waits
    /// for one conflict at most, whatever the log says.
    fn fold_park(&mut self, conflict: Parked) {
        let earlier = self.conflicts.values().filter(|other| {
            other.id == conflict.id
                || (other.entity == conflict.entity && other.entity_id == conflict.entity_id)
        });
        for id in earlier.map(|other| other.id.clone()).collect::<Vec<_>>() {
            self.unpark(&id);
        }
        self.outbox.block(
            &Key::new(&conflict.entity, &conflict.entity_id),
            Some(&conflict.id),
        );
        let id = conflict.id.clone();
        self.conflicts.insert(&id, conflict);
    }

    fn unpark(&mut self, id: &str) {
        if let Some(conflict) = self.conflicts.remove(id) {
            self.outbox
                .block(&Key::new(&conflict.entity, &conflict.entity_id), None);
        }
    }

    fn fold_dead_letters(&mut self, letters: Vec<DeadLetter>) {
        for letter in letters {
            touch_operation(self, &letter.op.op_id);
            // The dead letters of a checkpoint were not pending and have receipts already.
            if self.outbox.remove(&letter.op.op_id).is_some() {
                self.receipts.reject(&letter.op, letter.died_at);
            }
            self.kept_rejections.add(&letter);
            let id = letter.op.op_id.clone();
            self.dead_letters.insert(&id, letter);
        }
    }

    fn fold_revive(&mut self, id: &str) {
        touch_letter(self, id);
        if let Some(letter) = self.dead_letters.remove(id) {
            self.kept_rejections.remove(&letter, &self.dead_letters);
            self.local_only
                .mark_orphan(&letter.op.entity, &letter.op.id);
        }
    }

    fn fold_epoch(&mut self, epoch: String, restored: Option<Restored>) {
        let known = self.facts.epoch.replace(epoch);
        let Some(restored) = restored else { return };
        // Cursors of the former history mean nothing in the new one.
        self.cursors = VecMap::default();
        self.receipts.mark_suspects(restored);
        // A checkpoint repeats this event before any epoch is known; its rows are up to date.
        if known.is_some() {
            self.forget_versions(restored.kept.unwrap_or_default());
        }
    }

    /// Forgets versions of a history that the server has lost. Until it is compared, such a row is
    /// older than everything that arrives, and is no base of a write.
    fn forget_versions(&mut self, kept: u64) {
        self.materialize();
        for (entity, rows) in self.entities.iter_mut() {
            rows.forget_versions(entity, kept);
        }
        self.outbox.forget_bases(kept);
    }

    fn fold_quarantine(&mut self, body: BodyId) {
        self.materialize();
        touch_rows(self, &|_, row| row.is_in(body));
        for (entity, rows) in self.entities.iter_mut() {
            rows.remove_rows_of(entity, body);
        }
        self.local_only.remove_rows_of(body);
        self.segments.remove(body);
        self.damage.quarantine();
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
