//! Planning what a push's verdicts do: rows become synced, conflicts go to their resolver, refused
//! operations become dead letters. An operation leaves the outbox here or nowhere.

use std::rc::Rc;

use crate::conflict::policy::Policies;
use crate::entity::Key;
use crate::error::Result;
use crate::operation::{Kind, Operation};
use crate::protocol::{PushReply, Verdict};
use crate::replica::incoming::{Arrival, Decisions, Incoming, Moment, Planner};
use crate::replica::record::Event;
use crate::replica::state::DeadLetter;
use crate::replica::{Plan, Replica};
use crate::small::Small;

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
    /// Operations to leave alone for that many milliseconds, where the remote said for how long.
    pub retry: Vec<(String, Option<u64>)>,
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
        soft: &dyn Fn(&str) -> bool,
        policies: &dyn Fn(&str) -> Rc<Policies>,
        decisions: &Decisions,
        moment: &Moment,
    ) -> Result<Plan<Settled>> {
        let mut planner = Planner::new(self, policies, decisions, moment);
        let mut settled = Settled::default();
        for (op, verdict) in sent.iter().zip(&reply.results) {
            match verdict.verdict()? {
                Verdict::Applied { version, row, .. } => {
                    self.settle_applied(&mut planner, op, version, row, soft(&op.entity));
                    settled.pushed.count(&op.entity);
                }
                Verdict::Conflict { version, row } => {
                    if self.outbox.get(&op.op_id).is_some() {
                        let arrival = Arrival { entity: &op.entity, id: &op.id, version, body: row };
                        planner.arrive(&arrival, true, soft(&op.entity), true);
                    }
                }
                Verdict::Rejected { code, message, row } => {
                    let letters = self.bury(op, code, message, moment.now);
                    for letter in &letters {
                        settled.failed.count(&letter.op.entity);
                    }
                    if let (Some(row), Some(version)) = (row, verdict.version) {
                        let arrival = Arrival { entity: &op.entity, id: &op.id, version, body: Some(row) };
                        planner.write_row(&arrival, true, false);
                    }
                    if !letters.is_empty() {
                        planner.push_event(Event::Bury { letters: letters.clone() });
                    }
                    settled.letters.extend(letters);
                }
                Verdict::Retry { after_ms } => settled.retry.push((op.op_id.clone(), after_ms)),
            }
        }
        Ok(match planner.finish() {
            Plan::Ready(incoming) => Plan::Ready(Settled { incoming, ..settled }),
            Plan::Needs(need) => Plan::Needs(need),
        })
    }

    fn settle_applied(&self, planner: &mut Planner<'_>, op: &Operation, version: u64, row: Option<&str>, soft: bool) {
        let key = Key::new(&op.entity, &op.id);
        let known = self.row(&key).map_or(0, |row| row.version);
        let op_id = op.op_id.clone();
        if self.outbox.get(&op_id).is_some() {
            if known >= version {
                // A pull in another tab has brought the row meanwhile.
                planner.push_event(Event::Applied { op_id, version: known, with_row: true });
            } else if let Some(row) = row {
                planner.write_row(&Arrival { entity: &op.entity, id: &op.id, version, body: Some(row) }, true, soft);
                planner.push_event(Event::Applied { op_id, version, with_row: true });
            } else {
                planner.push_event(Event::Applied { op_id, version, with_row: false });
            }
        } else if let Some(heir) = self.outbox.heir_of(&op_id) {
            // Another tab edited the entity while this was on its way: what it made is built on this.
            if known < version {
                let body = row.or(op.body.as_deref());
                planner.write_row(&Arrival { entity: &op.entity, id: &op.id, version, body }, true, soft);
                let base = (op.kind != Kind::Delete).then_some(version);
                planner.push_event(Event::Rebase { op_id: heir.op.op_id.clone(), version: base });
            }
        }
    }

    /// The refused operation, and those of the same entity that were made on top of it.
    fn bury(&self, op: &Operation, code: &str, message: &str, now: u64) -> Vec<DeadLetter> {
        if self.outbox.get(&op.op_id).is_none() {
            return Vec::new();
        }
        let key = Key::new(&op.entity, &op.id);
        self.outbox
            .chain(&key)
            .map(|queued| DeadLetter {
                op: queued.op.clone(),
                code: if queued.op.op_id == op.op_id { code.to_owned() } else { "blocked".to_owned() },
                message: message.to_owned(),
                died_at: now,
            })
            .collect()
    }
}
