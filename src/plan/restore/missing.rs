//! What a restored server did not send: offered again at the end of the full pull.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::log::address::Seq;
use crate::log::commit::Event;
use crate::log::receipt::Receipt;
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind, UNKNOWN};
use crate::model::protocol::PullPage;
use crate::model::space::Joined;
use crate::model::table::{Table, concerns, tables};
use crate::plan::row_planner::{RemoteRow, RowPlanner};
use crate::state::outbox::Queued;

/// Offers again, at the end of a full pull, the entities that the server did not send.
pub(in crate::plan) fn offer_the_missing(
    planner: &mut RowPlanner<'_>,
    page: &PullPage<'_>,
    entities: Option<&[String]>,
    before: Seq,
    list: &[Joined],
) {
    let replica = planner.replica;
    if replica.receipts().restored().is_none() {
        return;
    }
    let is_listed = |space: &str| list.iter().any(|joined| joined.space == space);
    let concerned =
        |table: &str| concerns(entities, table) && Table(table).space().is_none_or(is_listed);
    let was_sent = |entity: &str, id: &str| {
        page.changes
            .iter()
            .any(|change| change.is_of(entity) && change.id == id)
    };
    for (entity, id, receipt) in replica.receipts().suspects() {
        if concerned(entity) && !was_sent(entity, id) {
            offer_missing(planner, &Key::new(entity, id), receipt, page);
        }
    }
    // An operation on a row that the server lacks has no base; by the time it is sent, its base
    // version may belong to another row.
    for queued in replica
        .outbox()
        .iter()
        .filter(|queued| queued.op.base_version.is_some() && queued.blocked_by.is_none())
    {
        let (op, key) = (&queued.op, Key::new(&queued.op.entity, &queued.op.id));
        let first = replica.outbox().chain(&key).next();
        let is_first = first.is_some_and(|first| first.op.op_id == op.op_id);
        let unseen = is_first
            && planner.is_open(queued)
            && !was_sent(&op.entity, &op.id)
            && replica.row(&key).is_none_or(|row| row.stamp <= before);
        if concerned(&op.entity)
            && unseen
            && (op.body.is_none() || replica.receipts().suspect(&key).is_none())
        {
            if let (OperationKind::Move, Some(to)) = (op.kind, &op.to) {
                // There is nothing to move: it is made where it was to go.
                let there = Operation {
                    entity: to.clone(),
                    kind: OperationKind::Create,
                    base_version: None,
                    to: None,
                    op_id: planner.op_id(),
                    ..op.clone()
                };
                planner.commit.queue(there, vec![op.op_id.clone()]);
                continue;
            }
            planner.push_event(Event::Rebase {
                op_id: op.op_id.clone(),
                version: None,
            });
        }
    }
}

/// Offers one entity that the server did not send, with its pending operations.
fn offer_missing(
    planner: &mut RowPlanner<'_>,
    key: &Key<'_>,
    receipt: &Receipt,
    page: &PullPage<'_>,
) {
    let outbox = planner.replica.outbox();
    let first = outbox.chain(key).next();
    if outbox.chain(key).any(|queued| queued.blocked_by.is_some())
        || first.is_some_and(|first| first.op.entity != key.entity)
    {
        // It waits for a decision; or another row waits to come here.
        return;
    }
    let mut queued = first.map(|first| outbox.onward(first)).unwrap_or_default();
    queued.retain(|one| planner.is_open(one));
    let chain: Vec<&Operation> = queued.iter().map(|queued| &queued.op).collect();
    let Some(held) = planner.held(key) else {
        return;
    };
    if !receipt.whole
        && (held.is_some() || chain.is_empty())
        && offer_move(planner, key, page, held.as_deref(), &queued)
    {
        return;
    }
    // There is nothing to move: it is made where it was to go.
    let place = chain.last().map_or(key.entity, |last| {
        last.to.as_deref().unwrap_or(&last.entity)
    });
    let row = RemoteRow {
        entity: place,
        id: key.id,
        version: 0,
        body: None,
        soft: false,
        confirmed_absent: false,
    };
    let offer;
    let (last, body) = match chain.last() {
        Some(last) => (*last, last.body.clone()),
        None => {
            offer = planner.offer(&row, receipt, held.clone());
            (&offer, held)
        }
    };
    if body.is_some() {
        planner.offer_again(last, &chain, &row, body);
    } else if chain.iter().any(|op| op.to.is_some()) {
        let ops = chain.iter().map(|op| op.op_id.clone()).collect();
        planner.push_event(Event::Dequeue { ops });
    }
}

/// Offers a forgotten move again, before the other pending operations of the row: it lives where it
/// came from. Its content is never offered without that, or there would be two.
fn offer_move(
    planner: &mut RowPlanner<'_>,
    key: &Key<'_>,
    page: &PullPage<'_>,
    held: Option<&str>,
    waiting: &[&Queued],
) -> bool {
    let (replica, table) = (planner.replica, Table(key.entity));
    let found = page.changes.iter().find(|change| {
        change.id == key.id && change.entity == table.entity() && !change.is_of(key.entity)
    });
    let told = found.map(|change| {
        let name = Table::name(&change.entity, change.space.as_deref());
        (
            name.into_owned(),
            change.version,
            change.data.filter(|_| !change.deleted),
        )
    });
    let (from, version, body) = match told {
        Some((from, version, Some(body))) => (from, version, Some(Rc::from(body))),
        Some(_) => return false,
        None => {
            let all = tables(replica.entities(), table.entity());
            let mut others = all.map(|(name, _)| name).filter(|name| *name != key.entity);
            let row = others.find_map(|name| {
                let row = replica.row(&Key::new(name, key.id))?;
                (!row.deleted && row.version != UNKNOWN).then_some((name, row.version))
            });
            let Some((name, version)) = row else {
                return false;
            };
            let Some(body) = planner.held(&Key::new(name, key.id)) else {
                return true;
            };
            (name.to_owned(), version, body)
        }
    };
    let now = planner.context.now;
    let op = Operation {
        base_version: Some(version),
        to: Some(key.entity.to_owned()),
        ..Operation::new(
            planner.op_id(),
            Key::new(&from, key.id),
            OperationKind::Move,
            body.clone(),
            now,
        )
    };
    planner.count_offer(true);
    let replaced = waiting.iter().map(|one| one.op.op_id.clone());
    planner.commit.queue(op, replaced.collect());
    let same = body.as_deref().zip(held);
    if let (Some(held), false) = (held, same.is_some_and(|(a, b)| same_content(a, b))) {
        let op = Operation {
            base_version: Some(version),
            ..Operation::new(
                planner.op_id(),
                *key,
                OperationKind::Update,
                Some(Rc::from(held)),
                now,
            )
        };
        planner.commit.queue(op, Vec::new());
    }
    for Queued { op, .. } in waiting {
        let mut next = Operation {
            base_version: Some(version),
            op_id: planner.op_id(),
            ..op.clone()
        };
        next.supersedes.push(op.op_id.clone());
        planner.commit.queue(next, Vec::new());
    }
    true
}
