//! An event's bytes: its tag, then its fields in the order in which they are declared.
//!
//! A tag, and the place of a word in the tables below, means the same for ever: logs written by an
//! earlier version are read by a later one. What is new goes at the end; what was written and then
//! given up leaves a gap.

use crate::conflict;
use crate::conflict::explain::Explained;
use crate::log::codec::{Input, Output};
use crate::log::commit::{Damage, Event, KeptSegment};
use crate::log::facts::{CursorState, DeadLetter, Facts, Parked};
use crate::log::receipt::{Outcome, Receipt, Restored};
use crate::model::entity::OwnedKey;
use crate::model::operation;
use crate::model::operation::{Link, Operation};
use crate::model::status::SyncState;

const OPERATIONS: [operation::OperationKind; 4] = [
    operation::OperationKind::Create,
    operation::OperationKind::Update,
    operation::OperationKind::Patch,
    operation::OperationKind::Delete,
];

const CONFLICTS: [conflict::ConflictKind; 3] = [
    conflict::ConflictKind::BothModified,
    conflict::ConflictKind::DeletedRemotely,
    conflict::ConflictKind::DeletedLocally,
];

const OUTCOMES: [Outcome; 3] = [Outcome::Applied, Outcome::Merged, Outcome::Rejected];

const STATES: [SyncState; 4] = [
    SyncState::Idle,
    SyncState::Completed,
    SyncState::Cancelled,
    SyncState::Failed,
];

/// Writes an event.
pub(super) fn put(out: &mut Output, event: &Event) {
    match event {
        Event::Queue { op, replaces } => {
            out.byte(0);
            put_operation(out, op);
            out.texts(replaces);
        }
        Event::Dequeue { ops } => {
            out.byte(1);
            out.texts(ops);
        }
        Event::Applied {
            op_id,
            version,
            with_row,
            at,
            field_hashes,
        } => {
            out.byte(2);
            out.text(op_id);
            out.number(*version);
            out.flag(*with_row);
            out.number(*at);
            put_field_hashes(out, field_hashes);
        }
        Event::Rebase { op_id, version } => {
            out.byte(3);
            out.text(op_id);
            out.maybe_number(*version);
        }
        Event::Cursor { scope, state } => {
            out.byte(4);
            out.text(scope);
            out.maybe_text(state.cursor.as_deref());
            out.maybe_number(state.full_since);
            out.flag(state.reached_end);
            out.maybe_texts(state.entities.as_deref());
        }
        Event::ResetCursor { scope } => {
            out.byte(5);
            out.text(scope);
        }
        Event::Sweep { before, entities } => {
            out.byte(6);
            out.number(*before);
            out.maybe_texts(entities.as_deref());
        }
        Event::NeedFullPull => out.byte(7),
        Event::ReleaseDeletes => out.byte(8),
        Event::Park { conflict } => {
            out.byte(9);
            put_conflict(out, conflict);
        }
        Event::Unpark { id } => {
            out.byte(10);
            out.text(id);
        }
        Event::DeadLetters { letters } => {
            out.byte(11);
            out.number(letters.len() as u64);
            for letter in letters {
                put_operation(out, &letter.op);
                out.text(&letter.code);
                out.text(&letter.message);
                out.number(letter.died_at);
                out.maybe_text(letter.base.as_deref());
                out.flag(letter.kept);
                out.maybe_text(letter.blocked_by.as_deref());
            }
        }
        Event::Revive { id } => {
            out.byte(12);
            out.text(id);
        }
        Event::Facts { facts } => {
            out.byte(13);
            put_facts(out, facts);
        }
        Event::Quarantine { body } => {
            out.byte(14);
            out.number(*body);
        }
        Event::Checkpoint { kept, damage } => {
            out.byte(15);
            out.number(kept.len() as u64);
            for segment in kept {
                out.number(segment.id);
                out.number(u64::from(segment.len));
                out.number(segment.hash);
            }
            out.number(damage.quarantined);
            out.flag(damage.needs_full_pull);
        }
        Event::Explained { what } => {
            out.byte(16);
            out.text(&what.entity);
            out.text(&what.id);
            out.text(&what.text);
        }
        Event::Receipt {
            entity,
            id,
            receipt,
        } => {
            out.byte(17);
            out.text(entity);
            out.text(id);
            put_receipt(out, receipt);
        }
        Event::Epoch { epoch, restored } => {
            out.byte(18);
            out.text(epoch);
            out.maybe_number(restored.map(|restored| restored.since));
            out.maybe_number(restored.and_then(|restored| restored.kept));
        }
        Event::Offered { count, done } => {
            out.byte(19);
            out.number(*count);
            out.flag(*done);
        }
    }
}

/// Reads an event; none where the bytes are not what [`put`] writes.
pub(super) fn get(input: &mut Input<'_>) -> Option<Event> {
    Some(match input.byte()? {
        0 => Event::Queue {
            op: get_operation(input)?,
            replaces: input.texts()?,
        },
        1 => Event::Dequeue {
            ops: input.texts()?,
        },
        2 => Event::Applied {
            op_id: input.text()?,
            version: input.number()?,
            with_row: input.flag()?,
            at: input.number()?,
            field_hashes: get_field_hashes(input)?,
        },
        3 => Event::Rebase {
            op_id: input.text()?,
            version: input.maybe_number()?,
        },
        4 => Event::Cursor {
            scope: input.text()?,
            state: get_cursor(input)?,
        },
        5 => Event::ResetCursor {
            scope: input.text()?,
        },
        6 => Event::Sweep {
            before: input.number()?,
            entities: input.maybe_texts()?,
        },
        7 => Event::NeedFullPull,
        8 => Event::ReleaseDeletes,
        9 => Event::Park {
            conflict: get_conflict(input)?,
        },
        10 => Event::Unpark { id: input.text()? },
        11 => Event::DeadLetters {
            letters: get_letters(input)?,
        },
        12 => Event::Revive { id: input.text()? },
        13 => Event::Facts {
            facts: Box::new(get_facts(input)?),
        },
        14 => Event::Quarantine {
            body: input.number()?,
        },
        15 => Event::Checkpoint {
            kept: get_kept(input)?,
            damage: get_damage(input)?,
        },
        16 => Event::Explained {
            what: Explained {
                entity: input.text()?,
                id: input.text()?,
                text: input.text()?.into(),
            },
        },
        17 => Event::Receipt {
            entity: input.text()?,
            id: input.text()?,
            receipt: get_receipt(input)?,
        },
        18 => Event::Epoch {
            epoch: input.text()?,
            restored: get_restored(input)?,
        },
        19 => Event::Offered {
            count: input.number()?,
            done: input.flag()?,
        },
        _ => return None,
    })
}

fn put_operation(out: &mut Output, op: &Operation) {
    out.text(&op.op_id);
    out.text(&op.entity);
    out.text(&op.id);
    out.byte(place(&OPERATIONS, &op.kind));
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

fn put_field_hashes(out: &mut Output, field_hashes: &[u64]) {
    out.number(field_hashes.len() as u64);
    for mark in field_hashes {
        out.number(*mark);
    }
}

fn get_operation(input: &mut Input<'_>) -> Option<Operation> {
    Some(Operation {
        op_id: input.text()?,
        entity: input.text()?,
        id: input.text()?,
        kind: *OPERATIONS.get(usize::from(input.byte()?))?,
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

fn get_field_hashes(input: &mut Input<'_>) -> Option<Vec<u64>> {
    let count = input.number()?;
    let mut field_hashes = Vec::new();
    for _ in 0..count {
        field_hashes.push(input.number()?);
    }
    Some(field_hashes)
}

fn get_cursor(input: &mut Input<'_>) -> Option<CursorState> {
    Some(CursorState {
        cursor: input.maybe_text()?,
        full_since: input.maybe_number()?,
        reached_end: input.flag()?,
        entities: input.maybe_texts()?,
    })
}

fn put_conflict(out: &mut Output, conflict: &Parked) {
    out.text(&conflict.id);
    out.text(&conflict.entity);
    out.text(&conflict.entity_id);
    out.byte(place(&CONFLICTS, &conflict.kind));
    out.maybe_text(conflict.base.as_deref());
    out.number(conflict.base_version);
    out.flag(conflict.assumed);
    out.texts(&conflict.fields);
    out.number(conflict.detected_at);
    out.number(u64::from(conflict.failed));
}

fn get_conflict(input: &mut Input<'_>) -> Option<Parked> {
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

fn get_letters(input: &mut Input<'_>) -> Option<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    for _ in 0..input.number()? {
        let op = get_operation(input)?;
        letters.push(DeadLetter {
            op,
            code: input.text()?,
            message: input.text()?,
            died_at: input.number()?,
            base: input.maybe_shared()?,
            kept: input.flag()?,
            blocked_by: input.maybe_text()?,
        });
    }
    Some(letters)
}

fn put_facts(out: &mut Output, facts: &Facts) {
    out.maybe_number(facts.last_sync);
    out.maybe_number(facts.last_success);
    out.maybe_number(facts.duration);
    out.maybe_text(facts.error.as_deref());
    out.number(facts.failures);
    out.maybe_text(facts.epoch.as_deref());
    out.number(facts.clock_offset.cast_unsigned());
    out.number(facts.bytes_pushed);
    out.number(facts.bytes_pulled);
    out.maybe_number(facts.told.map(|(at, _)| at));
    out.number(facts.told.map_or(0, |(_, what)| what));
    out.maybe_text(facts.custom.as_deref());
    out.byte(place(&STATES, &facts.last_state));
    out.maybe_text(facts.last_result.as_deref());
}

fn get_facts(input: &mut Input<'_>) -> Option<Facts> {
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
        told: {
            let (at, what) = (input.maybe_number()?, input.number()?);
            at.map(|at| (at, what))
        },
        custom: input.maybe_shared()?,
        last_state: *STATES.get(usize::from(input.byte()?))?,
        last_result: input.maybe_shared()?,
    })
}

fn put_receipt(out: &mut Output, receipt: &Receipt) {
    out.byte(place(&OUTCOMES, &receipt.outcome));
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

fn get_receipt(input: &mut Input<'_>) -> Option<Receipt> {
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

fn get_restored(input: &mut Input<'_>) -> Option<Option<Restored>> {
    let (since, kept) = (input.maybe_number()?, input.maybe_number()?);
    Some(since.map(|since| Restored { kept, since }))
}

fn get_kept(input: &mut Input<'_>) -> Option<Vec<KeptSegment>> {
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

fn get_damage(input: &mut Input<'_>) -> Option<Damage> {
    Some(Damage {
        quarantined: input.number()?,
        needs_full_pull: input.flag()?,
    })
}

/// A word's place in its table; the first where it has none, as a running cycle's state.
fn place<T: PartialEq>(table: &[T], word: &T) -> u8 {
    table
        .iter()
        .position(|other| other == word)
        .map_or(0, |place| place as u8)
}
