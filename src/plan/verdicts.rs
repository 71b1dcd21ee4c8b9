//! Plans the verdicts of a push: rows become synced, conflicts go to their resolver, rejected
//! operations become dead letters. Operations leave the outbox nowhere else.

use crate::conflict::{field_hashes, onto};
use crate::log::commit::Event;
use crate::log::facts::DeadLetter;
use crate::log::spaces::SpaceEvent;
use crate::model::entity::Key;
use crate::model::error::Result;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::model::protocol::{PushReply, PushVerdict, Verdict};
use crate::model::space::SPACE;
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::membership::{IS_LEFT, NOT_MEMBER};
use crate::plan::rejection::{DISCARDED, DeadLetterPlan, Rules};
use crate::plan::row_planner::{
    ConflictPlanner, Decisions, Incoming, RemoteRow, RowPlanner, RowWritten, Tombstones,
};
use crate::plan::trace::{Described, describe};
use crate::plan::{Decided, Plan, Planned, Planner};
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;

mod elsewhere;

/// The effects of planned verdicts.
#[derive(Debug, Default)]
pub struct Settled {
    /// The effects of their rows, with the conflicts.
    pub incoming: Incoming,
    /// Applied operations by entity type.
    pub pushed: VecMap<u64>,
    /// Rejected operations by entity type.
    pub failed: VecMap<u64>,
    /// The new dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Operations to send later.
    pub retry: Vec<Postponed>,
}

/// An operation that the remote postponed.
#[derive(Debug)]
pub struct Postponed {
    /// The operation.
    pub op_id: String,
    /// The delay that the remote asked for, in milliseconds.
    pub after_ms: Option<u64>,
    /// The remote's code for the reason.
    pub code: Option<String>,
    /// It waits for a dependency that the same push did not apply.
    pub held: bool,
}

/// Plans the verdicts on a batch.
#[allow(missing_debug_implementations)]
pub struct VerdictPlanner<'a> {
    /// The operations that were sent.
    pub sent: &'a [Operation],
    /// The reply, checked against `sent` by [`crate::model::protocol::parse_push_reply`].
    pub reply: &'a PushReply<'a>,
    /// The config of entity types.
    pub rules: &'a Rules<'a>,
    /// The resolvers' answers so far.
    pub decisions: Decisions,
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for VerdictPlanner<'_> {
    type Output = Decided<Settled>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Self::Output>>> {
        if !replica.is_of(self.reply.epoch.as_deref()) {
            return Ok(Plan::Ready(Planned::nothing(Decided::Done(
                Settled::default(),
            ))));
        }
        let unmet: Vec<&Operation> = self
            .sent
            .iter()
            .zip(&self.reply.results)
            .filter(|(_, verdict)| verdict.status != "applied")
            .map(|(op, _)| op)
            .collect();
        let stands = |op: &Operation| {
            let is = |other: &&Operation| other.op_id == op.op_id;
            self.sent.iter().any(|other| is(&other)) && !unmet.iter().any(is)
        };
        let mut settling = Settling {
            replica,
            rules: self.rules,
            rows: RowPlanner::new(replica, self.rules.policies, &self.decisions, &self.context),
            dead: DeadLetterPlan::new(replica, self.context.now, self.rules, &stands),
            settled: Settled::default(),
            made: Vec::new(),
            refused: Vec::new(),
        };
        let verdicts = self.sent.iter().zip(&self.reply.results);
        settling.made = verdicts
            .filter(|(op, verdict)| {
                let tells = verdict.status == "conflict" && verdict.row.is_some();
                creates_space(op) && (tells || verdict.status == "applied")
            })
            .map(|(op, _)| op.id.clone())
            .collect();
        // Refusals first: the other verdicts are planned without the operations that depend on a
        // refused one.
        let verdicts = || self.sent.iter().zip(&self.reply.results);
        let is_refused = |verdict: &PushVerdict<'_>| verdict.status == "rejected";
        let refused = verdicts().filter(|(_, verdict)| is_refused(verdict));
        let others = verdicts().filter(|(_, verdict)| !is_refused(verdict));
        for (op, verdict) in refused.chain(others) {
            let held = (!op.links.is_empty() || op.kind == OperationKind::Delete)
                && unmet
                    .iter()
                    .any(|other| other.op_id != op.op_id && op.goes_after(other));
            let code = verdict.code.as_deref();
            settling.verdict(op, verdict.verdict()?, verdict.version, code, held);
        }
        Ok(settling.finish(self.reply.epoch.as_deref()))
    }

    fn describe(&self) -> Option<Described> {
        let (sent, decisions) = (self.sent, &self.decisions);
        Some(describe::verdicts(
            sent,
            self.reply,
            decisions,
            &self.context,
        ))
    }
}

impl ConflictPlanner for VerdictPlanner<'_> {
    fn decisions(&mut self) -> &mut Decisions {
        &mut self.decisions
    }
}

/// The verdicts of one batch while they are planned.
struct Settling<'a> {
    replica: &'a Replica,
    rules: &'a Rules<'a>,
    rows: RowPlanner<'a>,
    dead: DeadLetterPlan<'a>,
    settled: Settled,
    /// Spaces that this push made, or has found made.
    made: Vec<String>,
    /// Spaces that no list has, and that others have or had when this push was to make them.
    refused: Vec<String>,
}

impl Settling<'_> {
    fn verdict(
        &mut self,
        op: &Operation,
        verdict: Verdict<'_>,
        row_version: Option<u64>,
        code: Option<&str>,
        held: bool,
    ) {
        let soft = (self.rules.soft)(&op.entity);
        match verdict {
            Verdict::Applied {
                version,
                row,
                deleted,
                left,
                ..
            } => {
                let is_pending = self.replica.outbox().get(&op.op_id).is_some();
                if !is_pending {
                    self.take_back(op, version);
                }
                if op.kind == OperationKind::Move {
                    if is_pending {
                        self.move_applied(op, version, left.unwrap_or(UNKNOWN), row);
                    }
                } else if !deleted || !self.applied_and_deleted(op, version, soft) {
                    self.applied(op, version, row, soft);
                }
                self.settled.pushed.count(Table(&op.entity).entity());
            }
            Verdict::Conflict {
                version,
                row,
                elsewhere: Some(place),
            } => {
                let table = Table::name(Table(&op.entity).entity(), place.space).into_owned();
                let there = RemoteRow {
                    entity: &table,
                    ..RemoteRow::of(op, version, row, soft)
                };
                if self.replica.outbox().get(&op.op_id).is_some()
                    && !self.dead.gone.contains(&op.op_id)
                    && !self.moved(op, place.left, &there)
                {
                    self.put_off(op, Some(0), None, false);
                }
            }
            Verdict::Conflict { version, row, .. } => {
                let here = self.replica.row(&Key::new(&op.entity, &op.id));
                let gone = here.filter(|here| here.deleted && row.is_none());
                // A start said so already, as of the space's version.
                let version = gone.map_or(version, |here| here.version.max(version));
                let row = RemoteRow::of(op, version, row, soft);
                if !self.may_file(&row) {
                    self.put_off(op, Some(0), None, false);
                } else if self.dead.gone.contains(&op.op_id) {
                    self.rows.write_row(&row, Tombstones::Apply);
                } else if self.is_behind(op, version) {
                    self.put_off(op, Some(0), None, held);
                } else if self.replica.outbox().get(&op.op_id).is_some() {
                    if row.body.is_some() && creates_space(op) {
                        self.say_made(op);
                    }
                    self.rows.apply_remote_row(&row, Tombstones::Apply);
                }
            }
            // The remote may have rejected it only because its dependency is missing there so far.
            Verdict::Rejected { code, .. } if held => {
                self.put_off(op, Some(0), Some(code), held);
            }
            Verdict::Rejected { code, .. } if code == NOT_MEMBER && self.ends(op) => {}
            Verdict::Rejected { code, message, row } => {
                if code == NOT_MEMBER && creates_space(op) && !self.is_listed(op) {
                    self.refused.push(op.id.clone());
                }
                // That code is the app's own.
                let code = if code == DISCARDED { "rejected" } else { code };
                self.dead.reject(op, code, message);
                for gone in self.dead.gone.iter() {
                    self.rows.buried.insert(gone, ());
                }
                if let (Some(row), Some(version)) = (row, row_version) {
                    let row = RemoteRow::of(op, version, Some(row), false);
                    if self.may_file(&row) {
                        self.rows.write_row(&row, Tombstones::Apply);
                    }
                }
            }
            Verdict::Retry { after_ms } => self.put_off(op, after_ms, code, held),
        }
    }

    fn put_off(&mut self, op: &Operation, after_ms: Option<u64>, code: Option<&str>, held: bool) {
        self.settled.retry.push(Postponed {
            op_id: op.op_id.clone(),
            after_ms,
            code: code.map(str::to_owned),
            held,
        });
    }

    /// Returns true if the verdict is older than our row: another tab sent the same operation and
    /// has moved on since. Always false after a server restore: versions of different epochs are
    /// not comparable.
    fn is_behind(&self, op: &Operation, version: u64) -> bool {
        let key = Key::new(&op.entity, &op.id);
        let known = self.replica.row(&key).map_or(0, |row| row.version);
        known > version
            && self.replica.receipts().restored().is_none()
            && self.replica.outbox().get(&op.op_id).is_some()
    }

    /// Settles an operation that was applied, and whose row was deleted since by another device: a
    /// snapshot tells nothing of that, and the row would stay here. Not with edits behind it: the
    /// remote answers them with a conflict, for which their base is needed.
    fn applied_and_deleted(&mut self, op: &Operation, version: u64, soft: bool) -> bool {
        let key = Key::new(&op.entity, &op.id);
        let known = self.replica.row(&key).map_or(0, |row| row.version);
        let outbox = self.replica.outbox();
        let settles =
            known < version && outbox.last(&key).is_some_and(|last| last.op_id == op.op_id);
        let row = RemoteRow::of(op, version, None, soft);
        let settles = settles && self.may_file(&row);
        if settles {
            self.rows.write_row(&row, Tombstones::Apply);
            self.rows.applied(op, version, RowWritten::Yes);
        }
        settles
    }

    fn applied(&mut self, op: &Operation, version: u64, row: Option<&str>, soft: bool) {
        let (outbox, key) = (self.replica.outbox(), Key::new(&op.entity, &op.id));
        let have = self.replica.row(&key);
        let known = have.map_or(0, |row| row.version);
        // A deletion of a row without a trace was answered with a version that its next write has.
        let gone = op.kind == OperationKind::Delete;
        let is_known =
            known > version || (known == version && have.is_some_and(|row| row.deleted == gone));
        if outbox.get(&op.op_id).is_some() {
            if is_known {
                // Another tab has pulled the row already.
                self.rows.applied(op, known, RowWritten::Yes);
                rebase_following(self.replica, &mut self.rows, op, (version, row), known);
            } else if !self.may_file(&RemoteRow::of(op, version, op.body.as_deref(), soft)) {
                // The pages have told, or will tell, what became of it.
                self.rows.applied(op, version, RowWritten::Yes);
            } else if let Some(row) = row {
                let row = RemoteRow::of(op, version, Some(row), soft);
                self.rows.write_row(&row, Tombstones::Apply);
                self.rows.applied(op, version, RowWritten::Yes);
            } else {
                self.rows.applied(op, version, RowWritten::No);
            }
        } else if let Some(next) = outbox.superseding(&op.op_id) {
            // Another tab edited the entity while this operation was being sent. Its edit builds on
            // this one.
            let row = RemoteRow::of(op, version, row.or(op.body.as_deref()), soft);
            if creates_space(op) {
                self.say_made(op);
            }
            if !is_known && self.may_file(&row) {
                self.rows.write_row(&row, Tombstones::Apply);
                let base = (!gone).then_some(version);
                self.rows.push_event(Event::Rebase {
                    op_id: next.op.op_id.clone(),
                    version: base,
                });
            }
        }
    }

    fn finish(self, epoch: Option<&str>) -> Plan<Planned<Decided<Settled>>> {
        let Self {
            replica,
            mut rows,
            mut dead,
            mut settled,
            refused,
            ..
        } = self;
        if !refused.is_empty() {
            dead.leave(
                &|space| refused.iter().any(|one| one == space),
                NOT_MEMBER,
                IS_LEFT,
            );
        }
        if !dead.missing.is_empty() {
            return Plan::Needs(dead.missing);
        }
        settled
            .retry
            .retain(|put_off| !dead.gone.contains(&put_off.op_id));
        for event in dead.events() {
            rows.push_event(event);
        }
        // Late verdicts may have filed rows there while it was to be made.
        for space in refused {
            rows.push_event(Event::Space {
                what: SpaceEvent::Leave { space },
            });
        }
        settled.dead_letters = dead.dead_letters;
        for letter in &settled.dead_letters {
            settled.failed.count(Table(&letter.op.entity).entity());
        }
        rows.finish().map(|decided| match decided {
            Decided::Undecided(conflicts) => Planned::nothing(Decided::Undecided(conflicts)),
            Decided::Done((mut commit, incoming)) => {
                replica.note_first_epoch(epoch, &mut commit);
                settled.incoming = incoming;
                Planned::new(commit, Decided::Done(settled))
            }
        })
    }
}

/// Returns true for the creation of a space.
fn creates_space(op: &Operation) -> bool {
    Table(&op.entity).entity() == SPACE && op.kind == OperationKind::Create
}

/// Rebases the operations queued behind `op` onto our newer row. Happens only after a salvage, when
/// another tab has moved the row on first. Operations that clash keep their old base, so that the
/// remote reports a conflict.
fn rebase_following(
    replica: &Replica,
    rows: &mut RowPlanner<'_>,
    op: &Operation,
    (version, row): (u64, Option<&str>),
    known: u64,
) {
    let key = Key::new(&op.entity, &op.id);
    let mut chain = replica
        .outbox()
        .chain(&key)
        .skip_while(|queued| queued.op.op_id != op.op_id);
    let Some(own) = chain
        .next()
        .filter(|own| own.blocked_by.is_none() && own.op.base_version != Some(known))
    else {
        return;
    };
    let later: Vec<&Operation> = (chain.map(|queued| &queued.op))
        .take_while(|later| later.entity == op.entity)
        .collect();
    let Some(mut next) = later.first().map(|next| next.op_id.clone()) else {
        return;
    };
    if known <= version || replica.receipts().restored().is_some() {
        return;
    }
    let Some(theirs) = rows.held(&key) else {
        return;
    };
    let base = row.or(own.op.body.as_deref());
    let mut stays = false;
    for op in later {
        let made = op
            .body
            .as_deref()
            .zip(theirs.as_deref())
            .and_then(|(ours, theirs)| Some((ours, onto(base, ours, theirs)?)));
        // A delete or an unreadable body is left for the remote to judge.
        let Some((ours, (body, clash))) = made else {
            stays = true;
            continue;
        };
        stays |= clash;
        let (mut rebased, mut replaces) = (op.clone(), Vec::new());
        rebased.body = Some(body.into());
        if op.kind != OperationKind::Patch {
            // A whole body that may have been sent must never change under the same operation id.
            rebased.op_id = rows.op_id();
            rebased.supersedes.push(op.op_id.clone());
            rebased.earlier.extend(field_hashes(ours, &[]));
            replaces.push(op.op_id.clone());
        }
        if next == op.op_id {
            next.clone_from(&rebased.op_id);
        }
        rows.push_event(Event::Queue {
            op: rebased,
            replaces,
        });
    }
    let version = if stays {
        (op.kind != OperationKind::Delete).then_some(version)
    } else {
        Some(known)
    };
    rows.push_event(Event::Rebase {
        op_id: next,
        version,
    });
}
