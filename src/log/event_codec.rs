//! An event's bytes: its tag, then its fields in the order in which they are declared.
//!
//! A tag never changes its meaning, so that later versions of the engine read the logs of earlier
//! ones. New tags go at the end; a tag that is given up leaves a gap.

use crate::log::codec::{Input, Output};
use crate::log::commit::Event;
use crate::log::known_server::KnownServer;
use crate::log::salvaged::Salvaged;
use crate::log::spaces;
use crate::log::value_codec::{
    get_conflict, get_cursor, get_damage, get_dead_letters, get_explained, get_facts,
    get_field_hashes, get_kept, get_operation, get_receipt, get_restored, put_conflict, put_cursor,
    put_damage, put_explained, put_facts, put_field_hashes, put_kept, put_letter, put_operation,
    put_receipt, put_restored,
};

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
            put_cursor(out, state);
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
        Event::DeadLetters { dead_letters } => {
            out.byte(11);
            out.number(dead_letters.len() as u64);
            for letter in dead_letters {
                put_letter(out, letter);
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
        Event::Server { server } => {
            out.byte(20);
            out.maybe_text(server.id.as_deref());
            out.maybe_text(server.address.as_deref());
        }
        Event::Quarantine { body } => {
            out.byte(14);
            out.number(*body);
        }
        Event::Checkpoint { kept, damage } => {
            out.byte(15);
            out.number(kept.len() as u64);
            for segment in kept {
                put_kept(out, segment);
            }
            put_damage(out, *damage);
        }
        Event::Explained { what } => {
            out.byte(16);
            put_explained(out, what);
        }
        Event::Ended { ended } => {
            out.byte(23);
            out.flag(*ended);
        }
        Event::Salvaged { what } => {
            out.byte(22);
            out.number(what.head);
            put_field_hashes(out, &what.ops);
        }
        Event::Schema { version } => {
            out.byte(24);
            out.number(u64::from(*version));
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
            put_restored(out, *restored);
        }
        Event::Space { what } => {
            out.byte(21);
            spaces::put(out, what);
        }
        Event::Offered { count, done } => {
            out.byte(19);
            out.number(*count);
            out.flag(*done);
        }
    }
}

/// Reads an event; `None` if the bytes are not what [`put`] writes.
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
            dead_letters: get_dead_letters(input)?,
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
            what: get_explained(input)?,
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
        20 => Event::Server {
            server: KnownServer {
                id: input.maybe_text()?,
                address: input.maybe_text()?,
            },
        },
        21 => Event::Space {
            what: spaces::get(input)?,
        },
        22 => Event::Salvaged {
            what: Salvaged {
                head: input.number()?,
                ops: get_field_hashes(input)?,
            },
        },
        23 => Event::Ended {
            ended: input.flag()?,
        },
        24 => Event::Schema {
            version: input.small()?,
        },
        _ => return None,
    })
}
