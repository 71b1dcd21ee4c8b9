//! What a server that was restored from an older state is offered again: what it had acknowledged
//! of this device, and has forgotten.
//!
//! Planned in the commit that takes in the row which says so, since that commit overwrites what
//! there is to offer. So a crash between any two commits loses nothing and offers nothing twice:
//! what was compared is not in doubt any more, and what was offered is an operation like any other.
//! It has an id of its own: an answer to the one of before, still on its way somewhere, must not
//! settle it, and its body may be another.

use std::rc::Rc;

use crate::conflict;
use crate::conflict::{Conflict, Resolution, same_content};
use crate::log::address::Seq;
use crate::log::commit::{Commit, Event};
use crate::log::receipt::{Receipt, Restored};
use crate::model::entity::{Key, times};
use crate::model::operation::{Kind, Operation};
use crate::model::protocol::PullPage;
use crate::plan::page::{PageRules, earlier};
use crate::plan::planner::{Planner, RemoteRow};
use crate::state::receipts::KEEP_MS;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;

impl Planner<'_> {
    /// Takes in a row that the server may have forgotten writes of this device of.
    pub(super) fn apply_restored_row(
        &mut self,
        receipt: &Receipt,
        held: Option<Rc<str>>,
        chain: &[&Operation],
        arrival: &RemoteRow<'_>,
        include_deletes: bool,
        soft: bool,
    ) {
        let offer;
        let last = match chain.last() {
            Some(last) => *last,
            // Who deleted the row says so again, and nobody else.
            None if held.is_none() && !receipt.deleted => {
                return self.write_row(arrival, include_deletes, soft);
            }
            None => {
                offer = self.offer(arrival, receipt, held.clone(), soft);
                &offer
            }
        };
        let same = match (last.body.as_deref(), arrival.body) {
            (Some(ours), Some(theirs)) => same_content(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        if same {
            return self.write_row(arrival, true, soft);
        }
        let replaced: Vec<String> = chain.iter().map(|op| op.op_id.clone()).collect();
        if self.is_of_before(arrival, receipt, held.as_deref()) {
            // What is here was made on top of it: nothing clashes.
            self.write_row(arrival, true, soft);
            let op = self.winner(last, chain, arrival, last.body.clone());
            self.out.offered = self.out.offered.saturating_add(u64::from(chain.is_empty()));
            return self.out.commit.queue(op, replaced);
        }
        // Somebody has written since: of what is here, only what this device has put is set against
        // it.
        let own = (!receipt.whole).then_some(&*receipt.field_hashes);
        let base = held
            .as_deref()
            .and_then(|held| conflict::of_others(held, own, arrival.body));
        let mut known = earlier(chain);
        known.extend_from_slice(&receipt.field_hashes);
        if let (Some(ours), Some(theirs)) = (last.body.as_deref(), arrival.body)
            && chain.is_empty()
            && conflict::is_own(base.as_deref(), Some(theirs), ours, &[])
        {
            return self.write_row(arrival, include_deletes, soft);
        }
        let id = format!("{}/{}:{}", arrival.entity, arrival.id, arrival.version);
        let local = last.body.clone();
        let kind = match (local.is_some(), arrival.body.is_some()) {
            (true, false) => conflict::Kind::DeletedRemotely,
            (false, _) => conflict::Kind::DeletedLocally,
            (true, true) => conflict::Kind::BothModified,
        };
        let conflict = Conflict {
            id,
            entity: arrival.entity.to_owned(),
            entity_id: arrival.id.to_owned(),
            user_id: self.replica.user_id.clone(),
            kind,
            fields: conflict::clashing_fields(
                base.as_deref(),
                local.as_deref(),
                arrival.body,
                &known,
            ),
            base: base.map(Rc::from),
            base_version: 0,
            assumed: true,
            earlier: known,
            unsettled: false,
            local,
            remote: arrival.body.map(Rc::from),
            remote_version: arrival.version,
            local_time: last.queued_at.saturating_add_signed(self.offset()),
            detected_at: self.context.now,
        };
        let Some(decision) = self.decisions.made.get(&conflict.id).cloned() else {
            return self.undecided.push(conflict);
        };
        if chain.is_empty() {
            if decision.resolution == Resolution::Later {
                // What waits for a decision waits in the outbox.
                self.out.commit.queue(last.clone(), Vec::new());
            }
            let before = self.out.commit.events.len();
            self.resolve(conflict, decision, &[last], arrival, soft);
            let made = self
                .out
                .commit
                .events
                .iter()
                .skip(before)
                .any(|event| matches!(event, Event::Queue { .. } | Event::Park { .. }));
            self.out.offered = self.out.offered.saturating_add(u64::from(made));
        } else {
            self.resolve(conflict, decision, chain, arrival, soft);
        }
    }

    /// At the end of a full pull: what has not come is not there.
    pub(super) fn offer_the_missing(
        &mut self,
        page: &PullPage<'_>,
        rules: &PageRules<'_>,
        before: Seq,
    ) {
        let replica = self.replica;
        if replica.receipts.restored().is_none() {
            return;
        }
        let concerned = |entity: &str| {
            rules
                .entities
                .is_none_or(|only| only.iter().any(|name| name == entity))
        };
        let came = |entity: &str, id: &str| {
            page.changes
                .iter()
                .any(|change| change.entity == entity && change.id == id)
        };
        for (entity, id, receipt) in replica.receipts.suspects() {
            let key = Key::new(entity, id);
            let blocked = || {
                replica
                    .outbox
                    .chain(&key)
                    .any(|queued| queued.blocked_by.is_some())
            };
            if !concerned(entity) || came(entity, id) || blocked() {
                continue;
            }
            let arrival = RemoteRow {
                entity,
                id,
                version: 0,
                body: None,
            };
            let chain: Vec<&Operation> = replica
                .outbox
                .chain(&key)
                .map(|queued| &queued.op)
                .collect();
            let Some(held) = self.held(&key) else {
                continue;
            };
            let (body, offer);
            let last = match chain.last() {
                Some(last) => {
                    body = last.body.clone();
                    *last
                }
                None => {
                    offer = self.offer(&arrival, receipt, held.clone(), false);
                    body = held;
                    &offer
                }
            };
            if body.is_some() {
                let op = self.winner(last, &chain, &arrival, body);
                self.out.offered = self.out.offered.saturating_add(u64::from(chain.is_empty()));
                self.out
                    .commit
                    .queue(op, chain.iter().map(|op| op.op_id.clone()).collect());
            }
        }
        // What waits on top of a row that is not there has no base; its version may be another's
        // before it is sent.
        for queued in replica
            .outbox
            .iter()
            .filter(|queued| queued.op.base_version.is_some() && queued.blocked_by.is_none())
        {
            let (op, key) = (&queued.op, Key::new(&queued.op.entity, &queued.op.id));
            let is_first = replica
                .outbox
                .chain(&key)
                .next()
                .is_some_and(|first| first.op.op_id == op.op_id);
            let unseen = is_first
                && !came(&op.entity, &op.id)
                && replica.row(&key).is_none_or(|row| row.stamp <= before);
            if concerned(&op.entity)
                && unseen
                && (op.body.is_none() || replica.receipts.suspect(&key).is_none())
            {
                self.out.commit.events.push(Event::Rebase {
                    op_id: op.op_id.clone(),
                    version: None,
                });
            }
        }
    }

    /// The body of the synced row, an empty option where it does not live; nothing where it must be
    /// fetched first.
    pub(crate) fn held(&mut self, key: &Key) -> Option<Option<Rc<str>>> {
        match self
            .replica
            .row(key)
            .filter(|row| !row.deleted)
            .and_then(|row| self.replica.body_of(row))
        {
            None => Some(None),
            Some(ViewBody::Text(text)) => Some(Some(Rc::from(text))),
            Some(ViewBody::Absent { segment, .. }) => {
                self.missing.insert(segment, ());
                None
            }
        }
    }

    /// What is here, as an operation: as old as it is, so that later writes count as later.
    fn offer(
        &mut self,
        arrival: &RemoteRow<'_>,
        receipt: &Receipt,
        body: Option<Rc<str>>,
        soft: bool,
    ) -> Operation {
        let written = body
            .as_deref()
            .and_then(modified_at)
            .map(|at| at.saturating_add_signed(self.offset().saturating_neg()));
        let op_id = self.op_id();
        Operation {
            op_id,
            entity: arrival.entity.to_owned(),
            id: arrival.id.to_owned(),
            kind: if body.is_some() {
                Kind::Update
            } else {
                Kind::Delete
            },
            base_version: Some(arrival.version),
            queued_at: written.unwrap_or(receipt.at),
            body,
            fields: Vec::new(),
            attempts: 0,
            soft,
            supersedes: Vec::new(),
            earlier: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Whether a row that came is a state of before what this device holds of it.
    fn is_of_before(&self, arrival: &RemoteRow<'_>, receipt: &Receipt, held: Option<&str>) -> bool {
        let restored = self.replica.receipts.restored();
        if let Some(kept) = restored.and_then(|restored| restored.kept)
            && arrival.version <= kept
        {
            return true;
        }
        let theirs = arrival.body.and_then(modified_at);
        match held {
            // Offered again by a device that did not know of the delete, or of before all.
            None => theirs
                .is_some_and(|theirs| theirs < receipt.at.saturating_add_signed(self.offset())),
            // Where the server cannot tell, the times must, and that nobody else's value is there
            // which is not here.
            Some(held) => {
                let unknown = restored.is_some_and(|restored| restored.kept.is_none());
                let known = || {
                    arrival.body.is_some_and(|theirs| {
                        conflict::is_own(None, Some(held), theirs, &receipt.field_hashes)
                    })
                };
                unknown
                    && arrival.version < receipt.version
                    && theirs < modified_at(held)
                    && known()
            }
        }
    }

    fn offset(&self) -> i64 {
        self.replica.facts.clock_offset
    }
}

fn modified_at(body: &str) -> Option<u64> {
    times(body)
        .modified_at
        .and_then(|time| crate::util::time::parse(&time))
}

impl Replica {
    /// Plans the beginning of a new epoch, where the one that is left is still this.
    #[must_use]
    pub fn plan_epoch(
        &self,
        left: Option<&str>,
        epoch: &str,
        kept: Option<u64>,
        now: u64,
    ) -> Commit {
        let restored = Restored {
            kept,
            since: now.saturating_sub(KEEP_MS),
        };
        let mut commit = Commit::default();
        if self.facts.epoch.as_deref() == left {
            commit.events.push(Event::Epoch {
                epoch: epoch.to_owned(),
                restored: Some(restored),
            });
        }
        commit
    }
}
