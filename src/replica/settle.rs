//! Planning what a push's verdicts do: rows become synced, conflicts go to their resolver, refused
//! operations become dead letters. An operation leaves the outbox here or nowhere.

use std::rc::Rc;

use crate::conflict::policy::Policies;
use crate::conflict::{marks, onto};
use crate::entity::Key;
use crate::error::Result;
use crate::operation::{Coalesced, Kind, Operation, coalesce, join_fields, join_links};
use crate::protocol::{PushReply, Verdict};
use crate::replica::incoming::{Arrival, Decisions, Incoming, Moment, Planner};
use crate::replica::outbox::Queued;
use crate::replica::record::{Commit, Event};
use crate::replica::state::DeadLetter;
use crate::replica::{Need, Plan, Replica};
use crate::small::Small;
use crate::store::BodyId;

/// A planned set of verdicts, and what it did.
#[derive(Debug, Default)]
pub struct Settled {
    /// The commit, and the conflicts met.
    pub incoming: Incoming,
    /// Operations that the remote has, by entity type.
    pub pushed: Small<u64>,
    /// Operations that it refused, by entity type.
    pub failed: Small<u64>,
    /// The refusals.
    pub letters: Vec<DeadLetter>,
    /// Operations to leave alone.
    pub retry: Vec<PutOff>,
}

/// An operation that the remote did not decide.
#[derive(Debug)]
pub struct PutOff {
    /// The operation.
    pub op_id: String,
    /// How long it rests, in milliseconds, where the remote said so.
    pub after_ms: Option<u64>,
    /// The remote's word for why.
    pub code: Option<String>,
    /// Not for its own sake: something that it depends on was not applied in the same push.
    pub held: bool,
}

impl Replica {
    /// Plans the verdicts on `sent` against this head. Verdicts are checked against `sent` by
    /// [`crate::protocol::parse_push_reply`] first.
    ///
    /// # Errors
    /// [`crate::error::Code::Protocol`] for a verdict that says nothing known.
    pub fn plan_settle(
        &self,
        sent: &[Operation],
        reply: &PushReply<'_>,
        rules: &Rules<'_>,
        decisions: &Decisions,
        moment: &Moment,
    ) -> Result<Plan<Settled>> {
        let soft = rules.soft;
        let mut planner = Planner::new(self, rules.policies, decisions, moment);
        let mut settled = Settled::default();
        let unmet = sent
            .iter()
            .zip(&reply.results)
            .filter(|(_, verdict)| verdict.status != "applied")
            .map(|(op, _)| op);
        let unmet: Vec<&Operation> = unmet.collect();
        let stands = |op: &Operation| {
            let is = |other: &&Operation| other.op_id == op.op_id;
            sent.iter().any(|other| is(&other)) && !unmet.iter().any(is)
        };
        let mut graves = Graves {
            replica: self,
            now: moment.now,
            rules,
            stands: &stands,
            gone: Vec::new(),
            letters: Vec::new(),
            missing: Vec::new(),
        };
        for (op, verdict) in sent.iter().zip(&reply.results) {
            let held = !op.links.is_empty() || op.kind == Kind::Delete;
            let held = held
                && unmet
                    .iter()
                    .any(|other| other.op_id != op.op_id && op.goes_after(other));
            match verdict.verdict()? {
                Verdict::Applied { version, row, .. } => {
                    self.settle_applied(&mut planner, op, version, row, soft(&op.entity));
                    settled.pushed.count(&op.entity);
                }
                Verdict::Conflict { version, row } => {
                    if graves.gone.contains(&op.op_id) {
                        let arrival = Arrival {
                            entity: &op.entity,
                            id: &op.id,
                            version,
                            body: row,
                        };
                        planner.write_row(&arrival, true, soft(&op.entity));
                    } else if self.is_behind(op, version) {
                        settled.retry.push(PutOff {
                            op_id: op.op_id.clone(),
                            after_ms: Some(0),
                            code: None,
                            held,
                        });
                    } else if self.outbox.get(&op.op_id).is_some() {
                        let arrival = Arrival {
                            entity: &op.entity,
                            id: &op.id,
                            version,
                            body: row,
                        };
                        planner.arrive(&arrival, true, soft(&op.entity), true);
                    }
                }
                // The remote may have refused it only because what it depends on is not there yet.
                Verdict::Rejected { code, .. } if held => {
                    settled.retry.push(PutOff {
                        op_id: op.op_id.clone(),
                        after_ms: Some(0),
                        code: Some(code.to_owned()),
                        held,
                    });
                }
                Verdict::Rejected { code, message, row } => {
                    graves.bury(op, code, message);
                    if let (Some(row), Some(version)) = (row, verdict.version) {
                        let arrival = Arrival {
                            entity: &op.entity,
                            id: &op.id,
                            version,
                            body: Some(row),
                        };
                        planner.write_row(&arrival, true, false);
                    }
                }
                Verdict::Retry { after_ms } => {
                    let code = verdict.code.as_deref().map(str::to_owned);
                    settled.retry.push(PutOff {
                        op_id: op.op_id.clone(),
                        after_ms,
                        code,
                        held,
                    });
                }
            }
        }
        if !graves.missing.is_empty() {
            return Ok(Plan::Needs(Need::Bodies(graves.missing)));
        }
        settled
            .retry
            .retain(|put_off| !graves.gone.contains(&put_off.op_id));
        for event in graves.events() {
            planner.push_event(event);
        }
        settled.letters = graves.letters;
        for letter in &settled.letters {
            settled.failed.count(&letter.op.entity);
        }
        Ok(match planner.finish() {
            Plan::Ready(incoming) => Plan::Ready(Settled {
                incoming,
                ..settled
            }),
            Plan::Needs(need) => Plan::Needs(need),
        })
    }

    /// Whether a verdict is of before the row that is known: another tab that sent the same has
    /// gone on meanwhile. Where versions of two histories cannot be compared, none is.
    fn is_behind(&self, op: &Operation, version: u64) -> bool {
        let key = Key::new(&op.entity, &op.id);
        let known = self.row(&key).map_or(0, |row| row.version);
        known > version
            && self.receipts.restored().is_none()
            && self.outbox.get(&op.op_id).is_some()
    }

    fn settle_applied(
        &self,
        planner: &mut Planner<'_>,
        op: &Operation,
        version: u64,
        row: Option<&str>,
        soft: bool,
    ) {
        let key = Key::new(&op.entity, &op.id);
        let known = self.row(&key).map_or(0, |row| row.version);
        if self.outbox.get(&op.op_id).is_some() {
            if known >= version {
                // A pull in another tab has brought the row meanwhile.
                planner.applied(op, known, true);
                self.meet(planner, op, (version, row), known);
            } else if let Some(row) = row {
                planner.write_row(
                    &Arrival {
                        entity: &op.entity,
                        id: &op.id,
                        version,
                        body: Some(row),
                    },
                    true,
                    soft,
                );
                planner.applied(op, version, true);
            } else {
                planner.applied(op, version, false);
            }
        } else if let Some(heir) = self.outbox.heir_of(&op.op_id) {
            // Another tab edited the entity while this was on its way: what it made is built on
            // this.
            if known < version {
                let body = row.or(op.body.as_deref());
                planner.write_row(
                    &Arrival {
                        entity: &op.entity,
                        id: &op.id,
                        version,
                        body,
                    },
                    true,
                    soft,
                );
                let base = (op.kind != Kind::Delete).then_some(version);
                planner.push_event(Event::Rebase {
                    op_id: heir.op.op_id.clone(),
                    version: base,
                });
            }
        }
    }

    /// What waits behind an operation that was applied was made on what that left, and the row that
    /// is known is newer: both were saved from a lost log into one in which another tab had gone
    /// on. It is made anew on the row; where that clashes, it keeps its base, and the remote
    /// answers with a conflict.
    fn meet(
        &self,
        planner: &mut Planner<'_>,
        op: &Operation,
        (version, row): (u64, Option<&str>),
        known: u64,
    ) {
        let key = Key::new(&op.entity, &op.id);
        let mut chain = self
            .outbox
            .chain(&key)
            .skip_while(|queued| queued.op.op_id != op.op_id);
        let Some(own) = chain
            .next()
            .filter(|own| own.blocked_by.is_none() && own.op.base_version != Some(known))
        else {
            return;
        };
        let later: Vec<&Operation> = chain.map(|queued| &queued.op).collect();
        let Some(mut next) = later.first().map(|next| next.op_id.clone()) else {
            return;
        };
        if known <= version || self.receipts.restored().is_some() {
            return;
        }
        let Some(theirs) = planner.held(&key) else {
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
            // A delete, or what cannot be read, is for the remote to judge.
            let Some((ours, (body, clash))) = made else {
                stays = true;
                continue;
            };
            stays |= clash;
            let (mut made, mut replaces) = (
                Operation {
                    body: Some(body.into()),
                    ..op.clone()
                },
                Vec::new(),
            );
            if op.kind != Kind::Patch {
                // What may have been sent with the whole body never says another under the same
                // name.
                made.op_id = planner.op_id();
                made.supersedes.push(op.op_id.clone());
                made.earlier.extend(marks(ours, &[]));
                replaces.push(op.op_id.clone());
            }
            if next == op.op_id {
                next.clone_from(&made.op_id);
            }
            planner.push_event(Event::Queue { op: made, replaces });
        }
        let version = if stays {
            (op.kind != Kind::Delete).then_some(version)
        } else {
            Some(known)
        };
        planner.push_event(Event::Rebase {
            op_id: next,
            version,
        });
    }

    /// Plans that an operation will never be accepted, for a reason that is not in a verdict.
    #[must_use]
    pub fn plan_burial(
        &self,
        op: &Operation,
        code: &str,
        message: &str,
        rules: &Rules<'_>,
        now: u64,
    ) -> Plan<(Commit, Vec<DeadLetter>)> {
        let mut graves = Graves {
            replica: self,
            now,
            rules,
            stands: &|_| false,
            gone: Vec::new(),
            letters: Vec::new(),
            missing: Vec::new(),
        };
        graves.bury(op, code, message);
        if !graves.missing.is_empty() {
            return Plan::Needs(Need::Bodies(graves.missing));
        }
        Plan::Ready((
            Commit {
                segments: Vec::new(),
                events: graves.events(),
            },
            graves.letters,
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
struct Graves<'a> {
    replica: &'a Replica,
    now: u64,
    rules: &'a Rules<'a>,
    /// Whether the remote has applied an operation in this very push.
    stands: &'a dyn Fn(&Operation) -> bool,
    gone: Vec<String>,
    letters: Vec<DeadLetter>,
    missing: Vec<BodyId>,
}

impl<'a> Graves<'a> {
    /// Buries an operation, and all that cannot stand without it.
    fn bury(&mut self, op: &Operation, code: &str, message: &str) {
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
        let mut open = self.bury_entity(refused, code, message, None);
        while let Some(lost) = open.pop() {
            for dependent in self.replica.outbox.dependents(lost) {
                if !self.gone.contains(&dependent.op.op_id) && !(self.stands)(&dependent.op) {
                    open.extend(self.bury_entity(dependent, "blocked", &because, Some(&op.op_id)));
                }
            }
        }
    }

    /// One letter for an operation and those of its entity that were made on top of it. Answers all
    /// of them.
    fn bury_entity(
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
            if kind == Kind::Patch {
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

    fn events(&self) -> Vec<Event> {
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
        events.push(Event::Bury {
            letters: self.letters.clone(),
        });
        if !along.is_empty() {
            events.push(Event::Dequeue { ops: along });
        }
        events
    }
}
