//! Collects the effects of remote rows on the log; shared by pages and verdicts.

use std::rc::Rc;

use crate::conflict::{self, Conflict, Decision, Resolution, same_content};
use crate::log::commit::{Commit, Entry, Event};
use crate::log::facts::{DeadLetter, Parked};
use crate::log::segment_writer::Packing;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Key;
use crate::model::operation::{Link, Operation, OperationKind, join_links};
use crate::plan::context::PlanContext;
use crate::plan::{Decided, Plan, Planner};
use crate::state::replica::Replica;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// Answers to the questions of earlier planning rounds.
#[derive(Debug, Default)]
pub struct Decisions {
    /// The resolvers' answers, by conflict id.
    pub made: VecMap<Decision>,
    /// Entities, by [`name`], for which the remote has just confirmed that it has none of the
    /// pending operations.
    pub confirmed_absent: VecMap<()>,
}

/// A planner that may run into conflicts. Its output is a [`Decided`].
pub trait ConflictPlanner: Planner {
    /// The answers so far; the caller adds those that planning asked for.
    fn decisions(&mut self) -> &mut Decisions;
}

/// Returns one string that identifies an entity of any type. Ids have no control characters.
#[must_use]
pub fn name(entity: &str, id: &str) -> String {
    [entity, "\0", id].concat()
}

/// The effects of planned rows, apart from the commit.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Applied rows by entity type.
    pub pulled: VecMap<u64>,
    /// Conflicts with their decisions.
    pub resolved: Vec<(Conflict, Decision)>,
    /// The number of operations offered again to a restored server.
    pub offered: u64,
    /// The total of offered operations, at the end of the pull of a restored server.
    pub restored: Option<u64>,
    /// What waited for spaces that the user has left.
    pub dead_letters: Vec<DeadLetter>,
}

/// A row from the remote, in a page or in a verdict.
#[derive(Clone, Copy)]
pub(super) struct RemoteRow<'a> {
    pub(super) entity: &'a str,
    pub(super) id: &'a str,
    pub(super) version: u64,
    /// The body; `None` for a tombstone.
    pub(super) body: Option<&'a str>,
    /// Tombstones of this type keep the deleted body.
    pub(super) soft: bool,
    /// The remote has just confirmed that it has none of the pending operations.
    pub(super) confirmed_absent: bool,
}

/// How tombstones are applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tombstones {
    /// The entity is deleted now.
    Apply,
    /// The entity stays visible until a cycle includes deletes.
    Hold,
}

impl<'a> RemoteRow<'a> {
    pub(super) const fn key(&self) -> Key<'a> {
        Key::new(self.entity, self.id)
    }

    /// Returns the row of a verdict on `op`.
    pub(super) fn of(op: &'a Operation, version: u64, body: Option<&'a str>, soft: bool) -> Self {
        Self {
            entity: &op.entity,
            id: &op.id,
            version,
            body,
            soft,
            confirmed_absent: true,
        }
    }
}

/// Collects rows, events, conflicts and missing bodies while a page or a set of verdicts is
/// planned.
pub(super) struct RowPlanner<'a> {
    pub(super) replica: &'a Replica,
    pub(super) policies: &'a dyn Fn(&str) -> Rc<Policies>,
    pub(super) decisions: &'a Decisions,
    pub(super) context: &'a PlanContext,
    pub(super) commit: Commit,
    pub(super) incoming: Incoming,
    pub(super) missing: SeqMap<()>,
    pub(super) undecided: Vec<Conflict>,
    /// Operations that the same commit makes letters of.
    pub(super) buried: VecMap<()>,
    segments: VecMap<Packing>,
    made: usize,
}

impl<'a> RowPlanner<'a> {
    pub(super) fn new(
        replica: &'a Replica,
        policies: &'a dyn Fn(&str) -> Rc<Policies>,
        decisions: &'a Decisions,
        context: &'a PlanContext,
    ) -> Self {
        Self {
            replica,
            policies,
            decisions,
            context,
            commit: Commit::default(),
            incoming: Incoming::default(),
            missing: SeqMap::default(),
            undecided: Vec::new(),
            buried: VecMap::default(),
            segments: VecMap::default(),
            made: 0,
        }
    }

    /// Returns an id for a new operation.
    pub(super) fn op_id(&mut self) -> String {
        let op_id = self.context.op_id(self.made);
        self.made = self.made.saturating_add(1);
        op_id
    }

    pub(super) fn push_event(&mut self, event: Event) {
        self.commit.events.push(event);
    }

    /// Makes letters of writes that are gone without a verdict.
    pub(super) fn bury(&mut self, letters: Vec<DeadLetter>) {
        if !letters.is_empty() {
            self.push_event(Event::DeadLetters {
                dead_letters: letters.clone(),
            });
            self.incoming.dead_letters.extend(letters);
        }
    }

    /// Writes the remote's row.
    pub(super) fn write_row(&mut self, row: &RemoteRow<'_>, tombstones: Tombstones) {
        let deleted = row.body.is_none();
        let held = deleted && tombstones == Tombstones::Hold;
        let entry = Entry {
            id: row.id.to_owned(),
            version: row.version,
            deleted,
            held,
            retain: deleted && (row.soft || held),
            ..Entry::default()
        };
        self.put_row(row.entity, entry, row.body);
    }

    /// Writes the tombstone of a row that may have been moved. While an edit of it waits for the
    /// remote's word about that, the tombstone keeps what the edit was made on.
    pub(super) fn write_left(&mut self, row: &RemoteRow<'_>) {
        let first = self.replica.outbox().chain(&row.key()).next();
        let waits = first
            .is_some_and(|first| first.op.entity == row.entity && first.op.base_version.is_some());
        let soft = row.soft || waits;
        self.write_row(&RemoteRow { soft, ..*row }, Tombstones::Apply);
    }

    pub(super) fn put_row(&mut self, entity: &str, entry: Entry, body: Option<&str>) {
        self.segments
            .entry(entity)
            .push(entity, entry, body, &mut self.commit);
    }

    /// Settles the operation `sent` because the row proves that the remote applied it and only the
    /// reply was lost. Operations queued before it are settled with it.
    pub(super) fn settle_by_row(&mut self, chain: &[&Operation], sent: &str, row: &RemoteRow<'_>) {
        self.write_row(row, Tombstones::Apply);
        for op in chain {
            if op.op_id == sent {
                self.applied(op, row.version, RowWritten::Yes);
                return;
            }
            self.push_event(Event::Dequeue {
                ops: vec![op.op_id.clone()],
            });
        }
    }

    /// Records that the remote applied an operation at this version.
    pub(super) fn applied(&mut self, op: &Operation, version: u64, row: RowWritten) {
        let base = self.replica.base_of_op(op).ok().flatten();
        let field_hashes = match op.body.as_deref() {
            Some(body) if !op.creates_all() => {
                conflict::changed_field_hashes(base, body, &op.fields)
            }
            _ => Vec::new(),
        };
        self.push_event(Event::Applied {
            op_id: op.op_id.clone(),
            version,
            with_row: row == RowWritten::Yes,
            at: self.context.now,
            field_hashes,
        });
    }

    /// Carries out the decision of a conflict.
    pub(super) fn resolve(
        &mut self,
        conflict: Conflict,
        decision: Decision,
        chain: &[&Operation],
        row: &RemoteRow<'_>,
    ) {
        let Some(last) = chain.last() else { return };
        let replaced: Vec<String> = chain.iter().map(|op| op.op_id.clone()).collect();
        self.write_row(row, Tombstones::Apply);
        self.commit.explain(&conflict, &decision);
        match &decision.resolution {
            Resolution::Remote => self.give_way(replaced, row),
            Resolution::Local => {
                let op = self.winner(last, chain, row, last.body.clone());
                self.commit.queue(op, replaced);
            }
            Resolution::Merged(body) => {
                let equals = |side: Option<&str>| side.is_some_and(|side| same_content(side, body));
                if equals(row.body) {
                    self.give_way(replaced, row);
                } else {
                    let op = self.winner(last, chain, row, Some(Rc::clone(body)));
                    self.commit.queue(op, replaced);
                    if !equals(last.body.as_deref()) {
                        self.note_merge(row, Merging::UntilPushed);
                    }
                }
            }
            Resolution::Later => self.push_event(Event::Park {
                conflict: parked(&conflict, decision.failed),
            }),
        }
        self.incoming.resolved.push((conflict, decision));
    }

    /// Lets the remote's row win: drops the conflicting operations and writes a receipt.
    fn give_way(&mut self, ops: Vec<String>, row: &RemoteRow<'_>) {
        self.push_event(Event::Dequeue { ops });
        self.note_merge(row, Merging::Done);
    }

    /// Records in the receipt that the outcome differs from this device's own write.
    fn note_merge(&mut self, row: &RemoteRow<'_>, merging: Merging) {
        let receipt = self
            .replica
            .receipts()
            .get(&row.key())
            .cloned()
            .unwrap_or_default();
        let receipt = receipt.after_conflict(
            self.context.now,
            merging == Merging::UntilPushed,
            row.version,
        );
        self.push_event(Event::Receipt {
            entity: row.entity.to_owned(),
            id: row.id.to_owned(),
            receipt,
        });
    }

    /// Returns the operation that carries a resolved conflict's outcome to the remote.
    pub(super) fn winner(
        &mut self,
        last: &Operation,
        chain: &[&Operation],
        row: &RemoteRow<'_>,
        body: Option<Rc<str>>,
    ) -> Operation {
        let fields = match (row.body, body.as_deref()) {
            (Some(theirs), Some(ours)) => conflict::changed_fields(theirs, ours),
            _ => Vec::new(),
        };
        Operation {
            base_version: row.body.map(|_| row.version),
            fields,
            soft: last.soft,
            links: all_links(chain),
            ..Operation::new(
                self.op_id(),
                row.key(),
                winner_kind(body.is_some(), row.body.is_some()),
                body,
                last.queued_at,
            )
        }
    }

    /// Ends planning and returns the plan.
    pub(super) fn finish(mut self) -> Plan<Decided<(Commit, Incoming)>> {
        if !self.missing.is_empty() {
            return Plan::Needs(self.missing.keys());
        }
        if !self.undecided.is_empty() {
            return Plan::Ready(Decided::Undecided(self.undecided));
        }
        for (entity, mut packing) in self.segments {
            packing.close(&entity, &mut self.commit);
        }
        Plan::Ready(Decided::Done((self.commit, self.incoming)))
    }
}

/// Whether the commit that settles an operation writes the row too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowWritten {
    Yes,
    No,
}

/// Whether a merge is complete, or still has to be pushed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merging {
    Done,
    UntilPushed,
}

/// Returns the kind of the operation that turns the remote's row into the outcome.
pub(super) const fn winner_kind(lives_here: bool, lives_there: bool) -> OperationKind {
    match (lives_here, lives_there) {
        (false, _) => OperationKind::Delete,
        (true, false) => OperationKind::Create,
        (true, true) => OperationKind::Update,
    }
}

/// Returns the kind of a conflict between an operation and a row.
pub(super) const fn conflict_kind(lives_here: bool, lives_there: bool) -> conflict::ConflictKind {
    match (lives_here, lives_there) {
        (true, false) => conflict::ConflictKind::DeletedRemotely,
        (false, _) => conflict::ConflictKind::DeletedLocally,
        (true, true) => conflict::ConflictKind::BothModified,
    }
}

/// Returns all links of these operations.
pub(super) fn all_links(chain: &[&Operation]) -> Vec<Link> {
    let mut links = Vec::new();
    for op in chain {
        join_links(&mut links, &op.links);
    }
    links
}

fn parked(conflict: &Conflict, failed: bool) -> Parked {
    Parked {
        id: conflict.id.clone(),
        entity: conflict.entity.clone(),
        entity_id: conflict.entity_id.clone(),
        kind: conflict.kind,
        base: conflict.base.clone(),
        base_version: conflict.base_version,
        assumed: conflict.assumed,
        fields: conflict.fields.clone(),
        detected_at: conflict.detected_at,
        failed: u32::from(failed),
    }
}
