//! Plans the decision of a parked conflict, made by the app or by a resolver.

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::conflict::{Conflict, Decision, Resolution, same_content};
use crate::log::commit::{Commit, Event};
use crate::log::facts::Parked;
use crate::model::draft::parse_draft;
use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind};
use crate::plan::context::PlanContext;
use crate::plan::row_planner::{all_links, winner_kind};
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only::split;
use crate::state::replica::Replica;
use crate::util::json::write::{push_field, put_text};

/// Decides a parked conflict in its present state.
#[allow(missing_debug_implementations)]
pub struct DecisionPlanner<'a> {
    pub id: &'a str,
    /// Returns the decision; `None` writes nothing.
    pub decide: &'a mut dyn FnMut(&Conflict) -> Option<Decision>,
    /// Time and ids.
    pub context: PlanContext,
    /// The last decision.
    pub made: Option<Decision>,
}

impl Planner for DecisionPlanner<'_> {
    /// The conflict, to report it.
    type Output = Conflict;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Conflict>>> {
        let conflict = match parked(replica, self.id)? {
            Plan::Ready(conflict) => conflict,
            Plan::Needs(bodies) => return Ok(Plan::Needs(bodies)),
        };
        self.made = (self.decide)(&conflict);
        let commit = match &self.made {
            Some(decision) => decided(replica, &conflict, decision, &self.context),
            None => Commit::default(),
        };
        Ok(Plan::Ready(Planned::new(commit, conflict)))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::described("decision", |out| {
            put_text(out, "conflict", self.id);
            describe::put_context(out, &self.context);
            if let Some(decision) = &self.made {
                let mut text = String::from("{");
                describe::put_decision(&mut text, decision);
                text.push('}');
                push_field(out, "decision", &text);
            }
        }))
    }
}

/// Reads a parked conflict and fetches the bodies that it needs. Writes nothing.
#[derive(Debug)]
pub struct ParkedConflict<'a> {
    pub id: &'a str,
}

impl Planner for ParkedConflict<'_> {
    type Output = Conflict;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Conflict>>> {
        Ok(parked(replica, self.id)?.map(Planned::nothing))
    }
}

/// Returns a parked conflict with all three sides in their present state. The remote side is the
/// synced row, which keeps changing while the conflict waits.
fn parked(replica: &Replica, id: &str) -> Result<Plan<Conflict>> {
    let Some(parked) = replica.conflicts().get(id) else {
        return Err(no_conflict());
    };
    let key = Key::new(&parked.entity, &parked.entity_id);
    let remote = match replica.base_of(&key) {
        Ok(body) => body.map(Rc::from),
        Err(segment) => return Ok(Plan::Needs(vec![segment])),
    };
    let ops = onward(replica, &key);
    let last = ops.last();
    Ok(Plan::Ready(Conflict {
        id: parked.id.clone(),
        entity: parked.entity.clone(),
        entity_id: parked.entity_id.clone(),
        user_id: replica.user_id().to_owned(),
        kind: parked.kind,
        base: parked.base.clone(),
        base_version: parked.base_version,
        assumed: parked.assumed,
        local: last
            .filter(|op| op.kind != OperationKind::Delete)
            .and_then(|op| op.body.clone()),
        remote,
        remote_version: replica.row(&key).map_or(0, |row| row.version),
        local_time: last
            .map_or(0, |op| op.queued_at)
            .saturating_add_signed(replica.facts().clock_offset),
        fields: parked.fields.clone(),
        earlier: Vec::new(),
        unsettled: false,
        detected_at: parked.detected_at,
    }))
}

fn decided(
    replica: &Replica,
    conflict: &Conflict,
    decision: &Decision,
    context: &PlanContext,
) -> Commit {
    let mut commit = Commit::default();
    let id = &conflict.id;
    let equals = |side: Option<&str>, body: &str| side.is_some_and(|side| same_content(side, body));
    let body = match &decision.resolution {
        Resolution::Later => {
            let failed = replica.conflicts().get(id).filter(|_| decision.failed);
            commit.events.extend(failed.map(|parked| Event::Park {
                conflict: Parked {
                    failed: parked.failed.saturating_add(1),
                    ..parked.clone()
                },
            }));
            return commit;
        }
        Resolution::Remote => None,
        Resolution::Local => Some(conflict.local.clone()),
        Resolution::Merged(body) if equals(conflict.remote.as_deref(), body) => None,
        Resolution::Merged(body) => Some(Some(Rc::clone(body))),
    };
    commit.events.push(Event::Unpark { id: id.clone() });
    commit.explain(conflict, decision);
    let key = Key::new(&conflict.entity, &conflict.entity_id);
    let merging = matches!(&body, Some(Some(body)) if !equals(conflict.local.as_deref(), body));
    if body.is_none() || merging {
        // The outcome differs from this device's own write.
        let receipt = replica.receipts().get(&key).cloned().unwrap_or_default();
        commit.events.push(Event::Receipt {
            entity: key.entity.to_owned(),
            id: key.id.to_owned(),
            receipt: receipt.after_conflict(context.now, merging, conflict.remote_version),
        });
    }
    let all = onward(replica, &key);
    let edits: Vec<&Operation> = all.iter().copied().filter(|op| op.to.is_none()).collect();
    let chain: Vec<String> = edits.iter().map(|op| op.op_id.clone()).collect();
    let base = conflict.remote.as_ref().map(|_| conflict.remote_version);
    // Where there is nothing to move, it is made where it was to go.
    let table = match base {
        Some(_) => edits.first().map(|first| &*first.entity),
        None => all
            .last()
            .map(|last| last.to.as_deref().unwrap_or(&last.entity)),
    };
    let outcome = match &body {
        Some(body) => body.clone(),
        None => conflict.remote.clone(),
    };
    match (body, edits.last()) {
        (Some(body), Some(last)) => {
            let kind = winner_kind(body.is_some(), conflict.remote.is_some());
            let key = Key::new(table.unwrap_or(key.entity), key.id);
            let op = Operation {
                base_version: base,
                soft: last.soft,
                links: all_links(&edits),
                ..Operation::new(context.op_id(0), key, kind, body, last.queued_at)
            };
            commit.queue(op, chain);
        }
        _ => commit.events.push(Event::Dequeue { ops: chain }),
    }
    // A move is no side of the conflict: it takes the outcome along.
    let mut met = conflict.remote.clone();
    let mut first = base;
    for op in all {
        if op.to.is_none() {
            met.clone_from(&outcome);
        } else if base.is_none() {
            let ops = vec![op.op_id.clone()];
            commit.events.push(Event::Dequeue { ops });
        } else {
            let op = Operation {
                base_version: first.take().or(op.base_version),
                body: met.clone(),
                ..op.clone()
            };
            commit.queue(op, Vec::new());
        }
    }
    commit
}

/// The pending operations of the row of `key`, also where a move takes it.
fn onward<'a>(replica: &'a Replica, key: &Key<'_>) -> Vec<&'a Operation> {
    let first = replica.outbox().chain(key).next();
    let queued = first.map(|first| replica.outbox().onward(first));
    queued
        .unwrap_or_default()
        .into_iter()
        .map(|queued| &queued.op)
        .collect()
}

/// Checks a merged entity from the app and returns the body to store. What is equal to a side's
/// value to the app keeps that side's text, the remote's first.
///
/// # Errors
/// Fails with [`Code::InvalidEntity`], naming what is wrong.
pub fn merged(
    conflict: &Conflict,
    given: &str,
    now: u64,
    local_only: &[String],
) -> Result<Resolution> {
    let (entity, id) = (&conflict.entity, conflict.entity_id.as_str());
    let sides: Vec<&str> = [&conflict.base, &conflict.local, &conflict.remote]
        .into_iter()
        .filter_map(Option::as_deref)
        .collect();
    let draft = parse_draft(given, &crate::util::time::format(now), &sides, false)
        .map_err(|error| error.on(entity, Some(id)))?;
    if draft.id.as_deref().is_some_and(|other| other != id) {
        return Err(Error::new(
            Code::InvalidEntity,
            "The merged entity has another `id` than those that clash; leave it as it is.",
        )
        .on(entity, Some(id)));
    }
    Ok(Resolution::Merged(Rc::from(
        split(&draft.body, local_only)?.0,
    )))
}

impl Commit {
    /// Adds the explanation of a conflict that has ended.
    pub(super) fn explain(&mut self, conflict: &Conflict, decision: &Decision) {
        if !decision.explanation.is_empty() {
            let text = Rc::clone(&decision.explanation);
            self.events.push(Event::Explained {
                what: Explained {
                    entity: conflict.entity.clone(),
                    id: conflict.entity_id.clone(),
                    text,
                },
            });
        }
    }
}

fn no_conflict() -> Error {
    Error::new(
        Code::NotFound,
        "No such conflict waits for a decision; it may have been decided in another tab.",
    )
}
