//! The fold: what each part of a commit does to the state. Applying cannot fail; whatever could be
//! wrong was refused when the commit was planned or its record was decoded.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, body_id};
use crate::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use crate::log::directory::{Directory, Line};
use crate::log::facts::Parked;
use crate::log::segment::{INLINE_BYTES, checksum};
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::state::local_only;
use crate::state::outbox::Outbox;
use crate::state::replica::Replica;
use crate::state::rows::{Body, Row};
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// Where a commit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This instance planned it.
    Own,
    /// It was read from the log: what it queued may have been sent by whoever wrote it.
    Log,
}

impl Replica {
    /// Takes in a commit of this instance that has been appended, with the checksums of its long
    /// bodies.
    pub fn apply_own(&mut self, seq: Seq, commit: Commit, record_bytes: usize, sums: &[u64]) {
        self.growth.record(record_bytes);
        self.materialize();
        self.fold(seq, commit, SeqMap::default(), Origin::Own, sums);
    }

    pub(super) fn apply(&mut self, seq: Seq, commit: Commit, lazy_rows: SeqMap<Directory>) {
        self.fold(seq, commit, lazy_rows, Origin::Log, &[]);
    }

    fn fold(
        &mut self,
        seq: Seq,
        commit: Commit,
        mut lazy_rows: SeqMap<Directory>,
        origin: Origin,
        sums: &[u64],
    ) {
        // Segments that a checkpoint keeps must be known before its directories point into them.
        let before = match commit.events.first() {
            Some(Event::Checkpoint { kept, damage }) => {
                let before = self.start_from_checkpoint(seq);
                for segment in kept {
                    let resident = before.segments.resident(segment.id).map(Rc::clone);
                    self.segments
                        .register(segment.id, segment.len, segment.hash, true, resident);
                }
                self.damage = *damage;
                Some(before)
            }
            _ => None,
        };
        let mut sums = sums.iter().copied();
        for (index, segment) in commit.segments.into_iter().enumerate() {
            self.fold_segment(
                seq,
                index,
                segment,
                &mut sums,
                lazy_rows.remove(index as u64),
            );
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

    /// Empties the state for a checkpoint to fill, and gives back what was there: the bodies in
    /// memory and the journeys of operations are this instance's own knowledge and go on.
    fn start_from_checkpoint(&mut self, seq: Seq) -> Self {
        let mut fresh = Self {
            user_id: self.user_id.clone(),
            segments: self.segments.emptied(),
            ..Self::default()
        };
        fresh.growth.checkpointed(seq);
        std::mem::replace(self, fresh)
    }

    fn fold_segment(
        &mut self,
        seq: Seq,
        index: usize,
        segment: SegmentWrite,
        sums: &mut std::iter::Copied<std::slice::Iter<'_, u64>>,
        lazy_rows: Option<Directory>,
    ) {
        self.touch_segment(&segment);
        let id = match segment.body {
            SegmentBody::New(bytes) => {
                let id = body_id(seq, index);
                let external = bytes.len() > INLINE_BYTES;
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                if len > 0 {
                    let sum = if external { sums.next() } else { None };
                    self.segments.register(
                        id,
                        len,
                        sum.unwrap_or_else(|| checksum(&bytes)),
                        external,
                        Some(bytes),
                    );
                }
                id
            }
            SegmentBody::Stored { len, hash } => {
                let id = body_id(seq, index);
                self.segments.register(id, len, hash, true, None);
                id
            }
            SegmentBody::Kept(id) => id,
        };
        if let Some(directory) = lazy_rows {
            self.defer_rows(seq, segment.entity, id, directory);
            return;
        }
        if !segment.entity.starts_with(local_only::MARK) {
            self.materialize();
            for entry in &segment.entries {
                self.receipts
                    .compared(&segment.entity, &entry.id, entry.version);
            }
        }
        self.fold_rows(
            seq,
            &segment.entity,
            id,
            &mut segment.entries.iter().map(Entry::line),
        );
    }

    /// Folds the rows of a segment whose body is known by this id.
    pub(super) fn fold_rows<'a>(
        &mut self,
        seq: Seq,
        entity: &str,
        id: BodyId,
        lines: &mut dyn Iterator<Item = Line<'a>>,
    ) {
        let device = entity.strip_prefix(local_only::MARK);
        let entity = device.unwrap_or(entity);
        let all = if device.is_some() {
            &mut self.device
        } else {
            &mut self.entities
        };
        let mut rows = all.remove(entity).unwrap_or_default();
        for line in lines {
            let Line {
                id: key,
                version,
                offset,
                len,
                ..
            } = line;
            let (deleted, held, retain) = (line.deleted(), line.held(), line.retain());
            if deleted {
                if device.is_some() {
                    if let Some(Row {
                        body: Body::At { segment, len, .. },
                        ..
                    }) = rows.remove(entity, key)
                    {
                        self.segments.lose(segment, len);
                    }
                    continue;
                }
                self.mark_orphan(entity, key);
            }
            if retain
                && !deleted
                && rows
                    .get(key)
                    .is_some_and(|row| row.version == version && row.deleted == deleted)
            {
                rows.confirm(key, seq);
                continue;
            }
            let body = if len > 0 {
                self.segments.gain(id, len);
                Body::At {
                    segment: id,
                    offset,
                    len,
                }
            } else if retain {
                let kept = rows
                    .get(key)
                    .map(|row| row.body.clone())
                    .unwrap_or_default();
                if let Body::At { segment, len, .. } = &kept {
                    self.segments.gain(*segment, *len);
                }
                kept
            } else {
                Body::None
            };
            let old = rows.put(
                entity,
                key,
                Row {
                    version,
                    deleted,
                    held,
                    body,
                    stamp: seq,
                },
            );
            if let Some(Row {
                body: Body::At { segment, len, .. },
                ..
            }) = old
            {
                self.segments.lose(segment, len);
            }
        }
        let all = if device.is_some() {
            &mut self.device
        } else {
            &mut self.entities
        };
        all.insert(entity, rows);
    }

    fn fold_event(&mut self, seq: Seq, event: Event, origin: Origin) {
        match event {
            Event::Queue { op, replaces } => {
                self.touch(&op.entity, &op.id);
                let parked = self
                    .conflicts
                    .values()
                    .find(|parked| parked.entity == op.entity && parked.entity_id == op.id);
                self.outbox.queue(op, &replaces, origin == Origin::Log);
                // Whatever is written of an entity waits for the decision of its conflict, as it
                // will after a checkpoint.
                if let Some(parked) = parked {
                    self.outbox.block(
                        &Key::new(&parked.entity, &parked.entity_id),
                        Some(&parked.id),
                    );
                }
            }
            Event::Dequeue { ops } => {
                for op in &ops {
                    self.touch_operation(op);
                    if let Some(op) = self.outbox.remove(op) {
                        self.mark_orphan(&op.entity, &op.id);
                    }
                }
            }
            Event::Applied {
                op_id,
                version,
                with_row,
                at,
                field_hashes,
            } => self.fold_applied(seq, &op_id, version, with_row, (at, &field_hashes)),
            Event::Rebase { op_id, version } => self.outbox.rebase(&op_id, version),
            Event::Cursor { scope, state } => {
                if scope.is_empty() && state.reached_end && state.full_since.is_none() {
                    self.damage.needs_full_pull = false;
                }
                self.cursors.insert(&scope, state);
            }
            Event::ResetCursor { scope } => {
                self.cursors.remove(&scope);
            }
            Event::Sweep { before, entities } => self.fold_sweep(before, entities.as_deref()),
            Event::NeedFullPull => self.damage.needs_full_pull = true,
            Event::ReleaseDeletes => self.fold_release(),
            Event::Park { conflict } => {
                // An entity waits for one, and one is of one entity, whatever a log says.
                let same = |other: &Parked| {
                    other.entity == conflict.entity && other.entity_id == conflict.entity_id
                };
                let before = self
                    .conflicts
                    .values()
                    .filter(|other| other.id == conflict.id || same(other));
                for id in before.map(|other| other.id.clone()).collect::<Vec<_>>() {
                    self.unpark(&id);
                }
                self.outbox.block(
                    &Key::new(&conflict.entity, &conflict.entity_id),
                    Some(&conflict.id),
                );
                let id = conflict.id.clone();
                self.conflicts.insert(&id, conflict);
            }
            Event::Unpark { id } => self.unpark(&id),
            Event::DeadLetters { letters } => {
                for letter in letters {
                    self.touch_operation(&letter.op.op_id);
                    // A checkpoint's dead letters are none of today's.
                    if self.outbox.remove(&letter.op.op_id).is_some() {
                        self.receipts.reject(&letter.op, letter.died_at);
                    }
                    let id = letter.op.op_id.clone();
                    self.keep(&letter);
                    self.dead_letters.insert(&id, letter);
                }
            }
            Event::Revive { id } => {
                self.touch_letter(&id);
                if let Some(letter) = self.dead_letters.remove(&id) {
                    self.unkeep(&letter);
                    self.mark_orphan(&letter.op.entity, &letter.op.id);
                }
            }
            // The epoch has events of its own: whoever writes down how a cycle ended says nothing
            // of it.
            Event::Facts { facts } => self.facts = *facts,
            Event::Receipt {
                entity,
                id,
                receipt,
            } => self.receipts.put(&entity, &id, receipt),
            Event::Epoch { epoch, restored } => {
                let known = self.facts.epoch.replace(epoch);
                if let Some(restored) = restored {
                    // They lead into another history.
                    self.cursors = VecMap::default();
                    self.receipts.doubt(restored);
                    // A checkpoint says so before it has an epoch: its rows are as they were.
                    if known.is_some() {
                        self.forget_versions(restored.kept.unwrap_or_default());
                    }
                }
            }
            Event::Offered { count, done } => self.receipts.count_offers(count, done),
            Event::Quarantine { body } => self.fold_quarantine(body),
            Event::Explained { what } => self.history.add(what),
            Event::Checkpoint { .. } => {}
        }
    }

    fn fold_applied(
        &mut self,
        seq: Seq,
        op_id: &str,
        version: u64,
        with_row: bool,
        (at, field_hashes): (u64, &[u64]),
    ) {
        self.touch_operation(op_id);
        let Some(op) = self.outbox.remove(op_id) else {
            return;
        };
        self.mark_orphan(&op.entity, &op.id);
        let key = Key::new(&op.entity, &op.id);
        self.receipts.acknowledge(&op, version, at, field_hashes);
        let next: Option<String> = self
            .outbox
            .chain(&key)
            .next()
            .map(|queued| queued.op.op_id.clone());
        if let Some(next) = next {
            self.rebase_after(&next, &op, version);
        }
        match (with_row, self.has_lazy_rows()) {
            (true, _) => {}
            (false, true) => self.put_off_own(seq, op, version),
            (false, false) => self.put_own_row(seq, &op, version),
        }
    }

    fn rebase_after(&mut self, next: &str, applied: &Operation, version: u64) {
        let base = (applied.kind != OperationKind::Delete).then_some(version);
        self.outbox.rebase(next, base);
    }

    /// The remote has exactly what the operation said: its body becomes the synced row's.
    pub(super) fn put_own_row(&mut self, seq: Seq, op: &Operation, version: u64) {
        let rows = self.entities.entry(&op.entity);
        let deleted = op.kind == OperationKind::Delete;
        let mut lost = None;
        let body = match &op.body {
            Some(text) => Body::Own(Rc::clone(text)),
            None if op.soft => {
                let kept = rows
                    .get(&op.id)
                    .map(|row| row.body.clone())
                    .unwrap_or_default();
                if let Body::At { segment, len, .. } = &kept {
                    self.segments.gain(*segment, *len);
                }
                kept
            }
            None => Body::None,
        };
        if let Some(Row {
            body: Body::At { segment, len, .. },
            ..
        }) = rows.put(
            &op.entity,
            &op.id,
            Row {
                version,
                deleted,
                held: false,
                body,
                stamp: seq,
            },
        ) {
            lost = Some((segment, len));
        }
        if let Some((segment, len)) = lost {
            self.segments.lose(segment, len);
        }
    }

    fn fold_sweep(&mut self, before: Seq, entities: Option<&[String]>) {
        if !self.is_late_after(before) {
            self.materialize();
        }
        let swept =
            |entity: &str| entities.is_none_or(|only| only.iter().any(|name| name == entity));
        self.touch_rows(&|entity, row| swept(entity) && row.stamp <= before);
        for (entity, rows) in self.entities.iter_mut() {
            if !swept(entity) {
                continue;
            }
            let gone: Vec<String> = rows
                .iter()
                .filter(|(_, row)| row.stamp <= before)
                .map(|(id, _)| id.to_owned())
                .collect();
            for id in gone {
                if let Some(Row {
                    body: Body::At { segment, len, .. },
                    ..
                }) = rows.remove(entity, &id)
                {
                    self.segments.lose(segment, len);
                }
            }
        }
        self.receipts.swept(entities);
        self.mark_orphans(entities);
    }

    fn unpark(&mut self, id: &str) {
        if let Some(conflict) = self.conflicts.remove(id) {
            self.outbox
                .block(&Key::new(&conflict.entity, &conflict.entity_id), None);
        }
    }

    /// What has a version of a history that is over has none that means anything now: until it is
    /// compared, it is older than all that comes, and no base.
    fn forget_versions(&mut self, kept: u64) {
        self.materialize();
        for (entity, rows) in self.entities.iter_mut() {
            let over: Vec<(String, Row)> = rows
                .iter()
                .filter(|(_, row)| row.version > kept)
                .map(|(id, row)| (id.to_owned(), row.clone()))
                .collect();
            for (id, row) in over {
                rows.put(
                    entity,
                    &id,
                    Row {
                        version: UNKNOWN,
                        ..row
                    },
                );
            }
        }
        self.outbox.forget_bases(kept);
    }

    fn fold_release(&mut self) {
        self.materialize();
        self.touch_rows(&|_, row| row.held);
        for (entity, rows) in self.entities.iter_mut() {
            let held: Vec<(String, Row)> = rows
                .iter()
                .filter(|(_, row)| row.held)
                .map(|(id, row)| (id.to_owned(), row.clone()))
                .collect();
            for (id, row) in held {
                rows.put(entity, &id, Row { held: false, ..row });
            }
        }
    }

    fn fold_quarantine(&mut self, body: BodyId) {
        self.materialize();
        self.touch_rows(&|_, row| matches!(row.body, Body::At { segment, .. } if segment == body));
        for (entity, rows) in self.entities.iter_mut().chain(self.device.iter_mut()) {
            let lost: Vec<String> = rows
                .iter()
                .filter(|(_, row)| matches!(row.body, Body::At { segment, .. } if segment == body))
                .map(|(id, _)| id.to_owned())
                .collect();
            for id in lost {
                rows.remove(entity, &id);
            }
        }
        self.segments.remove(body);
        self.damage.quarantine();
    }
}

impl Outbox {
    /// Whether an answer to this operation could still settle something here.
    #[must_use]
    pub fn knows(&self, op_id: &str) -> bool {
        self.get(op_id).is_some() || self.superseding(op_id).is_some()
    }
}
