//! Salvages the part of a lost log that exists nowhere else: keeps it in memory, and writes it into
//! the new log.

use std::rc::Rc;

use crate::conflict::field_hashes;
use crate::log::address::Seq;
use crate::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use crate::log::facts::DeadLetter;
use crate::log::salvaged::Salvaged;
use crate::model::entity::{Fields, Key, OwnedKey};
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::plan::context::PlanContext;
use crate::plan::row_planner::name;
use crate::state::local_only::written;
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;

/// The data to salvage. Rows are not included: the next pull brings them again.
#[derive(Debug, Default)]
pub struct Salvage {
    /// The epoch of the base versions.
    epoch: Option<String>,
    operations: Vec<Operation>,
    /// The base rows of the operations, without which a merge could only guess.
    bases: Vec<(OwnedKey, u64, Rc<str>)>,
    /// Fields that never leave the device, and the record that wrote them.
    local_only: Vec<(OwnedKey, Rc<str>, Seq)>,
    dead_letters: Vec<DeadLetter>,
    /// What other tabs need not save any more.
    saved: Salvaged,
    /// The lost log stood in for the storage, whose own log has nothing of it.
    pub stood_in: bool,
}

impl Salvage {
    /// Returns these operations, without bases: of another log.
    pub(super) fn of(operations: Vec<Operation>) -> Self {
        Self {
            operations,
            ..Self::default()
        }
    }

    /// Collects the data from the replica of a lost log. After a failed attempt, entries that were
    /// collected before are not duplicated.
    pub fn remember(&mut self, replica: &Replica) {
        self.enter_epoch(replica.facts().epoch.as_deref());
        let operations = replica.outbox().iter().map(|queued| queued.op.clone());
        let dead_letters = replica.dead_letters().values().cloned();
        add(&mut self.dead_letters, dead_letters, |letter| {
            &letter.op.op_id
        });
        add(&mut self.operations, operations, |op| &op.op_id);
        add(&mut self.bases, replica.bases().into_iter(), |(key, ..)| {
            key
        });
        let texts = replica.local_only_texts();
        self.local_only
            .retain(|(key, ..)| replica.local_only().get(&key.as_key()).is_none());
        self.local_only.extend(texts);
        let letters = self.dead_letters.iter().map(|letter| &letter.op);
        let ops = self.operations.iter().chain(letters);
        let known = Salvaged::new(replica.head(), ops.map(|op| &*op.op_id));
        self.saved = self.saved.joined(&known);
        if let Some((_, earlier)) = replica.salvaged() {
            self.saved = self.saved.joined(earlier);
        }
    }

    /// Returns true if there is nothing to salvage.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.local_only.is_empty() && self.dead_letters.is_empty()
    }

    /// Returns the ids of the operations.
    #[must_use]
    pub fn op_ids(&self) -> Vec<String> {
        self.operations.iter().map(|op| op.op_id.clone()).collect()
    }

    /// Plans the commit that writes everything into the log of `replica`. Adds only what is
    /// missing, because another tab may have salvaged the same.
    pub fn plan(&mut self, replica: &Replica, context: &PlanContext) -> Commit {
        self.enter_epoch(replica.facts().epoch.as_deref());
        let mut commit = Commit {
            segments: self.missing_local_only(replica),
            events: Vec::new(),
        };
        self.queue_operations(&mut commit, replica, context);
        let mut queued: VecMap<()> = VecMap::default();
        for event in &commit.events {
            if let Event::Queue { op, .. } = event {
                queued.insert(&name(&op.entity, &op.id), ());
            }
        }
        for (key, version, body) in &self.bases {
            // A row that another tab has pulled since is newer.
            if queued.contains(&name(&key.entity, &key.id))
                && replica.row_version(&key.as_key()).is_none()
            {
                commit.segments.push(base_row(key, *version, body));
            }
        }
        let mut dead_letters = self.dead_letters.clone();
        dead_letters.retain(|letter| {
            !replica.dead_letters().contains(&letter.op.op_id)
                && !was_saved(replica, &letter.op.op_id)
        });
        if !dead_letters.is_empty() {
            commit.events.push(Event::DeadLetters { dead_letters });
        }
        if commit.is_empty() && replica.head() > 0 {
            return commit;
        }
        commit.events.push(Event::NeedFullPull);
        if !self.is_empty() {
            let earlier = replica.salvaged().map(|(_, what)| what);
            let what = earlier.unwrap_or(&Salvaged::default()).joined(&self.saved);
            commit.events.push(Event::Salvaged { what });
        }
        replica.note_first_epoch(self.epoch.as_deref(), &mut commit);
        commit
    }

    /// Returns the local-only fields that the log lacks. Where another tab has saved them, only
    /// values that it did not know count, unless they were written again since.
    fn missing_local_only(&self, replica: &Replica) -> Vec<SegmentWrite> {
        let lacks = |key: &OwnedKey, stamp: Seq| {
            let there = replica.local_only().get(&key.as_key());
            let stands = there.zip(replica.salvaged()).filter(|_| !self.stood_in);
            stands.is_none_or(|(row, (at, what))| stamp > what.head && row.stamp <= *at)
        };
        let of_one_type = self
            .local_only
            .chunk_by(|(a, ..), (b, ..)| a.entity == b.entity);
        let mut segments = Vec::new();
        for fields in of_one_type {
            let lacking = fields.iter().filter(|(key, _, stamp)| lacks(key, *stamp));
            let segment = written(
                fields.first().map_or("", |(key, ..)| &key.entity),
                lacking.map(|(key, text, _)| (&*key.id, Some(&**text))),
            );
            if !segment.entries.is_empty() {
                segments.push(segment);
            }
        }
        segments
    }

    /// Queues the operations. Existing operations of the same entity were made without knowing
    /// them, so a salvaged operation is queued behind them.
    pub(super) fn queue_operations(
        &self,
        commit: &mut Commit,
        replica: &Replica,
        context: &PlanContext,
    ) {
        let mut added: Vec<Operation> = Vec::new();
        for (index, op) in self.operations.iter().enumerate() {
            // Another tab's later edit may already include it, or the remote: queueing it again would
            // undo what came after it.
            if replica.outbox().knows(&op.op_id) || was_saved(replica, &op.op_id) {
                continue;
            }
            let same = |other: &&Operation| other.entity == op.entity && other.id == op.id;
            let last = added.iter().rev().find(same);
            let last = last.or_else(|| replica.outbox().last(&Key::new(&op.entity, &op.id)));
            match last {
                None => commit.queue(op.clone(), Vec::new()),
                Some(last) => {
                    if let Some(op) = behind(op, last, context.op_id(index)) {
                        commit.queue(op.clone(), Vec::new());
                        added.push(op);
                    }
                }
            }
        }
    }

    /// Forgets base versions if the new log has another epoch: they mean nothing there.
    fn enter_epoch(&mut self, epoch: Option<&str>) {
        let Some(epoch) = epoch.filter(|epoch| self.epoch.as_deref() != Some(*epoch)) else {
            return;
        };
        if self.epoch.replace(epoch.to_owned()).is_some() {
            for op in &mut self.operations {
                op.forget_base(UNKNOWN);
            }
            for (_, version, _) in &mut self.bases {
                *version = UNKNOWN;
            }
        }
    }
}

/// Returns true if another tab has saved this operation or dead letter.
fn was_saved(replica: &Replica, op_id: &str) -> bool {
    replica.salvaged().is_some_and(|(_, what)| what.has(op_id))
}

fn base_row(key: &OwnedKey, version: u64, body: &str) -> SegmentWrite {
    SegmentWrite {
        entity: key.entity.clone(),
        entries: vec![Entry {
            id: key.id.clone(),
            version,
            len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            ..Entry::default()
        }],
        body: SegmentBody::New(Rc::from(body.as_bytes())),
    }
}

/// Appends the items whose name is not in the list yet.
fn add<T, K: PartialEq>(kept: &mut Vec<T>, more: impl Iterator<Item = T>, name: impl Fn(&T) -> &K) {
    let before = kept.len();
    for one in more {
        if !kept
            .iter()
            .take(before)
            .any(|kept| name(kept) == name(&one))
        {
            kept.push(one);
        }
    }
}

/// Rebases an operation of a lost log onto a later one that was made without knowing it. The result
/// has the fields that it changed and the later one did not; `None` if no field is left.
fn behind(op: &Operation, last: &Operation, op_id: String) -> Option<Operation> {
    if op.kind == OperationKind::Move {
        return Some(op.clone());
    }
    let body = match (op.body.as_deref(), last.body.as_deref()) {
        // An edit wins over a delete.
        (None, Some(_)) => return None,
        (_, None) => return Some(op.clone()),
        (Some(body), Some(_)) => body,
    };
    // An unreadable body is salvaged as it is; the push will report what is wrong with it.
    let (Ok(mut fields), Ok(written)) = (Fields::parse(last.body.as_deref()?), Fields::parse(body))
    else {
        return Some(op.clone());
    };
    let mut changed = Vec::new();
    for (name, value) in written.0 {
        let concerned =
            op.kind != OperationKind::Patch || op.fields.iter().any(|field| *field == *name);
        if !concerned || matches!(name.as_ref(), "createdAt" | "modifiedAt") {
            continue;
        }
        match fields.0.iter_mut().find(|(have, _)| *have == name) {
            Some((_, have)) if *have == value || op.queued_at <= last.queued_at => continue,
            Some(place) => place.1 = value,
            None => fields.0.push((name.clone(), value)),
        }
        changed.push(name.into_owned());
    }
    let mut earlier = op.earlier.clone();
    earlier.extend(field_hashes(body, &op.fields));
    let mut supersedes = op.supersedes.clone();
    supersedes.push(op.op_id.clone());
    (!changed.is_empty()).then(|| Operation {
        op_id,
        kind: OperationKind::Patch,
        base_version: last.base_version,
        body: Some(Rc::from(fields.to_json())),
        fields: changed,
        supersedes,
        earlier,
        attempts: 0,
        ..op.clone()
    })
}
