//! Takes over the data of another user of this device: what a visitor made, by the account that the
//! visitor then makes.
//!
//! Two plans: the first reads the other user's log, the second writes everything into the account's
//! log, in one commit that also notes from which log and head it came. So a crash before the other
//! log is wiped adopts nothing twice and loses nothing: the note says what is left to do.
//!
//! A space that the server has stays as it is, with its rows and members: only pending operations
//! go along, as they are. The account may be a member as well, or gets dead letters.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::log::commit::{Commit, Event, SegmentWrite};
use crate::log::facts::{AdoptedFrom, DeadLetter, Facts};
use crate::model::entity::{Key, times};
use crate::model::error::Result;
use crate::model::operation::{Operation, OperationKind, join_links};
use crate::model::table::Table;
use crate::plan::context::PlanContext;
use crate::plan::membership::awaits_creation;
use crate::plan::salvage::Salvage;
use crate::plan::trace::{Described, describe, handed_over};
use crate::plan::{Plan, Planned, Planner};
use crate::state::local_only;
use crate::state::replica::Replica;
use crate::state::view::ViewBody;
use crate::util::collections::seq_map::SeqMap;
use crate::util::collections::sort::sort;
use crate::util::json::write::{put, put_text};
use crate::util::time::format;

/// What another user has: live entities as operations that create them, pending operations in spaces
/// of the server, and what only this device knows.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The log and head that it was read from.
    pub source: AdoptedFrom,
    operations: Vec<Operation>,
    local_only: Vec<SegmentWrite>,
    dead_letters: Vec<DeadLetter>,
}

/// Reads an account, and writes nothing.
#[derive(Debug)]
pub struct AccountReader {
    pub context: PlanContext,
}

impl Planner for AccountReader {
    type Output = Account;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Account>>> {
        let mut missing = SeqMap::default();
        let mut account = Account {
            source: AdoptedFrom {
                user_id: replica.user_id().to_owned(),
                head: replica.content_head(),
            },
            dead_letters: replica.dead_letters().values().cloned().collect(),
            ..Account::default()
        };
        let (mut operations, mut order) = (Vec::new(), Vec::new());
        for entity in types_of(replica) {
            let mut local = Vec::new();
            for id in replica.ids(entity, None) {
                let key = Key::new(entity, id);
                if stays(replica, &key) {
                    let pending = replica.outbox().chain(&key).map(|queued| &queued.op);
                    for op in pending.filter(|op| op.entity == entity) {
                        order.push((Some(format(op.queued_at)), operations.len()));
                        operations.push(Some(op.clone()));
                    }
                } else {
                    // A kept rejection is a dead letter, which is taken along as such.
                    let view = replica.synced_view(&key).filter(|view| !view.deleted);
                    let Some(body) = view.and_then(|view| text_of(view.body, &mut missing)) else {
                        continue;
                    };
                    order.push((times(&body).created_at, operations.len()));
                    operations.push(Some(self.create(replica, &key, body)));
                }
                let fields = replica.local_only_fields(&key);
                if let Some(fields) = fields.and_then(|fields| text_of(Some(fields), &mut missing))
                {
                    local.push((id, fields));
                }
            }
            if !local.is_empty() {
                let fields = local.iter().map(|(id, fields)| (*id, Some(&**fields)));
                account.local_only.push(local_only::written(entity, fields));
            }
        }
        if !missing.is_empty() {
            return Ok(Plan::Needs(missing.keys()));
        }
        // In the order in which they were made, so that parents come before their children.
        sort(&mut order);
        for (index, (_, place)) in order.into_iter().enumerate() {
            if let Some(mut op) = operations.get_mut(place).and_then(Option::take) {
                op.op_id = self.context.op_id(index);
                account.operations.push(op);
            }
        }
        Ok(Plan::Ready(Planned::nothing(account)))
    }

    fn describe(&self) -> Option<Described> {
        let context = |out: &mut String| describe::put_context(out, &self.context);
        Some(describe::described("account", context))
    }
}

impl Account {
    /// Returns the account that has this data.
    #[must_use]
    pub(in crate::plan) fn of(source: AdoptedFrom, data: Commit) -> Self {
        let mut account = Self {
            source,
            local_only: data.segments,
            ..Self::default()
        };
        for event in data.events {
            match event {
                Event::Queue { op, .. } => account.operations.push(op),
                Event::DeadLetters { dead_letters } => account.dead_letters.extend(dead_letters),
                _ => {}
            }
        }
        account
    }

    fn data(&self) -> Commit {
        Commit {
            segments: self.local_only.clone(),
            events: handed_over::events(&self.operations, &self.dead_letters),
        }
    }
}

impl AccountReader {
    /// Returns the operation that creates an entity in another account, with the links of its
    /// pending operations.
    fn create(&self, replica: &Replica, key: &Key<'_>, body: Rc<str>) -> Operation {
        let mut op = Operation::new(
            String::new(),
            *key,
            OperationKind::Create,
            Some(body),
            self.context.now,
        );
        for pending in replica.outbox().chain(key) {
            op.queued_at = pending.op.queued_at;
            join_links(&mut op.links, &pending.op.links);
        }
        op
    }
}

/// Returns true if the server has the row in a shared space, also one that waits to be moved from
/// there.
fn stays(replica: &Replica, key: &Key<'_>) -> bool {
    let mut chain = replica.outbox().chain(key);
    let came = chain.rfind(|queued| queued.op.to.as_deref() == Some(key.entity));
    let table = came.map_or(key.entity, |queued| &queued.op.entity);
    Table(table)
        .space()
        .is_some_and(|space| !awaits_creation(replica, space))
}

/// Returns a body's text; `None` if there is none, or if it must be fetched first, which is noted.
fn text_of(body: Option<ViewBody<'_>>, missing: &mut SeqMap<()>) -> Option<Rc<str>> {
    match body? {
        ViewBody::Text(text) => Some(Rc::from(text)),
        ViewBody::Absent { segment, .. } => {
            missing.insert(segment, ());
            None
        }
    }
}

fn types_of(replica: &Replica) -> Vec<&str> {
    let mut types: Vec<&str> = replica.entities().keys().collect();
    types.extend(replica.outbox().entities());
    sort(&mut types);
    types.dedup();
    types
}

/// What an account has adopted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adoption {
    /// Entities that it did not have.
    pub added: u64,
    /// Entities that it has as well, with other content: the resolvers decide about them.
    pub merged: u64,
}

/// Writes an account's data into another one, and notes where it came from.
#[derive(Debug)]
pub struct Adopter<'a> {
    pub account: &'a Account,
    pub context: PlanContext,
}

impl Planner for Adopter<'_> {
    type Output = Adoption;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Adoption>>> {
        let mut missing = SeqMap::default();
        let (mut adoption, mut operations) = (Adoption::default(), Vec::new());
        for op in &self.account.operations {
            if op.kind != OperationKind::Create {
                operations.push(op.clone());
                continue;
            }
            let here = replica
                .view(&Key::new(&op.entity, &op.id))
                .filter(|view| !view.deleted);
            match here.map(|view| text_of(view.body, &mut missing)) {
                None => adoption.added = adoption.added.saturating_add(1),
                // The same already, or not read yet.
                Some(None) => continue,
                Some(Some(here))
                    if op
                        .body
                        .as_deref()
                        .is_some_and(|body| same_content(&here, body)) =>
                {
                    continue;
                }
                Some(Some(_)) => adoption.merged = adoption.merged.saturating_add(1),
            }
            operations.push(op.clone());
        }
        if !missing.is_empty() {
            return Ok(Plan::Needs(missing.keys()));
        }
        let mut commit = Commit::default();
        let mut local_only = self.account.local_only.clone();
        for segment in &mut local_only {
            let table = segment.entity.strip_prefix(local_only::PREFIX);
            let table = table.unwrap_or_default();
            // What this account has itself stays. A row that the server has is perhaps none of its.
            segment.entries.retain(|entry| {
                let key = Key::new(table, &entry.id);
                let is_here = || {
                    replica.row(&key).is_some()
                        || (operations.iter()).any(|op| op.entity == table && op.id == entry.id)
                };
                replica.local_only_fields(&key).is_none()
                    && (Table(table).space().is_none() || is_here())
            });
        }
        commit.segments = local_only;
        Salvage::of(operations).queue_operations(&mut commit, replica, &self.context);
        let mut dead_letters = self.account.dead_letters.clone();
        dead_letters.retain(|letter| !replica.dead_letters().contains(&letter.op.op_id));
        if !dead_letters.is_empty() {
            commit.events.push(Event::DeadLetters { dead_letters });
        }
        commit
            .events
            .push(note(replica, Some(self.account.source.clone())));
        Ok(Plan::Ready(Planned::new(commit, adoption)))
    }

    fn describe(&self) -> Option<Described> {
        let source = &self.account.source;
        let described = describe::described("adoption", |out| {
            describe::put_context(out, &self.context);
            put_text(out, "userId", &source.user_id);
            put(out, "from", &source.head);
        });
        Some(Described {
            data: Some(handed_over::encoded(&self.account.data())),
            ..described
        })
    }
}

/// Returns the event that notes what is being adopted, or that nothing is any more.
#[must_use]
pub fn note(replica: &Replica, adopted: Option<AdoptedFrom>) -> Event {
    Event::Facts {
        facts: Box::new(Facts {
            adopted,
            ..replica.facts().clone()
        }),
    }
}
