//! Moves an entity to another space.

use std::rc::Rc;

use crate::log::commit::Event;
use crate::model::entity::{Key, not_found};
use crate::model::error::{Code, Error, Result};
use crate::model::operation::{Operation, OperationKind, join_links};
use crate::model::space::{SPACE, is_reserved};
use crate::model::table::Table;
use crate::plan::write::{Attempt, Current, Written};
use crate::state::outbox::SentState;

/// Takes an entity to another space.
pub(super) fn move_to(
    attempt: &mut Attempt<'_, '_>,
    key: &Key<'_>,
    to: Option<&str>,
) -> Result<Written> {
    let current = attempt.current(key);
    if !current.exists {
        return Err(not_found(key));
    }
    let table = Table::name(Table(key.entity).entity(), to);
    let there = Key::new(&table, key.id);
    let Some(body) = current.body.clone() else {
        return Ok(Written::Absent);
    };
    let device = current.device.clone();
    if *table != *key.entity {
        attempt.places().check(key, OperationKind::Move)?;
        attempt.places().check(&there, OperationKind::Move)?;
        if is_reserved(Table(key.entity).entity()) {
            return Err(
                Error::new(Code::InvalidArgument, "Spaces and members cannot be moved.")
                    .on(key.entity, Some(key.id)),
            );
        }
        if attempt.current(&there).exists {
            return Err(Error::new(
                Code::AlreadyExists,
                "The other space has an entity with this id already.",
            )
            .on(key.entity, Some(key.id)));
        }
        enqueue_move(attempt, key, &there, Rc::clone(&body), &current);
        if device.is_some() {
            let overlay = attempt.overlays.entry(there.entity);
            overlay.device.set(key.id, device.clone());
        }
    }
    let entity = attempt.seen(&there, &body, device.as_deref(), current.version);
    Ok(Written::Entity(entity))
}

/// Queues a move. A creation that cannot have been sent is made in the other space instead, and
/// a move that cannot have been sent goes there at once.
fn enqueue_move(
    attempt: &mut Attempt<'_, '_>,
    key: &Key,
    there: &Key,
    body: Rc<str>,
    current: &Current,
) {
    let in_commit = attempt
        .written(key)
        .and_then(|overlay| overlay.ops.now.get(key.id).copied())
        .flatten();
    let previous = match in_commit.and_then(|place| attempt.queued(place)) {
        Some(op) => Some((op.clone(), true)),
        None => {
            // Another tab that has sent the last operation has sent it to where it was.
            let last = attempt.replica.outbox().chain(key).next_back();
            let exactly = last.is_some_and(|last| last.sent == SentState::Elsewhere);
            attempt.replica.outbox().before(key, exactly)
        }
    };
    let live = attempt.replica.row(key).is_some_and(|row| !row.deleted);
    let op_id = attempt.context.op_id(*attempt.made);
    *attempt.made = attempt.made.saturating_add(1);
    let mut op = Operation {
        base_version: live.then_some(current.version),
        to: Some(there.entity.to_owned()),
        links: attempt.links(there, [Some(&body), None]),
        ..Operation::new(
            op_id,
            *key,
            OperationKind::Move,
            Some(body),
            attempt.context.now,
        )
    };
    let mut replaces = Vec::new();
    // What was refused, and is still shown, goes along: it is tried again where the entity goes.
    let refused = (attempt.replica.kept_rejection(key))
        .filter(|_| previous.is_none() && !attempt.group.ignore_kept_rejection)
        .map(|letter| letter.op.clone());
    if let Some(refused) = &refused {
        attempt.events.events.push(Event::Revive {
            id: refused.op_id.clone(),
        });
        if !live {
            op.kind = OperationKind::Create;
            op.entity = there.entity.to_owned();
            op.to = None;
        }
    }
    match previous {
        Some((first, true))
            if first.kind == OperationKind::Create && first.base_version.is_none() =>
        {
            replaces.push(first.op_id);
            op.kind = OperationKind::Create;
            op.entity = there.entity.to_owned();
            op.to = None;
            op.fields = first.fields;
            join_links(&mut op.links, &first.links);
            let old = Table::name(SPACE, Table(key.entity).space()).into_owned();
            op.links.retain(|link| link.key.entity != old);
        }
        Some((first, true)) if first.kind == OperationKind::Move => {
            replaces.push(first.op_id);
            op.base_version = first.base_version;
            op.entity = first.entity;
            if op.to.as_deref() == Some(&*op.entity) {
                attempt.events.events.push(Event::Dequeue { ops: replaces });
                attempt.overlays.entry(key.entity).ops.set(key.id, None);
                return;
            }
        }
        Some((first, _)) => op.base_version = first.base_version,
        None => {}
    }
    let place = attempt.events.events.len();
    attempt.overlays.entry(key.entity).ops.set(key.id, None);
    attempt
        .overlays
        .entry(there.entity)
        .ops
        .set(key.id, Some(place));
    let body = op.body.clone();
    attempt.events.queue(op, replaces);
    if let Some(refused) = refused.filter(|_| live) {
        let kind = match refused.kind {
            OperationKind::Create => OperationKind::Update,
            kind => kind,
        };
        attempt.enqueue(there, kind, body, refused.fields, false, current);
    }
}
