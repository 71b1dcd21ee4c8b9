//! Spaces that a restored server has forgotten. The device that made one creates it again, with what
//! it wrote there; on others, what the server had acknowledged becomes letters.

use std::rc::Rc;

use crate::log::commit::Event;
use crate::log::facts::DeadLetter;
use crate::model::entity::Key;
use crate::model::operation::{Link, Operation, OperationKind};
use crate::model::space::{MEMBER, SPACE};
use crate::model::table::Table;
use crate::plan::membership::{IS_FORGOTTEN, NOT_MEMBER, is_end, is_given_up};
use crate::plan::row_planner::{RowPlanner, all_links};
use crate::state::replica::Replica;

/// Returns true if this device made the space, and the restored server may have forgotten that.
pub(super) fn is_own(replica: &Replica, space: &str) -> bool {
    let table = Table::name(SPACE, Some(space));
    let key = Key::new(&table, space);
    let made = replica.receipts().suspect(&key);
    made.is_some_and(|receipt| receipt.whole && !receipt.deleted)
        && replica.row(&key).is_some_and(|row| !row.deleted)
        && !is_given_up(replica, space)
}

/// Offers a space of this device again: its creation, and behind that this device's own rows and
/// pending operations, but for what is buried with the spaces that are `left`. Other devices offer
/// theirs.
pub(super) fn offer_space(planner: &mut RowPlanner<'_>, space: &str, left: &[String]) {
    let replica = planner.replica;
    let is_buried = |op: &Operation| {
        let is_left = |space: &str| left.iter().any(|gone| gone == space);
        (op.tables()).any(|table| Table(table).space().is_some_and(is_left))
    };
    let of_space = |table: &&str| Table(table).space() == Some(space);
    let mut keys: Vec<(String, String)> = Vec::new();
    let mut add = |table: &str, id: &str| {
        let key = (table.to_owned(), id.to_owned());
        if !keys.contains(&key) {
            keys.push(key);
        }
    };
    let making = Table::name(SPACE, Some(space)).into_owned();
    add(&making, space);
    for (table, id, receipt) in replica.receipts().suspects() {
        // The server makes its maker a member.
        let maker = Table(table).entity() == MEMBER
            && id.strip_prefix(space).and_then(|id| id.strip_prefix('/'))
                == Some(replica.user_id());
        if of_space(&table) && !receipt.deleted && !maker {
            add(table, id);
        }
    }
    for queued in replica.outbox().iter() {
        if of_space(&&*queued.op.entity) {
            add(&queued.op.entity, &queued.op.id);
        }
    }
    let creation = Link {
        key: Key::new(&making, space).to_owned(),
        asked: false,
    };
    for queued in replica.outbox().iter() {
        let mut op = queued.op.clone();
        if op.to.as_deref().is_some_and(|to| of_space(&to))
            && !of_space(&&*op.entity)
            && !is_buried(&op)
        {
            op.links.push(creation.clone());
            planner.commit.queue(op, Vec::new());
        }
    }
    for (table, id) in &keys {
        let key = Key::new(table, id);
        let Some(held) = planner.held(&key) else {
            continue;
        };
        let first = replica.outbox().chain(&key).next();
        if first.is_some_and(|first| first.op.entity != *table) {
            // It waits to come here, as it is.
            continue;
        }
        let chain: Vec<&Operation> = first
            .map(|first| replica.outbox().onward(first))
            .unwrap_or_default()
            .into_iter()
            .map(|queued| &queued.op)
            .take_while(|op| !is_buried(op))
            .collect();
        let replaced: Vec<String> = chain.iter().map(|op| op.op_id.clone()).collect();
        // There is nothing to move: it is made where it was to go.
        let place = chain
            .last()
            .map_or(table, |last| last.to.as_ref().unwrap_or(&last.entity));
        let body = match chain.last() {
            Some(last) => last.body.clone(),
            None => held,
        };
        let Some(body) = body else {
            planner.push_event(Event::Dequeue { ops: replaced });
            continue;
        };
        let mut links = all_links(&chain);
        if *table != making && of_space(&&**place) {
            links.push(creation.clone());
        }
        let now = planner.context.now;
        let key = Key::new(place, id);
        let op = Operation {
            links,
            ..Operation::new(planner.op_id(), key, OperationKind::Create, Some(body), now)
        };
        planner.count_offer(chain.is_empty());
        planner.commit.queue(op, replaced);
    }
}

/// Returns letters of what was acknowledged in a space that is gone with it. None if the user was
/// ending it.
pub(super) fn letters(planner: &mut RowPlanner<'_>, space: &str) -> Vec<DeadLetter> {
    let replica = planner.replica;
    let mut letters = Vec::new();
    if is_end(replica, &Key::new(&Table::name(SPACE, Some(space)), space)) {
        return letters;
    }
    for (table, id, receipt) in replica.receipts().suspects() {
        let key = Key::new(table, id);
        if Table(table).space() != Some(space)
            || receipt.deleted
            || replica.outbox().last(&key).is_some()
        {
            continue;
        }
        let Some(Some(body)) = planner.held(&key) else {
            continue;
        };
        let (op_id, now) = (planner.op_id(), planner.context.now);
        let kind = match receipt.whole {
            true => OperationKind::Create,
            false => OperationKind::Update,
        };
        letters.push(DeadLetter {
            op: Operation::new(op_id, key, kind, Some(Rc::clone(&body)), receipt.at),
            code: NOT_MEMBER.to_owned(),
            message: IS_FORGOTTEN.to_owned(),
            died_at: now,
            base: None,
            kept: false,
            blocked_by: None,
            maybe: false,
        });
    }
    letters
}
