//! Planning a pulled page: rows, and for each row with pending operations what becomes of them.

use std::rc::Rc;

use crate::conflict::policy::{Policies, changes_a_sum, sums};
use crate::conflict::{self, Conflict, Decision, Resolution, same_content};
use crate::entity::{Fields, Key};
use crate::operation::{Kind, Link, Operation, UNKNOWN, join_links};
use crate::protocol::{Change, PullPage};
use crate::replica::outbox::Queued;
use crate::replica::record::packing::Packing;
use crate::replica::record::{Commit, Entry, Event};
use crate::replica::state::{CursorState, Parked};
use crate::replica::{Need, Plan, Replica, ViewBody};
use crate::small::Small;
use crate::small::ordered::Ordered;
use crate::store::Seq;

mod noted;
mod restored;

/// What is known so far that planning had asked for.
#[derive(Debug, Default)]
pub struct Decisions {
    /// What the resolvers have said, by conflict id.
    pub made: Small<Decision>,
    /// Entities of which the remote has said, by [`name`], that it has none of the operations that
    /// wait.
    pub told: Small<()>,
}

/// One name for an entity of any type; ids have no control characters.
#[must_use]
pub fn name(entity: &str, id: &str) -> String {
    [entity, "\0", id].concat()
}

/// Time and ids for a plan: the same arguments give the same plan.
#[derive(Debug, Clone)]
pub struct Moment {
    /// This device's clock, in milliseconds since 1970.
    pub now: u64,
    /// Random bytes for the ids of new operations; varied by an index for each.
    pub seed: [u8; 10],
}

impl Moment {
    /// The id of the `index`th new operation of this plan; ids ascend, as keys that are looked up
    /// should.
    #[must_use]
    pub fn op_id(&self, index: usize) -> String {
        let mut random = self.seed;
        if let Some(tail) = random.last_chunk_mut() {
            *tail = u64::from_be_bytes(*tail)
                .wrapping_add(index as u64)
                .to_be_bytes();
        }
        crate::time::uuid_v7(self.now, random)
    }
}

/// How a page is to be taken.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub struct PageRules<'a> {
    /// The cursor that the page was pulled from; none for the first page of a full pull.
    pub from: Option<&'a str>,
    /// The head when the first page was asked for: what was written since, the pages may not know
    /// yet.
    pub since: Seq,
    /// The scope; empty for the main one.
    pub scope: &'a str,
    /// The pages bring every row of these entity types: what a full pull does not bring is gone.
    /// Not so where the remote selects among the rows.
    pub whole: bool,
    /// The entity types of the scope.
    pub entities: Option<&'a [String]>,
    /// Tombstones become visible now; otherwise they are held.
    pub include_deletes: bool,
    /// The entity types of the config; rows of others are not kept.
    pub known: &'a dyn Fn(&str) -> bool,
    /// The types whose tombstones keep their body.
    pub soft: &'a dyn Fn(&str) -> bool,
    /// How the fields of a type are merged.
    pub policies: &'a dyn Fn(&str) -> Rc<Policies>,
}

/// A planned page, and what it did.
#[derive(Debug, Default)]
pub struct Incoming {
    /// The commit.
    pub commit: Commit,
    /// Rows taken, by entity type.
    pub pulled: Small<u64>,
    /// Conflicts met, with how each ended.
    pub resolved: Vec<(Conflict, Decision)>,
    /// Operations that a restored server is offered again.
    pub offered: u64,
    /// All of a restored server has been pulled: so many were, in all.
    pub restored: Option<u64>,
}

impl Replica {
    /// Plans a page against this head.
    #[must_use]
    pub fn plan_page(
        &self,
        page: &PullPage<'_>,
        rules: &PageRules<'_>,
        decisions: &Decisions,
        moment: &Moment,
    ) -> Plan<Incoming> {
        let mut plan = Planner::new(self, rules.policies, decisions, moment);
        let state = self.cursors.get(rules.scope);
        // Without a cursor everything comes, and what does not come is gone.
        let full_since = match rules.from {
            Some(_) => state.and_then(|state| state.full_since),
            // A log that was begun anew meanwhile is shorter.
            None => rules.whole.then_some(rules.since.min(self.head)),
        };
        for change in &page.changes {
            if (rules.known)(&change.entity) {
                let full = (rules.from.is_none() || full_since.is_some())
                    .then(|| full_since.unwrap_or(rules.since));
                plan.take(change, rules, full);
            }
        }
        let ended = !page.more;
        if let (true, Some(before)) = (ended, full_since) {
            plan.offer_the_missing(page, rules, before);
        }
        let mut incoming = match plan.finish() {
            Plan::Ready(incoming) => incoming,
            Plan::Needs(need) => return Plan::Needs(need),
        };
        if let (true, Some(before)) = (ended, full_since) {
            incoming.commit.events.push(Event::Sweep {
                before,
                entities: rules.entities.map(<[String]>::to_vec),
            });
        }
        let state = CursorState {
            cursor: Some(page.cursor.to_string()),
            full_since: full_since.filter(|_| !ended),
            reached_end: ended || state.is_some_and(|state| state.reached_end),
            entities: rules.entities.map(<[String]>::to_vec),
        };
        let done = ended && rules.scope.is_empty();
        if self.receipts.restored().is_some() && (done || incoming.offered > 0) {
            incoming.commit.events.push(Event::Offered {
                count: incoming.offered,
                done,
            });
            incoming.restored =
                done.then(|| self.receipts.offered().saturating_add(incoming.offered));
        }
        if self.cursors.get(rules.scope) != Some(&state) || !incoming.commit.is_empty() {
            incoming.commit.events.push(Event::Cursor {
                scope: rules.scope.to_owned(),
                state,
            });
        }
        Plan::Ready(incoming)
    }
}

/// Collects what a page or a set of verdicts does; shared by pull and push.
pub(super) struct Planner<'a> {
    replica: &'a Replica,
    policies: &'a dyn Fn(&str) -> Rc<Policies>,
    decisions: &'a Decisions,
    moment: &'a Moment,
    segments: Small<Packing>,
    out: Incoming,
    missing: Ordered<()>,
    undecided: Vec<Conflict>,
    made: usize,
}

/// A row that arrives: from a page, or with a verdict.
pub(super) struct Arrival<'a> {
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
        moment: &'a Moment,
    ) -> Self {
        Self {
            replica,
            policies,
            decisions,
            moment,
            segments: Small::default(),
            out: Incoming::default(),
            missing: Ordered::default(),
            undecided: Vec::new(),
            made: 0,
        }
    }

    fn take(&mut self, change: &Change<'_>, rules: &PageRules<'_>, full_since: Option<Seq>) {
        let body = if change.deleted { None } else { change.data };
        let arrival = Arrival {
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
        let told = !self.decisions.told.is_empty()
            && self
                .decisions
                .told
                .contains(&name(&change.entity, &change.id));
        self.arrive(
            &arrival,
            rules.include_deletes,
            (rules.soft)(&change.entity),
            told,
        );
    }

    /// The same version again: the row is confirmed, and written only where the bytes differ.
    fn confirm_or_rewrite(&mut self, arrival: &Arrival<'_>, rules: &PageRules<'_>) {
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

    /// Takes a row in, with whatever its pending operations make of it. `told`: the remote has just
    /// said that it has none of them.
    pub(super) fn arrive(
        &mut self,
        arrival: &Arrival<'_>,
        include_deletes: bool,
        soft: bool,
        told: bool,
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
                return self.arrive_restored(receipt, held, &chain, arrival, include_deletes, soft);
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
            unsettled: counted && !told,
            local,
            remote: arrival.body.map(Rc::from),
            remote_version: arrival.version,
            local_time: last
                .queued_at
                .saturating_add_signed(self.replica.facts.clock_offset),
            detected_at: self.moment.now,
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

    fn resolve(
        &mut self,
        conflict: Conflict,
        decision: Decision,
        chain: &[&Operation],
        arrival: &Arrival<'_>,
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
    fn winner(
        &mut self,
        last: &Operation,
        chain: &[&Operation],
        arrival: &Arrival<'_>,
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

/// What any of these operations has to do with.
pub(super) fn all_links(chain: &[&Operation]) -> Vec<Link> {
    let mut links = Vec::new();
    for op in chain {
        join_links(&mut links, &op.links);
    }
    links
}

/// The base of an operation whose base is gone, as far as it is known: the fields that a patch left
/// alone.
fn untouched(op: &Operation) -> Option<String> {
    let mut fields = Fields::parse(op.body.as_deref()?).ok()?;
    fields.0.retain(|(name, _)| {
        op.kind == Kind::Patch && !op.fields.iter().any(|field| *field == **name)
    });
    (!fields.0.is_empty()).then(|| fields.to_json())
}

/// Marks of everything that this device wrote before the last of these operations.
fn earlier(chain: &[&Operation]) -> Vec<u64> {
    let mut marks = Vec::new();
    for (place, op) in chain.iter().enumerate() {
        marks.extend_from_slice(&op.earlier);
        if let (true, Some(body)) = (place.saturating_add(1) < chain.len(), op.body.as_deref()) {
            marks.extend(conflict::marks(body, &op.fields));
        }
    }
    marks
}

/// Whether a row is what the operation would have made of it: then there is nothing to resolve.
fn effect_stands(op: &Operation, arrival: &Arrival<'_>) -> bool {
    match (op.kind, arrival.body) {
        (Kind::Delete, None) => true,
        (Kind::Delete, Some(_)) | (_, None) => false,
        (_, Some(remote)) => op
            .body
            .as_deref()
            .is_some_and(|ours| conflict::same_content(ours, remote)),
    }
}
