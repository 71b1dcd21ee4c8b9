//! Planning what a push's verdicts do: rows become synced, conflicts go to their resolver, refused
//! operations become dead letters. An operation leaves the outbox here or nowhere.

use crate::conflict::{field_hashes, onto};
use crate::log::commit::Event;
use crate::log::facts::DeadLetter;
use crate::model::entity::Key;
use crate::model::error::Result;
use crate::model::operation::{Operation, OperationKind};
use crate::model::protocol::{PushReply, Verdict};
use crate::plan::context::PlanContext;
use crate::plan::planner::{Decisions, Incoming, Planner, RemoteRow};
use crate::plan::rejection::{DeadLetterPlan, Rules};
use crate::plan::{Need, Plan};
use crate::state::replica::Replica;
use crate::util::collections::vec_map::VecMap;

/// A planned set of verdicts, and what it did.
#[derive(Debug, Default)]
pub struct Settled {
    /// The commit, and the conflicts met.
    pub incoming: Incoming,
    /// Operations that the remote has, by entity type.
    pub pushed: VecMap<u64>,
    /// Operations that it refused, by entity type.
    pub failed: VecMap<u64>,
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
    /// [`crate::model::protocol::parse_push_reply`] first.
    ///
    /// # Errors
    /// [`crate::model::error::Code::Protocol`] for a verdict that says nothing known.
    pub fn plan_settle(
        &self,
        sent: &[Operation],
        reply: &PushReply<'_>,
        rules: &Rules<'_>,
        decisions: &Decisions,
        context: &PlanContext,
    ) -> Result<Plan<Settled>> {
        let soft = rules.soft;
        let mut planner = Planner::new(self, rules.policies, decisions, context);
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
        let mut dead = DeadLetterPlan {
            replica: self,
            now: context.now,
            rules,
            stands: &stands,
            gone: Vec::new(),
            letters: Vec::new(),
            missing: Vec::new(),
        };
        for (op, verdict) in sent.iter().zip(&reply.results) {
            let held = !op.links.is_empty() || op.kind == OperationKind::Delete;
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
                    if dead.gone.contains(&op.op_id) {
                        let arrival = RemoteRow {
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
                        let arrival = RemoteRow {
                            entity: &op.entity,
                            id: &op.id,
                            version,
                            body: row,
                        };
                        planner.apply_remote_row(&arrival, true, soft(&op.entity), true);
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
                    dead.reject(op, code, message);
                    if let (Some(row), Some(version)) = (row, verdict.version) {
                        let arrival = RemoteRow {
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
        if !dead.missing.is_empty() {
            return Ok(Plan::Needs(Need::Bodies(dead.missing)));
        }
        settled
            .retry
            .retain(|put_off| !dead.gone.contains(&put_off.op_id));
        for event in dead.events() {
            planner.push_event(event);
        }
        settled.letters = dead.letters;
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
                self.rebase_following(planner, op, (version, row), known);
            } else if let Some(row) = row {
                planner.write_row(
                    &RemoteRow {
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
        } else if let Some(heir) = self.outbox.superseding(&op.op_id) {
            // Another tab edited the entity while this was on its way: what it made is built on
            // this.
            if known < version {
                let body = row.or(op.body.as_deref());
                planner.write_row(
                    &RemoteRow {
                        entity: &op.entity,
                        id: &op.id,
                        version,
                        body,
                    },
                    true,
                    soft,
                );
                let base = (op.kind != OperationKind::Delete).then_some(version);
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
    fn rebase_following(
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
            if op.kind != OperationKind::Patch {
                // What may have been sent with the whole body never says another under the same
                // name.
                made.op_id = planner.op_id();
                made.supersedes.push(op.op_id.clone());
                made.earlier.extend(field_hashes(ours, &[]));
                replaces.push(op.op_id.clone());
            }
            if next == op.op_id {
                next.clone_from(&made.op_id);
            }
            planner.push_event(Event::Queue { op: made, replaces });
        }
        let version = if stays {
            (op.kind != OperationKind::Delete).then_some(version)
        } else {
            Some(known)
        };
        planner.push_event(Event::Rebase {
            op_id: next,
            version,
        });
    }
}
