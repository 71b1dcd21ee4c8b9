//! Takes the pending operations of a moved row to the space where the row lives now.

use std::rc::Rc;

use crate::conflict::same_content;
use crate::log::commit::Event;
use crate::model::entity::Key;
use crate::model::operation::{Operation, OperationKind};
use crate::plan::row_planner::{RemoteRow, RowPlanner};
use crate::state::outbox::Queued;

/// What is known of the operations over a moved row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// One may have been sent. Then all stay: sent again, it is answered as applied before, or as
    /// a conflict with the row where it lives.
    Maybe,
    /// The first was sent and not applied. All get new ids: the server may remember the old ones.
    Refused,
}

/// What became of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HandedOver {
    /// They stay where they are, or there are none.
    Not,
    /// They go on at the row where it lives.
    Yes,
    /// So do they, and the row there is planned.
    WithRow,
}

/// Plans operations over `key` as such of the row `there`. A body that must be fetched first is
/// noted.
pub(super) fn hand_over(
    planner: &mut RowPlanner<'_>,
    key: &Key<'_>,
    there: &RemoteRow<'_>,
    delivery: Delivery,
) -> HandedOver {
    let outbox = planner.replica.outbox();
    let Some(first) = outbox.chain(key).next() else {
        return HandedOver::Not;
    };
    let mut queued: Vec<&Queued> = outbox.onward(first);
    queued.retain(|one| planner.is_open(one));
    let is_own = |one: &Queued| {
        !planner.is_open(one) || queued.iter().any(|own| own.op.op_id == one.op.op_id)
    };
    if first.op.entity != key.entity
        || !planner.is_open(first)
        || queued.iter().any(|one| one.blocked_by.is_some())
        || (delivery == Delivery::Maybe && queued.iter().any(|one| one.may_be_sent()))
        || !outbox.chain(&there.key()).all(is_own)
    {
        return HandedOver::Not;
    }
    let base: Option<Rc<str>> = match planner.replica.base_of_op(&first.op) {
        Ok(base) => base.map(Rc::from),
        Err(segment) => {
            planner.missing.insert(segment, ());
            return HandedOver::Not;
        }
    };
    let mut chain: Vec<Operation> = Vec::new();
    for Queued { op, .. } in &queued {
        if op.to.as_deref() == Some(there.entity) {
            // It is where it was to go.
            planner.push_event(Event::Dequeue {
                ops: vec![op.op_id.clone()],
            });
            continue;
        }
        let mut next = op.clone();
        if op.entity == key.entity {
            there.entity.clone_into(&mut next.entity);
        }
        next.base_version = Some(there.version);
        if op.kind == OperationKind::Create {
            next.kind = OperationKind::Update;
        }
        // What was sent, and put off, is known by its id in the other space.
        if delivery == Delivery::Refused || op.attempts > 0 {
            next.op_id = planner.op_id();
        }
        planner.commit.queue(next.clone(), vec![op.op_id.clone()]);
        chain.push(next);
    }
    let edits: Vec<&Operation> = chain.iter().filter(|op| op.to.is_none()).collect();
    let same = |base: &str| there.body.is_some_and(|body| same_content(base, body));
    if edits.is_empty() || base.as_deref().is_some_and(same) {
        move_on(planner, usize::MAX, &chain, there);
        return HandedOver::Yes;
    }
    let before = planner.commit.events.len();
    planner.meet_elsewhere(there, &edits, base.as_deref());
    move_on(planner, before, &chain, there);
    HandedOver::WithRow
}

/// Lets the pending moves of `chain` go on from the row that it has met: the first with its base,
/// each with the body that goes with it. What became of the edits is in the events from `before`
/// on. An operation that stands for them is one of the table of the first.
pub(super) fn move_on(
    planner: &mut RowPlanner<'_>,
    before: usize,
    chain: &[Operation],
    row: &RemoteRow<'_>,
) {
    let met: Option<Rc<str>> = row.body.map(Rc::from);
    let edit = chain.iter().position(|op| op.to.is_none());
    let mut edited = (chain.iter().rfind(|op| op.to.is_none())).and_then(|op| op.body.clone());
    for event in planner.commit.events.iter_mut().skip(before) {
        match event {
            Event::Queue { op, .. } => {
                edited.clone_from(&op.body);
                if let Some(first) = edit.and_then(|at| chain.get(at)) {
                    op.entity.clone_from(&first.entity);
                }
            }
            Event::Dequeue { .. } => edited.clone_from(&met),
            _ => {}
        }
    }
    let mut base = Some(row.version);
    for (at, moving) in chain.iter().enumerate() {
        if moving.to.is_none() {
            continue;
        }
        let body = match edit {
            Some(edit) if edit < at => &edited,
            _ => &met,
        };
        let op = Operation {
            base_version: base.take().or(moving.base_version),
            body: body.clone().or_else(|| moving.body.clone()),
            ..moving.clone()
        };
        planner.commit.queue(op, Vec::new());
    }
}
