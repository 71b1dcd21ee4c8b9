//! TODO

use std::rc::Rc;

use crate::log::address::BodyId;
use crate::log::commit::{Commit, Event};
use crate::log::facts::DeadLetter;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Key;
use crate::model::operation::{
    Coalesced, Operation, OperationKind, coalesce, join_fields, join_links,
};
use crate::plan::{Need, Plan};
use crate::state::outbox::Queued;
use crate::state::replica::Replica;

impl Replica {
    /// Plans that an operation will never be accepted, for a reason that is not in a verdict.
    #[must_use]
    pub fn plan_rejection(
        &self,
        op: &Operation,
        code: &str,
        message: &str,
        rules: &Rules<'_>,
        now: u64,
    ) -> Plan<(Commit, Vec<DeadLetter>)> {
        let mut dead = DeadLetterPlan {
            replica: self,
            now,
            rules,
            stands: &|_| false,
            gone: Vec::new(),
            letters: Vec::new(),
            missing: Vec::new(),
        };
        dead.reject(op, code, message);
        if !dead.missing.is_empty() {
            return Plan::Needs(Need::Bodies(dead.missing));
        }
        Plan::Ready((
            Commit {
                segments: Vec::new(),
                events: dead.events(),
            },
            dead.letters,
        ))
    }
}

/// What the config says of entity types, as far as verdicts are concerned.
#[allow(missing_debug_implementations)]
pub struct Rules<'a> {
    /// The types whose tombstones keep their body.
    pub soft: &'a dyn Fn(&str) -> bool,
    /// The types whose refused writes stay visible.
    pub keeps: &'a dyn Fn(&str) -> bool,
    /// How their fields are merged.
    pub policies: &'a dyn Fn(&str) -> Rc<Policies>,
}

/// Refused operations, and what leaves the outbox with them.
pub(crate) struct DeadLetterPlan<'a> {
    pub(super) replica: &'a Replica,
    pub(super) now: u64,
    pub(super) rules: &'a Rules<'a>,
    /// Whether the remote has applied an operation in this very push.
    pub(super) stands: &'a dyn Fn(&Operation) -> bool,
    pub(crate) gone: Vec<String>,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) missing: Vec<BodyId>,
}

impl<'a> DeadLetterPlan<'a> {
    /// Buries an operation, and all that cannot stand without it.
    pub(crate) fn reject(&mut self, op: &Operation, code: &str, message: &str) {
        let Some(refused) = self
            .replica
            .outbox
            .get(&op.op_id)
            .filter(|_| !self.gone.contains(&op.op_id))
        else {
            return;
        };
        let because = format!(
            "It depends on {} {}, which the remote refused ({code}): {message}",
            op.entity, op.id
        );
        let mut open = self.reject_entity(refused, code, message, None);
        while let Some(lost) = open.pop() {
            for dependent in self.replica.outbox.dependents(lost) {
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

    /// One letter for an operation and those of its entity that were made on top of it. Answers all
    /// of them.
    fn reject_entity(
        &mut self,
        first: &'a Queued,
        code: &str,
        message: &str,
        blocked_by: Option<&str>,
    ) -> Vec<&'a Queued> {
        let (replica, key) = (self.replica, Key::new(&first.op.entity, &first.op.id));
        let chain: Vec<&Queued> = replica
            .outbox
            .chain(&key)
            .skip_while(|queued| queued.op.op_id != first.op.op_id)
            .collect();
        let base = replica
            .base_of(&key)
            .map(|base| base.map(Rc::from))
            .unwrap_or_else(|segment| {
                self.missing.push(segment);
                None
            });
        let mut op = first.op.clone();
        let mut kept = (self.rules.keeps)(key.entity);
        for later in chain.iter().map(|queued| &queued.op).skip(1) {
            let Coalesced::Into(kind) = coalesce(op.kind, later.kind) else {
                // It was taken back before the remote had refused it.
                kept = false;
                break;
            };
            op.kind = kind;
            op.body.clone_from(&later.body);
            op.soft = later.soft;
            if kind == OperationKind::Patch {
                join_fields(&mut op.fields, &later.fields);
            } else {
                op.fields.clear();
            }
            join_links(&mut op.links, &later.links);
        }
        self.gone
            .extend(chain.iter().map(|queued| queued.op.op_id.clone()));
        self.letters.push(DeadLetter {
            op,
            code: code.to_owned(),
            message: message.to_owned(),
            died_at: self.now,
            base,
            kept,
            blocked_by: blocked_by.map(str::to_owned),
        });
        chain
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        if self.letters.is_empty() {
            return Vec::new();
        }
        let buried = |op_id: &&String| self.letters.iter().any(|letter| letter.op.op_id == **op_id);
        let conflicts = self
            .gone
            .iter()
            .filter_map(|op_id| self.replica.outbox.get(op_id)?.blocked_by.clone());
        let mut events: Vec<Event> = conflicts.map(|id| Event::Unpark { id }).collect();
        let along: Vec<String> = self
            .gone
            .iter()
            .filter(|op_id| !buried(op_id))
            .cloned()
            .collect();
        events.push(Event::DeadLetters {
            letters: self.letters.clone(),
        });
        if !along.is_empty() {
            events.push(Event::Dequeue { ops: along });
        }
        events
    }
}
