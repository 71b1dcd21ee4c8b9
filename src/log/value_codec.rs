//! The bytes of the values that events carry: operations, conflicts, facts, receipts, cursors.
//!
//! An index in the tables below never changes its meaning, for the reason given in
//! `event_codec`. New values go at the end.

use crate::conflict;
use crate::conflict::explain::Explained;
use crate::log::codec::{Input, Output};
use crate::log::commit::{Damage, KeptSegment};
use crate::log::facts::{AdoptedFrom, CursorState, DeadLetter, Facts, Parked};
use crate::log::receipt::{Receipt, ReceiptOutcome, Restored};
use crate::model::entity::OwnedKey;
use crate::model::operation;
use crate::model::operation::{Link, Operation};
use crate::model::status::SyncState;

const OPERATIONS: [operation::OperationKind; 5] = [
    operation::OperationKind::Create,
    operation::OperationKind::Update,
    operation::OperationKind::Patch,
    operation::OperationKind::Delete,
    operation::OperationKind::Move,
];

const CONFLICTS: [conflict::ConflictKind; 3] = [
    conflict::ConflictKind::BothModified,
    conflict::ConflictKind::DeletedRemotely,
    conflict::ConflictKind::DeletedLocally,
];

const OUTCOMES: [ReceiptOutcome; 3] = [
    ReceiptOutcome::Applied,
    ReceiptOutcome::Merged,
    ReceiptOutcome::Rejected,
];

const STATES: [SyncState; 4] = [
    SyncState::Idle,
    SyncState::Completed,
    SyncState::Cancelled,
    SyncState::Failed,
];

pub(super) fn put_operation(out: &mut Output, op: &Operation) {
    out.text(&op.op_id);
    out.text(&op.entity);
    out.text(&op.id);
    out.byte(index_of(&OPERATIONS, &op.kind));
    if op.kind == operation::OperationKind::Move {
        out.text(op.to.as_deref().unwrap_or_default());
    }
    out.maybe_number(op.base_version);
    out.maybe_text(op.body.as_deref());
    out.texts(&op.fields);
    out.number(op.queued_at);
    out.number(u64::from(op.attempts));
    out.flag(op.soft);
    out.texts(&op.supersedes);
    put_field_hashes(out, &op.earlier);
    out.number(op.links.len() as u64);
    for link in &op.links {
        out.text(&link.key.entity);
        out.text(&link.key.id);
        out.flag(link.asked);
    }
}

pub(super) fn put_field_hashes(out: &mut Output, field_hashes: &[u64]) {
    out.number(field_hashes.len() as u64);
    for hash in field_hashes {
        out.number(*hash);
    }
}

pub(super) fn get_operation(input: &mut Input<'_>) -> Option<Operation> {
    let (op_id, entity, id) = (input.text()?, input.text()?, input.text()?);
    let kind = *OPERATIONS.get(usize::from(input.byte()?))?;
    Some(Operation {
        op_id,
        entity,
        id,
        kind,
        to: match kind {
            operation::OperationKind::Move => Some(input.text()?),
            _ => None,
        },
        base_version: input.maybe_number()?,
        body: input.maybe_shared()?,
        fields: input.texts()?,
        queued_at: input.number()?,
        attempts: input.small()?,
        soft: input.flag()?,
        supersedes: input.texts()?,
        earlier: get_field_hashes(input)?,
        links: get_links(input)?,
    })
}

fn get_links(input: &mut Input<'_>) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    for _ in 0..input.number()? {
        links.push(Link {
            key: OwnedKey {
                entity: input.text()?,
                id: input.text()?,
            },
            asked: input.flag()?,
        });
    }
    Some(links)
}

pub(super) fn get_field_hashes(input: &mut Input<'_>) -> Option<Vec<u64>> {
    let count = input.number()?;
    let mut field_hashes = Vec::new();
    for _ in 0..count {
        field_hashes.push(input.number()?);
    }
    Some(field_hashes)
}

pub(super) fn put_cursor(out: &mut Output, state: &CursorState) {
    out.maybe_text(state.cursor.as_deref());
    out.maybe_number(state.full_since);
    out.flag(state.reached_end);
    out.maybe_texts(state.entities.as_deref());
}

pub(super) fn get_cursor(input: &mut Input<'_>) -> Option<CursorState> {
    Some(CursorState {
        cursor: input.maybe_text()?,
        full_since: input.maybe_number()?,
        reached_end: input.flag()?,
        entities: input.maybe_texts()?,
    })
}

pub(super) fn put_conflict(out: &mut Output, conflict: &Parked) {
    out.text(&conflict.id);
    out.text(&conflict.entity);
    out.text(&conflict.entity_id);
    out.byte(index_of(&CONFLICTS, &conflict.kind));
    out.maybe_text(conflict.base.as_deref());
    out.number(conflict.base_version);
    out.flag(conflict.assumed);
    out.texts(&conflict.fields);
    out.number(conflict.detected_at);
    out.number(u64::from(conflict.failed));
}

pub(super) fn get_conflict(input: &mut Input<'_>) -> Option<Parked> {
    Some(Parked {
        id: input.text()?,
        entity: input.text()?,
        entity_id: input.text()?,
        kind: *CONFLICTS.get(usize::from(input.byte()?))?,
        base: input.maybe_shared()?,
        base_version: input.number()?,
        assumed: input.flag()?,
        fields: input.texts()?,
        detected_at: input.number()?,
        failed: input.small()?,
    })
}

pub(super) fn put_letter(out: &mut Output, letter: &DeadLetter) {
    put_operation(out, &letter.op);
    out.text(&letter.code);
    out.text(&letter.message);
    out.number(letter.died_at);
    out.maybe_text(letter.base.as_deref());
    out.byte(u8::from(letter.kept) | u8::from(letter.maybe) << 1);
    out.maybe_text(letter.blocked_by.as_deref());
}

pub(super) fn get_dead_letters(input: &mut Input<'_>) -> Option<Vec<DeadLetter>> {
    let mut dead_letters = Vec::new();
    for _ in 0..input.number()? {
        let (op, code) = (get_operation(input)?, input.text()?);
        let (message, died_at) = (input.text()?, input.number()?);
        let (base, flags) = (input.maybe_shared()?, input.byte()?);
        dead_letters.push(DeadLetter {
            op,
            code,
            message,
            died_at,
            base,
            kept: flags & 1 > 0,
            blocked_by: input.maybe_text()?,
            maybe: flags & 2 > 0,
        });
    }
    Some(dead_letters)
}

pub(super) fn put_facts(out: &mut Output, facts: &Facts) {
    out.maybe_number(facts.last_sync);
    out.maybe_number(facts.last_success);
    out.maybe_number(facts.duration);
    out.maybe_text(facts.error.as_deref());
    out.number(facts.failures);
    out.maybe_text(facts.epoch.as_deref());
    out.number(facts.clock_offset.cast_unsigned());
    out.number(facts.bytes_pushed);
    out.number(facts.bytes_pulled);
    out.maybe_number(facts.reported.map(|(at, _)| at));
    out.number(facts.reported.map_or(0, |(_, what)| what));
    out.maybe_text(facts.custom.as_deref());
    out.byte(index_of(&STATES, &facts.last_state));
    out.maybe_text(facts.last_result.as_deref());
    let adopted = facts.adopted.as_ref();
    out.maybe_text(adopted.map(|adopted| &*adopted.user_id));
    out.number(adopted.map_or(0, |adopted| adopted.head));
}

pub(super) fn get_facts(input: &mut Input<'_>) -> Option<Facts> {
    Some(Facts {
        last_sync: input.maybe_number()?,
        last_success: input.maybe_number()?,
        duration: input.maybe_number()?,
        error: input.maybe_shared()?,
        failures: input.number()?,
        epoch: input.maybe_text()?,
        clock_offset: input.number()?.cast_signed(),
        bytes_pushed: input.number()?,
        bytes_pulled: input.number()?,
        reported: {
            let (at, what) = (input.maybe_number()?, input.number()?);
            at.map(|at| (at, what))
        },
        custom: input.maybe_shared()?,
        last_state: *STATES.get(usize::from(input.byte()?))?,
        last_result: input.maybe_shared()?,
        adopted: {
            let (user_id, head) = (input.maybe_text()?, input.number()?);
            user_id.map(|user_id| AdoptedFrom { user_id, head })
        },
    })
}

pub(super) fn put_receipt(out: &mut Output, receipt: &Receipt) {
    out.byte(index_of(&OUTCOMES, &receipt.outcome));
    out.number(receipt.at);
    out.number(receipt.version);
    for flag in [
        receipt.deleted,
        receipt.whole,
        receipt.suspect,
        receipt.merging,
    ] {
        out.flag(flag);
    }
    put_field_hashes(out, &receipt.field_hashes);
}

pub(super) fn get_receipt(input: &mut Input<'_>) -> Option<Receipt> {
    Some(Receipt {
        outcome: *OUTCOMES.get(usize::from(input.byte()?))?,
        at: input.number()?,
        version: input.number()?,
        deleted: input.flag()?,
        whole: input.flag()?,
        suspect: input.flag()?,
        merging: input.flag()?,
        field_hashes: get_field_hashes(input)?.into(),
    })
}

pub(super) fn put_restored(out: &mut Output, restored: Option<Restored>) {
    out.maybe_number(restored.map(|restored| restored.since));
    out.maybe_number(restored.and_then(|restored| restored.kept));
}

pub(super) fn get_restored(input: &mut Input<'_>) -> Option<Option<Restored>> {
    let (since, kept) = (input.maybe_number()?, input.maybe_number()?);
    Some(since.map(|since| Restored { kept, since }))
}

pub(super) fn put_kept(out: &mut Output, segment: &KeptSegment) {
    out.number(segment.id);
    out.number(u64::from(segment.len));
    out.number(segment.hash);
}

pub(super) fn get_kept(input: &mut Input<'_>) -> Option<Vec<KeptSegment>> {
    let mut kept = Vec::new();
    for _ in 0..input.number()? {
        kept.push(KeptSegment {
            id: input.number()?,
            len: input.small()?,
            hash: input.number()?,
        });
    }
    Some(kept)
}

pub(super) fn put_damage(out: &mut Output, damage: Damage) {
    out.number(damage.quarantined);
    out.flag(damage.needs_full_pull);
}

pub(super) fn get_damage(input: &mut Input<'_>) -> Option<Damage> {
    Some(Damage {
        quarantined: input.number()?,
        needs_full_pull: input.flag()?,
    })
}

pub(super) fn put_explained(out: &mut Output, what: &Explained) {
    out.text(&what.entity);
    out.text(&what.id);
    out.text(&what.text);
}

pub(super) fn get_explained(input: &mut Input<'_>) -> Option<Explained> {
    Some(Explained {
        entity: input.text()?,
        id: input.text()?,
        text: input.text()?.into(),
    })
}

/// Returns the index of a value in its table. A value without one, such as the state of a running
/// cycle, is written as the first.
fn index_of<T: PartialEq>(table: &[T], value: &T) -> u8 {
    table
        .iter()
        .position(|other| other == value)
        .map_or(0, |index| index as u8)
}
