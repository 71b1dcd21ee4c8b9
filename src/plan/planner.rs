//! What a plan writes down: rows, and what verdicts, rows and resolvers say for the receipts.

use std::rc::Rc;

use crate::conflict;
use crate::conflict::policy::{changes_a_sum, sums};
use crate::conflict::{Conflict, Decision, Resolution, same_content};
use crate::log::address::Seq;
use crate::log::commit::{Commit, Entry, Event};
use crate::log::facts::Parked;
use crate::log::segment_writer::Packing;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Key;
use crate::model::operation::{Kind, Operation, UNKNOWN};
use crate::model::protocol::Change;
use crate::plan::context::PlanContext;
use crate::plan::page::{PageRules, all_links, earlier, effect_stands, untouched};
use crate::plan::{Need, Plan};
use crate::state::outbox::Queued;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::vec_map::VecMap;

/// What is known so far that planning had asked for.
#[derive(Debug, Default)]
pub struct Decisions {
    /// What the resolvers have said, by conflict id.
    pub made: VecMap<Decision>,
    /// Entities of which the remote has said, by [`name`], that it has none of the operations that
    /// wait.
    pub confirmed_absent: VecMap<()>,
}

/// One name for an entity of any type; ids have no control characters.
#[must_use]
pub fn name(entity: &str, id: &str) -> String {
    [entity, "\0", id].concat()
}

/// A planned page, and what it did.
#[derive(Debug, Default)]
pub struct Incoming {
    /// The commit.
    pub commit: Commit,
    /// Rows taken, by entity type.
    pub pulled: VecMap<u64>,
    /// Conflicts met, with how each ended.
    pub resolved: Vec<(Conflict, Decision)>,
    /// Operations that a restored server is offered again.
    pub offered: u64,
    /// All of a restored server has been pulled: so many were, in all.
    pub restored: Option<u64>,
}

/// Collects what a page or a set of verdicts does; shared by pull and push.
pub(super) struct Planner<'a> {
    pub(crate) replica: &'a Replica,
    policies: &'a dyn Fn(&str) -> Rc<Policies>,
    pub(crate) decisions: &'a Decisions,
    pub(crate) context: &'a PlanContext,
    segments: VecMap<Packing>,
    pub(crate) out: Incoming,
    pub(crate) missing: SeqMap<()>,
    pub(crate) undecided: Vec<Conflict>,
    made: usize,
}

/// A row that arrives: from a page, or with a verdict.
pub(super) struct RemoteRow<'a> {
    pub entity: &'a str,
    pub id: &'a str,
    pub version: u64,
    /// The body; none for a tombstone.
    pub body: Option<&'a str>,
}

impl<'a> Planner<'a> {
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
            segments: VecMap::default(),
            out: Incoming::default(),
            missing: SeqMap::default(),
            undecided: Vec::new(),
            made: 0,
        }
    }

    pub(crate) fn plan_change(
        &mut self,
        change: &Change<'_>,
        rules: &PageRules<'_>,
        full_since: Option<Seq>,
    ) {
        let body = if change.deleted { None } else { change.data };
        let arrival = RemoteRow {
            entity: &change.entity,
            id: &change.id,
            version: change.version,
            body,
        };
        let row = self
            .replica
            .entities
            .get(&change.entity)
            .and_then(|rows| rows.get(&change.id));
        let known_version = row.map_or(0, |row| row.version);
        // It lives, and only this scope is over for it: the main pull brings what there is of it,
        // where there is one.
        if change.reason.as_deref() == Some("scope")
            && (known_version >= change.version || self.replica.cursors.get("").is_some())
        {
            return;
        }
        let doubted = self.replica.receipts.suspect(&arrival.key()).is_some();
        if !doubted
            && known_version == change.version
            && row.is_some_and(|row| row.deleted == change.deleted)
        {
            if full_since.is_some() {
                self.confirm_or_rewrite(&arrival, rules);
            }
            return;
        }
        // Nothing that is older than what is known may undo it; after a restore of the server,
        // everything comes again from an empty cursor, and there it may: unless the row was written
        // since that was asked for.
        if !doubted
            && known_version > change.version
            && full_since.is_none_or(|since| row.is_some_and(|row| row.stamp > since))
        {
            return;
        }
        self.out.pulled.count(&change.entity);
        let confirmed_absent = !self.decisions.confirmed_absent.is_empty()
            && self
                .decisions
                .confirmed_absent
                .contains(&name(&change.entity, &change.id));
        self.apply_remote_row(
            &arrival,
            rules.include_deletes,
            (rules.soft)(&change.entity),
            confirmed_absent,
        );
    }

    /// The same version again: the row is confirmed, and written only where the bytes differ.
    fn confirm_or_rewrite(&mut self, arrival: &RemoteRow<'_>, rules: &PageRules<'_>) {
        let rows = self.replica.entities.get(arrival.entity);
        let row = rows.and_then(|rows| rows.get(arrival.id));
        let same = match (row.and_then(|row| self.replica.body_of(row)), arrival.body) {
            (Some(ViewBody::Text(have)), Some(got)) => have == got,
            (None, None) => true,
            _ => false,
        };
        if same && arrival.body.is_some() {
            self.put_row(
                arrival.entity,
                Entry {
                    id: arrival.id.to_owned(),
                    version: arrival.version,
                    retain: true,
                    ..Entry::default()
                },
                None,
            );
        } else {
            self.write_row(arrival, true, (rules.soft)(arrival.entity));
        }
    }

    /// Takes a row in, with whatever its pending operations make of it. `confirmed_absent`: the
    /// remote has just said that it has none of them.
    pub(super) fn apply_remote_row(
        &mut self,
        arrival: &RemoteRow<'_>,
        include_deletes: bool,
        soft: bool,
        confirmed_absent: bool,
    ) {
        let key = Key::new(arrival.entity, arrival.id);
        let queued: Vec<&Queued> = self.replica.outbox.chain(&key).collect();
        let suspect = self.replica.receipts.suspect(&key);
        if queued.is_empty() && suspect.is_none() {
            // Nearly all.
            return self.write_row(arrival, include_deletes, soft);
        }
        if queued.iter().any(|queued| queued.blocked_by.is_some()) {
            // The conflict is parked already, with its base; only the remote's side moves on.
            return self.write_row(arrival, true, soft);
        }
        let chain: Vec<&Operation> = queued.iter().map(|queued| &queued.op).collect();
        let policies = (self.policies)(arrival.entity);
        let summed = sums(&policies)
            && arrival.body.is_some()
            && chain.last().is_some_and(|last| last.body.is_some());
        if let Some(sent) = chain
            .iter()
            .find(|op| !summed && effect_stands(op, arrival))
        {
            return self.settle_by_row(&chain, &sent.op_id, arrival, soft);
        }
        let row = self.replica.row(&key);
        if suspect.is_some() || row.is_some_and(|row| row.version == UNKNOWN && !chain.is_empty()) {
            let Some(held) = self.held(&key) else { return };
            if held.as_deref().is_some_and(|held| {
                arrival
                    .body
                    .is_some_and(|theirs| same_content(held, theirs))
            }) {
                // Not forgotten, or offered by another device: what waits was made on top of it.
                self.write_row(arrival, true, soft);
                let rebased = chain.first().map(|op| Event::Rebase {
                    op_id: op.op_id.clone(),
                    version: Some(arrival.version),
                });
                return self.out.commit.events.extend(rebased);
            }
            if let Some(receipt) = suspect {
                return self.apply_restored_row(
                    receipt,
                    held,
                    &chain,
                    arrival,
                    include_deletes,
                    soft,
                );
            }
        }
        let Some(last) = chain.last().copied() else {
            return;
        };
        let base_version = row.map_or(0, |row| row.version);
        let left_alone;
        // An operation that was saved from a lost log stands on a row that it was not made against.
        let assumed = chain.first().is_none_or(|op| {
            op.base_version != row.filter(|row| !row.deleted).map(|row| row.version)
        });
        let base = if assumed {
            left_alone = untouched(last);
            left_alone.as_deref()
        } else {
            match self.replica.base_of(&key) {
                Ok(base) => base,
                Err(segment) => return self.missing.insert(segment, ()),
            }
        };
        // Two devices that add the same to the same number write the same row: that it stands there
        // says nothing.
        let counted = summed
            && !assumed
            && chain
                .iter()
                .filter_map(|op| op.body.as_deref())
                .any(|body| changes_a_sum(&policies, base, body));
        if let Some(sent) = chain
            .iter()
            .find(|op| summed && !counted && effect_stands(op, arrival))
        {
            return self.settle_by_row(&chain, &sent.op_id, arrival, soft);
        }
        let earlier = earlier(&chain);
        if let Some(remote) = arrival.body
            && !earlier.is_empty()
            && !counted
            && conflict::is_own(base, last.body.as_deref(), remote, &earlier)
        {
            // Another tab had sent what this device wrote before, and its answer was lost.
            self.write_row(arrival, true, soft);
            let first = chain.first().map(|op| op.op_id.clone()).unwrap_or_default();
            self.out.commit.events.push(Event::Rebase {
                op_id: first,
                version: Some(arrival.version),
            });
            return;
        }
        let local = if last.kind == Kind::Delete {
            None
        } else {
            last.body.clone()
        };
        let kind = match (local.is_some(), arrival.body.is_some()) {
            (true, false) => conflict::Kind::DeletedRemotely,
            (false, _) => conflict::Kind::DeletedLocally,
            (true, true) => conflict::Kind::BothModified,
        };
        let conflict = Conflict {
            id: format!("{}:{base_version}:{}", last.op_id, arrival.version),
            entity: arrival.entity.to_owned(),
            entity_id: arrival.id.to_owned(),
            user_id: self.replica.user_id.clone(),
            kind,
            base: base.map(Rc::from),
            base_version,
            assumed,
            fields: conflict::clashing_fields(base, local.as_deref(), arrival.body, &earlier),
            earlier,
            unsettled: counted && !confirmed_absent,
            local,
            remote: arrival.body.map(Rc::from),
            remote_version: arrival.version,
            local_time: last
                .queued_at
                .saturating_add_signed(self.replica.facts.clock_offset),
            detected_at: self.context.now,
        };
        match self
            .decisions
            .made
            .get(&conflict.id)
            .filter(|_| !conflict.unsettled)
        {
            Some(decision) => self.resolve(conflict, decision.clone(), &chain, arrival, soft),
            None => self.undecided.push(conflict),
        }
    }

    pub(crate) fn resolve(
        &mut self,
        conflict: Conflict,
        decision: Decision,
        chain: &[&Operation],
        arrival: &RemoteRow<'_>,
        soft: bool,
    ) {
        let Some(last) = chain.last() else { return };
        let replaced: Vec<String> = chain.iter().map(|op| op.op_id.clone()).collect();
        self.write_row(arrival, true, soft);
        self.out.commit.explain(&conflict, &decision);
        match &decision.resolution {
            Resolution::Remote => {
                self.out
                    .commit
                    .events
                    .push(Event::Dequeue { ops: replaced });
                self.note_merge(arrival, false);
            }
            Resolution::Local => {
                let op = self.winner(last, chain, arrival, last.body.clone());
                self.out.commit.queue(op, replaced);
            }
            Resolution::Merged(body) => {
                if arrival
                    .body
                    .is_some_and(|remote| conflict::same_content(remote, body))
                {
                    self.out
                        .commit
                        .events
                        .push(Event::Dequeue { ops: replaced });
                    self.note_merge(arrival, false);
                } else {
                    let op = self.winner(last, chain, arrival, Some(Rc::clone(body)));
                    self.out.commit.queue(op, replaced);
                    if !last
                        .body
                        .as_deref()
                        .is_some_and(|local| conflict::same_content(local, body))
                    {
                        self.note_merge(arrival, true);
                    }
                }
            }
            Resolution::Later => self.out.commit.events.push(Event::Park {
                conflict: Parked {
                    id: conflict.id.clone(),
                    entity: conflict.entity.clone(),
                    entity_id: conflict.entity_id.clone(),
                    kind: conflict.kind,
                    base: conflict.base.clone(),
                    base_version: conflict.base_version,
                    assumed: conflict.assumed,
                    fields: conflict.fields.clone(),
                    detected_at: conflict.detected_at,
                    failed: u32::from(decision.failed),
                },
            }),
        }
        self.out.resolved.push((conflict, decision));
    }

    /// The operation that carries a resolved conflict's outcome to the remote.
    pub(crate) fn winner(
        &mut self,
        last: &Operation,
        chain: &[&Operation],
        arrival: &RemoteRow<'_>,
        body: Option<Rc<str>>,
    ) -> Operation {
        let op_id = self.op_id();
        let kind = match (&body, arrival.body) {
            (None, _) => Kind::Delete,
            (Some(_), None) => Kind::Create,
            (Some(_), Some(_)) => Kind::Update,
        };
        Operation {
            op_id,
            entity: arrival.entity.to_owned(),
            id: arrival.id.to_owned(),
            kind,
            base_version: arrival.body.map(|_| arrival.version),
            body,
            fields: Vec::new(),
            queued_at: last.queued_at,
            attempts: 0,
            soft: last.soft,
            supersedes: Vec::new(),
            earlier: Vec::new(),
            links: all_links(chain),
        }
    }

    pub(super) fn finish(mut self) -> Plan<Incoming> {
        if !self.missing.is_empty() {
            return Plan::Needs(Need::Bodies(self.missing.keys()));
        }
        if !self.undecided.is_empty() {
            return Plan::Needs(Need::Decisions(self.undecided));
        }
        for (entity, mut packing) in self.segments {
            packing.close(&entity, &mut self.out.commit);
        }
        Plan::Ready(self.out)
    }
}

impl<'a> RemoteRow<'a> {
    pub(super) fn key(&self) -> Key<'a> {
        Key::new(self.entity, self.id)
    }
}

impl Planner<'_> {
    /// An id for a new operation.
    pub(crate) fn op_id(&mut self) -> String {
        let op_id = self.context.op_id(self.made);
        self.made = self.made.saturating_add(1);
        op_id
    }

    pub(crate) fn push_event(&mut self, event: Event) {
        self.out.commit.events.push(event);
    }

    /// The row shows that the remote has an operation already; its answer was lost.
    pub(super) fn settle_by_row(
        &mut self,
        chain: &[&Operation],
        sent: &str,
        arrival: &RemoteRow<'_>,
        soft: bool,
    ) {
        self.write_row(arrival, true, soft);
        for op in chain {
            if op.op_id == sent {
                self.applied(op, arrival.version, true);
                return;
            }
            self.out.commit.events.push(Event::Dequeue {
                ops: vec![op.op_id.clone()],
            });
        }
    }

    /// The remote has an operation, at this version.
    pub(crate) fn applied(&mut self, op: &Operation, version: u64, with_row: bool) {
        let base = self
            .replica
            .base_of(&Key::new(&op.entity, &op.id))
            .ok()
            .flatten();
        let field_hashes = match op.body.as_deref() {
            Some(body) if op.kind != Kind::Create => {
                conflict::changed_field_hashes(base, body, &op.fields)
            }
            _ => Vec::new(),
        };
        self.push_event(Event::Applied {
            op_id: op.op_id.clone(),
            version,
            with_row,
            at: self.context.now,
            field_hashes,
        });
    }

    /// Notes for the receipt that something else than this device's own write stands: at once, or
    /// when the winner is through.
    pub(super) fn note_merge(&mut self, arrival: &RemoteRow<'_>, merging: bool) {
        let receipt = self
            .replica
            .receipts
            .get(&arrival.key())
            .cloned()
            .unwrap_or_default();
        let receipt = receipt.after_conflict(self.context.now, merging, arrival.version);
        self.push_event(Event::Receipt {
            entity: arrival.entity.to_owned(),
            id: arrival.id.to_owned(),
            receipt,
        });
    }

    pub(crate) fn write_row(&mut self, arrival: &RemoteRow<'_>, include_deletes: bool, soft: bool) {
        let deleted = arrival.body.is_none();
        let held = deleted && !include_deletes;
        let entry = Entry {
            id: arrival.id.to_owned(),
            version: arrival.version,
            deleted,
            held,
            retain: deleted && (soft || held),
            ..Entry::default()
        };
        self.put_row(arrival.entity, entry, arrival.body);
    }

    pub(super) fn put_row(&mut self, entity: &str, entry: Entry, body: Option<&str>) {
        self.segments
            .entry(entity)
            .push(entity, entry, body, &mut self.out.commit);
    }
}
