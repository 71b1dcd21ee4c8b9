//! Planning a pulled page: rows, and for each row with pending operations what becomes of them.

use std::rc::Rc;

use crate::conflict;
use crate::log::address::Seq;
use crate::log::commit::Event;
use crate::log::facts::CursorState;
use crate::model::config::merge_fields::Policies;
use crate::model::entity::Fields;
use crate::model::operation::{Link, Operation, OperationKind, join_links};
use crate::model::protocol::PullPage;
use crate::plan::Plan;
use crate::plan::context::PlanContext;
use crate::plan::planner::{Decisions, Incoming, Planner, RemoteRow};
use crate::state::replica::Replica;

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

impl Replica {
    /// Plans a page against this head.
    #[must_use]
    pub fn plan_page(
        &self,
        page: &PullPage<'_>,
        rules: &PageRules<'_>,
        decisions: &Decisions,
        context: &PlanContext,
    ) -> Plan<Incoming> {
        let mut plan = Planner::new(self, rules.policies, decisions, context);
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
                plan.plan_change(change, rules, full);
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
pub(crate) fn untouched(op: &Operation) -> Option<String> {
    let mut fields = Fields::parse(op.body.as_deref()?).ok()?;
    fields.0.retain(|(name, _)| {
        op.kind == OperationKind::Patch && !op.fields.iter().any(|field| *field == **name)
    });
    (!fields.0.is_empty()).then(|| fields.to_json())
}

/// Marks of everything that this device wrote before the last of these operations.
pub(crate) fn earlier(chain: &[&Operation]) -> Vec<u64> {
    let mut field_hashes = Vec::new();
    for (place, op) in chain.iter().enumerate() {
        field_hashes.extend_from_slice(&op.earlier);
        if let (true, Some(body)) = (place.saturating_add(1) < chain.len(), op.body.as_deref()) {
            field_hashes.extend(conflict::field_hashes(body, &op.fields));
        }
    }
    field_hashes
}

/// Whether a row is what the operation would have made of it: then there is nothing to resolve.
pub(super) fn effect_stands(op: &Operation, arrival: &RemoteRow<'_>) -> bool {
    match (op.kind, arrival.body) {
        (OperationKind::Delete, None) => true,
        (OperationKind::Delete, Some(_)) | (_, None) => false,
        (_, Some(remote)) => op
            .body
            .as_deref()
            .is_some_and(|ours| conflict::same_content(ours, remote)),
    }
}
