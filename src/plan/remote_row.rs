//! Applies rows from the remote to entities that may have pending edits.
//!
//! [`RowPlanner::apply_remote_row`] decides in this order; the first line that holds counts.
//!
//! | Pending here for the entity | The row | Result |
//! |---|---|---|
//! | nothing, and no write of this device is suspect | any | the row is written |
//! | a parked conflict | any | the row is written; the conflict stays parked and keeps its base |
//! | an operation that another log had, with this row as its base | of which there was none here | the row is written |
//! | an operation whose effect the row shows, without a summed field | the same content | the operation is settled: its reply was lost |
//! | a write that a restored server may have forgotten, or an operation whose base is unknown | equal to the body stored here | the row is written; pending operations are rebased onto it |
//! | a write that a restored server may have forgotten, with or without pending operations | different from it | [`RowPlanner::apply_restored_row`] |
//! | an edit of a summed field whose effect the row shows | the same content, no number counted twice | the operation is settled |
//! | a creation that offers the row to another server, with edits over it | different from it | a conflict with as much of the row as others have written anew |
//! | edits behind one that another tab has sent | an earlier write of this device | the row is written; pending operations are rebased onto it |
//! | any other edit | any other row | a conflict with its base: the resolver decides |

use std::rc::Rc;

use crate::conflict::policy::changes_a_sum;
use crate::conflict::{self, Conflict, same_content};
use crate::log::commit::Event;
use crate::model::config::merge_fields::Policies;
use crate::model::config::merge_fields::sums;
use crate::model::entity::Fields;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::plan::hand_over::move_on;
use crate::plan::row_planner::{RemoteRow, RowPlanner, Tombstones, conflict_kind};
use crate::state::outbox::Queued;
use crate::state::rows::RowBody;

/// The pending operations of one entity, and the config of its type.
struct PendingEdits<'a> {
    chain: Vec<&'a Operation>,
    policies: Rc<Policies>,
    /// An operation changes a summed field. Equal content then proves nothing: two devices that add
    /// the same number to the same value write the same row.
    summed: bool,
}

impl PendingEdits<'_> {
    /// Returns the event that rebases the first operation onto the row.
    fn rebase(&self, row: &RemoteRow<'_>) -> Option<Event> {
        self.chain.first().map(|op| Event::Rebase {
            op_id: op.op_id.clone(),
            version: Some(row.version),
        })
    }

    fn settled_by(&self, row: &RemoteRow<'_>) -> Option<&str> {
        let sent = self.chain.iter().find(|op| effect_stands(op, row))?;
        Some(&sent.op_id)
    }
}

/// What pending operations were made on.
struct Base<'a> {
    body: Option<&'a str>,
    version: u64,
    /// The body is only as much of it as is known.
    assumed: bool,
}

impl RowPlanner<'_> {
    /// Applies a row, given the pending operations of its entity. See the table above.
    pub(super) fn apply_remote_row(&mut self, row: &RemoteRow<'_>, tombstones: Tombstones) {
        let key = row.key();
        let pending = self.replica.outbox().chain(&key);
        let queued: Vec<&Queued> = pending.filter(|one| self.is_open(one)).collect();
        let suspect = self.replica.receipts().suspect(&key);
        if queued.is_empty() && suspect.is_none() {
            // The common case.
            return self.write_row(row, tombstones);
        }
        if queued.iter().any(|queued| queued.blocked_by.is_some()) {
            return self.write_row(row, Tombstones::Apply);
        }
        // Another row waits to come here. What is behind it meets this table's row once it has.
        let own = queued
            .iter()
            .take_while(|queued| queued.op.entity == row.entity);
        let chain: Vec<&Operation> = own.map(|queued| &queued.op).collect();
        match queued.first() {
            // It was made on this very row, which another log had.
            Some(first)
                if first.op.base_version == Some(row.version)
                    && row.body.is_some()
                    && self.replica.row(&key).is_none() =>
            {
                return self.write_row(row, tombstones);
            }
            Some(_) if chain.is_empty() => return self.write_row(row, Tombstones::Apply),
            Some(first) if chain.iter().any(|op| op.to.is_some()) => {
                let mut all = self.replica.outbox().onward(first);
                all.retain(|one| self.is_open(one));
                return self.meet_moving(row, &all);
            }
            _ => {}
        }
        let policies = (self.policies)(row.entity);
        let pending = PendingEdits {
            summed: sums(&policies)
                && row.body.is_some()
                && chain.last().is_some_and(|last| last.body.is_some()),
            chain,
            policies,
        };
        if let Some(sent) = pending.settled_by(row).filter(|_| !pending.summed) {
            return self.settle_by_row(&pending.chain, sent, row);
        }
        let base_is_unknown = self
            .replica
            .row(&key)
            .is_some_and(|row| row.version == UNKNOWN && !pending.chain.is_empty());
        if suspect.is_some() || base_is_unknown {
            let Some(held) = self.held(&key) else { return };
            let equals_held = |theirs| {
                held.as_deref()
                    .is_some_and(|held| same_content(held, theirs))
            };
            if row.body.is_some_and(equals_held) {
                self.write_row(row, Tombstones::Apply);
                self.commit.events.extend(pending.rebase(row));
                return;
            }
            if let Some(receipt) = suspect {
                return self.apply_restored_row(receipt, held, &pending.chain, row, tombstones);
            }
            if let (Some(first), Some(last)) = (pending.chain.first(), pending.chain.last())
                && first.kind == OperationKind::Create
            {
                // It offers what is held to another server, with edits of this device over it.
                let base = held
                    .as_deref()
                    .and_then(|held| Self::acknowledged(held, None, row, &pending.chain, &[]));
                let base = Base {
                    body: base.as_deref(),
                    version: 0,
                    assumed: true,
                };
                return self.meet(row, &pending, last, &base);
            }
        }
        self.meet_pending(row, &pending, pending.chain.first().copied());
    }

    /// Returns false for an operation that the same commit makes a letter of.
    pub(super) fn is_open(&self, queued: &Queued) -> bool {
        !self.buried.contains(&queued.op.op_id)
    }

    /// Applies a row that waits to be moved. If it is gone, the outcome is made where it was to go.
    fn meet_moving(&mut self, row: &RemoteRow<'_>, queued: &[&Queued]) {
        let all: Vec<Operation> = queued.iter().map(|queued| queued.op.clone()).collect();
        let Some(last) = all.last() else { return };
        let gone = row.body.is_none();
        if gone && last.kind == OperationKind::Delete {
            self.push_event(Event::Dequeue {
                ops: all.iter().map(|op| op.op_id.clone()).collect(),
            });
            return self.write_row(row, Tombstones::Apply);
        }
        let chain = (queued.iter())
            .map(|queued| &queued.op)
            .filter(|op| gone || op.to.is_none());
        let pending = PendingEdits {
            chain: chain.collect(),
            policies: (self.policies)(row.entity),
            summed: false,
        };
        let before = self.commit.events.len();
        let moves_only = pending.chain.is_empty();
        let mut forgotten = None;
        if let (Some(receipt), Some(theirs)) =
            (self.replica.receipts().suspect(&row.key()), row.body)
        {
            let Some(held) = self.held(&row.key()) else {
                return;
            };
            let same = (held.as_deref()).is_some_and(|held| same_content(held, theirs));
            forgotten = Some((receipt, held)).filter(|_| !same);
        }
        match forgotten {
            Some((receipt, held)) => {
                self.apply_restored_row(receipt, held, &pending.chain, row, Tombstones::Apply);
            }
            None if moves_only => self.write_row(row, Tombstones::Apply),
            None => self.meet_pending(row, &pending, all.first()),
        }
        if gone || moves_only {
            // What is offered again is an edit behind the moves.
            let table = last.to.as_ref().unwrap_or(&last.entity);
            for event in self.commit.events.iter_mut().skip(before) {
                if let Event::Queue { op, .. } = event {
                    op.entity.clone_from(table);
                }
            }
        }
        if !gone {
            move_on(self, before, &all, row);
        }
    }

    /// Applies a row that differs from what the pending operations assumed. `first` was made on the
    /// row that is stored here.
    fn meet_pending(
        &mut self,
        row: &RemoteRow<'_>,
        pending: &PendingEdits<'_>,
        first: Option<&Operation>,
    ) {
        let Some(last) = pending.chain.last().copied() else {
            return;
        };
        let key = row.key();
        let known = self.replica.row(&key);
        // An operation that was salvaged from a lost log may sit on a row that it was not made
        // against.
        let stranger = first.is_none_or(|op| match (known, op.base_version) {
            // Its tombstone may keep what the operation was made on.
            (Some(row), Some(base)) if row.deleted => {
                row.body == RowBody::None || base >= row.version
            }
            (known, base) => base != known.filter(|row| !row.deleted).map(|row| row.version),
        });
        let stored = match first.map_or(Ok(None), |op| self.replica.base_of_op(op)) {
            _ if stranger => None,
            Ok(base) => base,
            Err(segment) => return self.missing.insert(segment, ()),
        };
        let untouched = match stored {
            Some(_) => None,
            None => fields_left_alone(&pending.chain),
        };
        let base = Base {
            body: stored.or(untouched.as_deref()),
            version: known.map_or(0, |row| row.version),
            assumed: stranger || untouched.is_some(),
        };
        self.meet(row, pending, last, &base);
    }

    /// Has edits of a moved row meet the row where it lives now. `base` is the row that they were
    /// made on.
    pub(super) fn meet_elsewhere(
        &mut self,
        row: &RemoteRow<'_>,
        chain: &[&Operation],
        base: Option<&str>,
    ) {
        let Some(last) = chain.last().copied() else {
            return;
        };
        let policies = (self.policies)(row.entity);
        let pending = PendingEdits {
            summed: false,
            chain: chain.to_vec(),
            policies,
        };
        let base = Base {
            body: base,
            version: 0,
            assumed: false,
        };
        self.meet(row, &pending, last, &base);
    }

    /// Applies a row that differs from the base of pending operations.
    fn meet(
        &mut self,
        row: &RemoteRow<'_>,
        pending: &PendingEdits<'_>,
        last: &Operation,
        &Base {
            body: base,
            version: base_version,
            assumed,
        }: &Base<'_>,
    ) {
        let counted = pending.summed
            && !assumed
            && pending
                .chain
                .iter()
                .filter_map(|op| op.body.as_deref())
                .any(|body| changes_a_sum(&pending.policies, base, body));
        if let Some(sent) = pending
            .settled_by(row)
            .filter(|_| pending.summed && !counted)
        {
            return self.settle_by_row(&pending.chain, sent, row);
        }
        let earlier = earlier_field_hashes(&pending.chain);
        if let Some(remote) = row.body
            && !earlier.is_empty()
            && !counted
            && conflict::is_own(base, last.body.as_deref(), remote, &earlier)
        {
            self.write_row(row, Tombstones::Apply);
            self.commit.events.extend(pending.rebase(row));
            return;
        }
        let local = last
            .body
            .clone()
            .filter(|_| last.kind != OperationKind::Delete);
        let conflict = Conflict {
            id: format!("{}:{base_version}:{}", last.op_id, row.version),
            entity: row.entity.to_owned(),
            entity_id: row.id.to_owned(),
            user_id: self.replica.user_id().to_owned(),
            kind: conflict_kind(local.is_some(), row.body.is_some()),
            base: base.map(Rc::from),
            base_version,
            assumed,
            fields: conflict::clashing_fields(base, local.as_deref(), row.body, &earlier),
            earlier,
            unsettled: counted && !row.confirmed_absent,
            local,
            remote: row.body.map(Rc::from),
            remote_version: row.version,
            local_time: last
                .queued_at
                .saturating_add_signed(self.replica.facts().clock_offset),
            detected_at: self.context.now,
        };
        let decision = self.decisions.made.get(&conflict.id);
        match decision.filter(|_| !conflict.unsettled) {
            Some(decision) => self.resolve(conflict, decision.clone(), &pending.chain, row),
            None => self.undecided.push(conflict),
        }
    }
}

/// Returns as much as is known of a lost base: the fields that none of these operations changed.
/// `None` if the first of them wrote the whole entity. A later one that did changed what differs
/// from the one before it.
fn fields_left_alone(chain: &[&Operation]) -> Option<String> {
    let mut fields = Fields::parse(chain.last()?.body.as_deref()?).ok()?;
    let mut before: Option<&str> = None;
    for op in chain {
        let whole = op.fields.is_empty();
        let changed = match (before, op.body.as_deref()) {
            (Some(before), Some(body)) if whole => &conflict::changed_fields(before, body),
            _ if whole => return None,
            _ => &op.fields,
        };
        fields
            .0
            .retain(|(name, _)| !changed.iter().any(|field| *field == **name));
        before = op.body.as_deref();
    }
    (!fields.0.is_empty()).then(|| fields.to_json())
}

/// Returns hashes of every field that this device wrote before the last of these operations.
pub(super) fn earlier_field_hashes(chain: &[&Operation]) -> Vec<u64> {
    let mut hashes = Vec::new();
    for (index, op) in chain.iter().enumerate() {
        hashes.extend_from_slice(&op.earlier);
        if let (true, Some(body)) = (index.saturating_add(1) < chain.len(), op.body.as_deref()) {
            hashes.extend(conflict::field_hashes(body, &op.fields));
        }
    }
    hashes
}

/// Returns true if the row already has the operation's effect, so that there is nothing to resolve.
fn effect_stands(op: &Operation, row: &RemoteRow<'_>) -> bool {
    match (op.kind, row.body) {
        (OperationKind::Delete, None) => true,
        (OperationKind::Delete, Some(_)) | (_, None) => false,
        (_, Some(remote)) => op
            .body
            .as_deref()
            .is_some_and(|ours| same_content(ours, remote)),
    }
}
