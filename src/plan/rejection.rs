//! Plans rejections and discards: the operation and all operations that build on it become dead
//! letters.

use std::rc::Rc;

use crate::conflict::field_hashes;
use crate::log::address::BodyId;
use crate::log::commit::{Commit, Event};
use crate::log::facts::DeadLetter;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Key;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Coalesced, Operation, coalesce, join_links, joined_fields};
use crate::model::table::Table;
use crate::plan::membership::is_end;
use crate::plan::trace::{Described, describe};
use crate::plan::{Plan, Planned, Planner};
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::write::{put, put_text};

/// The config of entity types, as far as verdicts need it.
#[allow(missing_debug_implementations)]
pub struct Rules<'a> {
    /// The types whose tombstones keep their body.
    pub soft: &'a dyn Fn(&str) -> bool,
    /// The types whose rejected writes stay visible.
    pub keeps: &'a dyn Fn(&str) -> bool,
    /// The merge policies of a type.
    pub policies: &'a dyn Fn(&str) -> Rc<Policies>,
}

/// The code of a dead letter that the app has made by a discard, and its message.
pub const DISCARDED: &str = "discarded";
pub const IS_DISCARDED: &str = "The app discarded it before the remote had decided it.";

/// What is rejected without a verdict.
#[derive(Clone, Copy, Debug)]
pub enum Rejects<'a> {
    /// One operation.
    One(&'a Operation),
    /// The operation with this id, which the app discards. The remote may have it.
    Discarded(&'a str),
    /// What is pending in shared spaces, where the remote has none.
    Shared,
}

/// Rejects operations for a reason other than a verdict.
#[allow(missing_debug_implementations)]
pub struct RejectionPlanner<'a> {
    /// The operations.
    pub what: Rejects<'a>,
    /// The reason as a code.
    pub code: &'a str,
    /// The reason as a message for people.
    pub message: &'a str,
    /// The config of entity types.
    pub rules: &'a Rules<'a>,
    /// This device's clock, in milliseconds since 1970.
    pub now: u64,
}

impl Planner for RejectionPlanner<'_> {
    /// The dead letters of the operations and their dependents.
    type Output = Vec<DeadLetter>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Self::Output>>> {
        let mut dead = DeadLetterPlan::new(replica, self.now, self.rules, &|_| false);
        match self.what {
            Rejects::One(op) => dead.reject(op, self.code, self.message),
            Rejects::Discarded(op_id) => {
                let queued = replica.outbox().get(op_id).ok_or_else(not_pending)?;
                dead.unanswered = true;
                dead.reject(&queued.op, self.code, self.message);
            }
            Rejects::Shared => dead.leave(&|_| true, self.code, self.message),
        }
        if !dead.missing.is_empty() {
            return Ok(Plan::Needs(dead.missing));
        }
        let events = dead.events();
        let commit = Commit {
            segments: Vec::new(),
            events,
        };
        Ok(Plan::Ready(Planned::new(commit, dead.dead_letters)))
    }

    fn describe(&self) -> Option<Described> {
        let described = describe::described("rejection", |out| {
            put(out, "now", &self.now);
            put_text(out, "code", self.code);
            put_text(out, "message", self.message);
            if let Rejects::Discarded(op_id) = self.what {
                put_text(out, "discarded", op_id);
            }
        });
        let ops = match self.what {
            Rejects::One(op) => vec![op.clone()],
            Rejects::Discarded(_) | Rejects::Shared => Vec::new(),
        };
        Some(Described { ops, ..described })
    }
}

/// Operations that leave the outbox, in order: very many, if very many depend on one.
#[derive(Default)]
pub(super) struct Gone {
    ids: Vec<String>,
    known: OrderedMap<()>,
}

impl Gone {
    pub(super) fn add(&mut self, op_id: &str) {
        if self.known.insert(op_id, ()).is_none() {
            self.ids.push(op_id.to_owned());
        }
    }

    pub(super) fn contains(&self, op_id: &str) -> bool {
        self.known.get(op_id).is_some()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        self.ids.iter()
    }
}

/// Rejected operations, and everything that leaves the outbox with them.
pub(super) struct DeadLetterPlan<'a> {
    replica: &'a Replica,
    now: u64,
    rules: &'a Rules<'a>,
    /// Returns true if the remote applied the operation in the same push.
    stands: &'a dyn Fn(&Operation) -> bool,
    pub(super) gone: Gone,
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) missing: Vec<BodyId>,
    /// The remote gave no verdict: it may have applied what was sent.
    unanswered: bool,
}

impl<'a> DeadLetterPlan<'a> {
    pub(super) fn new(
        replica: &'a Replica,
        now: u64,
        rules: &'a Rules<'a>,
        stands: &'a dyn Fn(&Operation) -> bool,
    ) -> Self {
        Self {
            replica,
            now,
            rules,
            stands,
            gone: Gone::default(),
            dead_letters: Vec::new(),
            missing: Vec::new(),
            unanswered: false,
        }
    }

    /// Rejects what is pending in spaces that the user is not in, without a verdict on each. What
    /// ends such a space, or the user's membership in it, is done.
    pub(super) fn leave(&mut self, of: &dyn Fn(&str) -> bool, code: &str, message: &str) {
        self.unanswered = true;
        for queued in self.replica.outbox().iter() {
            let op = &queued.op;
            if !op.tables().filter_map(|table| Table(table).space()).any(of) || (self.stands)(op) {
                continue;
            }
            if is_end(self.replica, &Key::new(&op.entity, &op.id)) {
                self.gone.add(&op.op_id);
            } else {
                self.reject(op, code, message);
            }
        }
    }

    /// Rejects an operation and everything that depends on it.
    pub(super) fn reject(&mut self, op: &Operation, code: &str, message: &str) {
        let Some(refused) = self
            .replica
            .outbox()
            .get(&op.op_id)
            .filter(|_| !self.gone.contains(&op.op_id))
        else {
            return;
        };
        let entity = Table(&op.entity).entity();
        let because = if self.unanswered && code == DISCARDED {
            format!("It depends on {entity} {}, which the app discarded.", op.id)
        } else {
            let id = &op.id;
            format!("It depends on {entity} {id}, which the remote refused ({code}): {message}")
        };
        let mut open = self.reject_entity(refused, code, message, None);
        while let Some(lost) = open.pop() {
            for dependent in self.replica.outbox().dependents(lost) {
                if !self.gone.contains(&dependent.op.op_id) && !(self.stands)(&dependent.op) {
                    open.extend(self.reject_entity(
                        dependent,
                        "blocked",
                        &because,
                        Some(&op.op_id),
                    ));
                }
            }
        }
    }

    /// Merges an operation and the later ones of its entity into one dead letter. Returns all of
    /// them.
    fn reject_entity(
        &mut self,
        first: &'a Queued,
        code: &str,
        message: &str,
        blocked_by: Option<&str>,
    ) -> Vec<&'a Queued> {
        let (replica, key) = (self.replica, Key::new(&first.op.entity, &first.op.id));
        let chain = replica.outbox().onward(first);
        let base = replica
            .base_of_op(&first.op)
            .map(|base| base.map(Rc::from))
            .unwrap_or_else(|segment| {
                self.missing.push(segment);
                None
            });
        let mut op = first.op.clone();
        let mut kept = (self.rules.keeps)(key.entity) && op.to.is_none() && !self.unanswered;
        let mut apart = Vec::new();
        for later in chain.iter().map(|queued| &queued.op).skip(1) {
            let kind = match coalesce(op.kind, later.kind) {
                Coalesced::Into(kind) => kind,
                Coalesced::Apart => {
                    apart.push(later);
                    continue;
                }
                // The later delete cancels the rejected create, so that nothing is left to show.
                Coalesced::Nothing => {
                    kept = false;
                    break;
                }
            };
            // It is not what was sent under its id.
            if !op.supersedes.contains(&first.op.op_id) {
                op.supersedes.push(first.op.op_id.clone());
                op.earlier.extend(
                    (op.body.as_deref())
                        .map_or_else(Vec::new, |body| field_hashes(body, &op.fields)),
                );
            }
            op.kind = kind;
            op.body.clone_from(&later.body);
            op.soft = later.soft;
            op.fields = joined_fields(kind, &op.fields, &later.fields);
            join_links(&mut op.links, &later.links);
        }
        for queued in &chain {
            self.gone.add(&queued.op.op_id);
        }
        let maybe = self.unanswered && chain.iter().any(|queued| queued.may_be_sent());
        let behind = op.op_id.clone();
        for op in apart {
            self.dead_letters.push(DeadLetter {
                op: op.clone(),
                code: "blocked".to_owned(),
                message: message.to_owned(),
                died_at: self.now,
                base: None,
                kept: false,
                blocked_by: Some(behind.clone()),
                maybe,
            });
        }
        self.dead_letters.push(DeadLetter {
            op,
            code: code.to_owned(),
            message: message.to_owned(),
            died_at: self.now,
            base,
            kept,
            blocked_by: blocked_by.map(str::to_owned),
            maybe,
        });
        chain
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let mut rejected = Gone::default();
        for letter in &self.dead_letters {
            rejected.add(&letter.op.op_id);
        }
        let outbox = self.replica.outbox();
        let conflicts = self.gone.iter().filter_map(|op_id| {
            let queued = outbox.get(op_id)?;
            let conflict = queued.blocked_by.clone()?;
            // An operation before it may still wait for the decision.
            let waits = |table: &str| {
                outbox.chain(&Key::new(table, &queued.op.id)).any(|other| {
                    other.blocked_by.as_ref() == Some(&conflict)
                        && !self.gone.contains(&other.op.op_id)
                })
            };
            (!queued.op.tables().any(waits)).then_some(conflict)
        });
        let mut events: Vec<Event> = conflicts.map(|id| Event::Unpark { id }).collect();
        let dropped: Vec<String> = self
            .gone
            .iter()
            .filter(|op_id| !rejected.contains(op_id))
            .cloned()
            .collect();
        if !self.dead_letters.is_empty() {
            events.push(Event::DeadLetters {
                dead_letters: self.dead_letters.clone(),
            });
        }
        if !dropped.is_empty() {
            events.push(Event::Dequeue { ops: dropped });
        }
        events
    }
}

fn not_pending() -> Error {
    Error::new(
        Code::NotFound,
        "No operation of this id is pending: it has been settled, merged into another one, or discarded.",
    )
}
