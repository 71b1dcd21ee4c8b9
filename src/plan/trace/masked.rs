//! Masks records, commits and inputs.

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::log::address::{BodyId, Seq, body_id};
use crate::log::commit::{Commit, Event, KeptSegment, SegmentBody, SegmentWrite};
use crate::log::facts::{AdoptedFrom, DeadLetter, Facts, Parked};
use crate::log::receipt::Receipt;
use crate::log::segment::{INLINE_BYTES, checksum, slice};
use crate::log::spaces::SpaceEvent;
use crate::model::operation::{Link, Operation};
use crate::model::space::MEMBER;
use crate::model::table::Table;
use crate::plan::trace::masks::Masks;
use crate::plan::trace::{Described, TracedRecord};
use crate::state::local_only::PREFIX;
use crate::util::collections::seq_map::SeqMap;
use crate::util::json::scan;
use crate::util::json::write::{Items, push_field, push_string, put_text};

/// What stands for an explanation: it repeats values of the bodies.
const EXPLANATION: &str = "{}";

/// What stands for a record that cannot be read, which changes nothing but the count of damage.
const DAMAGED: &[u8] = b"damaged";

/// The place of a row in a body, and whether it is about a member of a space.
type RowPlace = (u32, u32, bool);

/// The places of rows in bodies that lie beside their records.
type BodyPlaces = SeqMap<Vec<RowPlace>>;

/// Returns a commit with its long bodies in it.
#[must_use]
pub fn whole(seq: Seq, mut commit: Commit, bodies: &[(BodyId, Rc<[u8]>)]) -> Commit {
    for (index, segment) in commit.segments.iter_mut().enumerate() {
        let id = body_id(seq, index);
        if let SegmentBody::Stored { .. } = segment.body
            && let Some((_, bytes)) = bodies.iter().find(|(other, _)| *other == id)
        {
            segment.body = SegmentBody::New(Rc::clone(bytes));
        }
    }
    commit
}

/// Masks records that were read from a log.
pub fn records(masks: &mut Masks, records: &[TracedRecord]) -> Vec<TracedRecord> {
    let mut places = BodyPlaces::default();
    let decoded: Vec<Option<Commit>> = records
        .iter()
        .map(|traced| Commit::decode(&traced.record).ok())
        .collect();
    for (traced, commit) in records.iter().zip(&decoded) {
        let segments = commit.iter().flat_map(|commit| &commit.segments);
        for (index, segment) in segments.enumerate() {
            let id = match segment.body {
                SegmentBody::New(_) => continue,
                SegmentBody::Stored { .. } => body_id(traced.seq, index),
                SegmentBody::Kept(id) => id,
            };
            match places.get_mut(id) {
                Some(all) => all.extend(places_in(segment)),
                None => places.insert(id, places_in(segment).collect()),
            }
        }
    }
    let mut masked = Vec::new();
    for traced in records {
        let mut bodies = Vec::new();
        for (id, bytes) in &traced.bodies {
            let spans = places.get(*id).map(Vec::as_slice).unwrap_or_default();
            let bytes = blanked(masks, bytes, spans.iter().copied());
            masks.note_sum(*id, checksum(&bytes));
            bodies.push((*id, bytes));
        }
        masked.push(TracedRecord {
            seq: traced.seq,
            record: Rc::default(),
            bodies,
        });
    }
    for (traced, commit) in masked.iter_mut().zip(decoded) {
        traced.record = match commit {
            Some(commit) => {
                self::commit(masks, traced.seq, &commit)
                    .encode(traced.seq)
                    .record
            }
            None => Rc::from(DAMAGED),
        };
    }
    masked
}

/// Notes where the rows of a commit are in bodies of earlier records: a migration writes some ahead.
pub fn note_places(masks: &mut Masks, traced: &TracedRecord) {
    let commit = Commit::decode(&traced.record).unwrap_or_default();
    for segment in &commit.segments {
        if let SegmentBody::Kept(id) = segment.body {
            let places = places_in(segment);
            match masks.ahead.get_mut(id) {
                Some(all) => all.extend(places),
                None => masks.ahead.insert(id, places.collect()),
            }
        }
    }
}

/// Masks a commit of this instance.
pub fn committed(masks: &mut Masks, traced: &TracedRecord) -> TracedRecord {
    let Ok(commit) = Commit::decode(&traced.record) else {
        return TracedRecord {
            record: Rc::from(DAMAGED),
            ..traced.clone()
        };
    };
    let commit = whole(traced.seq, commit, &traced.bodies);
    let encoded = self::commit(masks, traced.seq, &commit).encode(traced.seq);
    TracedRecord {
        seq: traced.seq,
        record: encoded.record,
        bodies: encoded.bodies,
    }
}

/// Masks a commit.
pub fn commit(masks: &mut Masks, seq: Seq, commit: &Commit) -> Commit {
    let segments = commit.segments.iter().enumerate();
    Commit {
        segments: segments
            .map(|(index, segment)| self::segment(masks, body_id(seq, index), segment))
            .collect(),
        events: commit.events.iter().map(|one| event(masks, one)).collect(),
    }
}

fn segment(masks: &mut Masks, id: BodyId, segment: &SegmentWrite) -> SegmentWrite {
    let mut masked = segment.clone();
    match &segment.body {
        SegmentBody::New(bytes) => {
            let ahead = masks.ahead.get(id).filter(|_| segment.entries.is_empty());
            let ahead = ahead.cloned().unwrap_or_default();
            let bytes = blanked(masks, bytes, places_in(segment).chain(ahead));
            if bytes.len() > INLINE_BYTES {
                masks.note_sum(id, checksum(&bytes));
            }
            masked.body = SegmentBody::New(bytes);
        }
        SegmentBody::Stored { len, hash } => {
            let hash = masks.sums.get(id).copied().unwrap_or(*hash);
            masked.body = SegmentBody::Stored { len: *len, hash };
        }
        SegmentBody::Kept(_) => {}
    }
    let table = segment.entity.trim_start_matches(PREFIX);
    for entry in &mut masked.entries {
        entry.id = masks.id(table, &entry.id);
    }
    masked
}

fn places_in(segment: &SegmentWrite) -> impl Iterator<Item = RowPlace> {
    let is_member = is_member(segment.entity.trim_start_matches(PREFIX));
    let entries = segment.entries.iter();
    entries.map(move |entry| (entry.offset, entry.len, is_member))
}

fn is_member(table: &str) -> bool {
    Table(table).entity() == MEMBER
}

/// Returns bytes with their rows masked, and nothing else in them.
fn blanked(masks: &mut Masks, bytes: &[u8], places: impl Iterator<Item = RowPlace>) -> Rc<[u8]> {
    let mut blank = vec![b' '; bytes.len()];
    for (offset, len, is_member) in places {
        let (from, masked) = match slice(bytes, offset, len) {
            Some(text) => (offset as usize, body_text(masks, is_member, text)),
            None => continue,
        };
        let to = from.saturating_add(masked.len());
        if let Some(place) = blank.get_mut(from..to) {
            place.copy_from_slice(masked.as_bytes());
        }
    }
    Rc::from(blank)
}

/// Masks a body of a row of `table`.
fn body(masks: &mut Masks, table: &str, body: Option<&Rc<str>>) -> Option<Rc<str>> {
    body.map(|body| Rc::from(body_text(masks, is_member(table), body)))
}

fn body_text(masks: &mut Masks, of_member: bool, text: &str) -> String {
    masks.of_member = of_member;
    let masked = masks.body(text);
    masks.of_member = false;
    masked
}

/// Masks an operation.
pub fn operation(masks: &mut Masks, op: &Operation) -> Operation {
    let links = op.links.iter().map(|link| {
        let mut link: Link = link.clone();
        link.key.id = masks.id(&link.key.entity, &link.key.id);
        link
    });
    let links = links.collect();
    Operation {
        id: masks.id(&op.entity, &op.id),
        body: body(masks, &op.entity, op.body.as_ref()),
        earlier: masks.hashes(&op.earlier),
        links,
        ..op.clone()
    }
}

fn letter(masks: &mut Masks, letter: &DeadLetter) -> DeadLetter {
    DeadLetter {
        op: operation(masks, &letter.op),
        message: masks.message(&letter.message),
        base: body(masks, &letter.op.entity, letter.base.as_ref()),
        ..letter.clone()
    }
}

fn facts(masks: &mut Masks, facts: &Facts) -> Facts {
    Facts {
        error: facts.error.as_ref().map(|text| Rc::from(masks.text(text))),
        reported: facts.reported.map(|(at, hash)| (at, masks.hash(hash))),
        custom: facts.custom.as_ref().map(|text| Rc::from(masks.json(text))),
        last_result: (facts.last_result.as_ref()).map(|text| Rc::from(masks.json(text))),
        adopted: facts.adopted.as_ref().map(|adopted| AdoptedFrom {
            user_id: masks.text(&adopted.user_id),
            head: adopted.head,
        }),
        ..facts.clone()
    }
}

fn event(masks: &mut Masks, event: &Event) -> Event {
    match event {
        Event::Queue { op, replaces } => Event::Queue {
            op: operation(masks, op),
            replaces: replaces.clone(),
        },
        Event::Applied {
            op_id,
            version,
            with_row,
            at,
            field_hashes,
        } => Event::Applied {
            op_id: op_id.clone(),
            version: *version,
            with_row: *with_row,
            at: *at,
            field_hashes: masks.hashes(field_hashes),
        },
        Event::Cursor { scope, state } => Event::Cursor {
            scope: masks.text(scope),
            state: state.clone(),
        },
        Event::ResetCursor { scope } => Event::ResetCursor {
            scope: masks.text(scope),
        },
        Event::Park { conflict } => Event::Park {
            conflict: Parked {
                entity_id: masks.id(&conflict.entity, &conflict.entity_id),
                base: body(masks, &conflict.entity, conflict.base.as_ref()),
                ..conflict.clone()
            },
        },
        Event::DeadLetters { dead_letters } => Event::DeadLetters {
            dead_letters: dead_letters.iter().map(|one| letter(masks, one)).collect(),
        },
        Event::Facts { facts: all } => Event::Facts {
            facts: Box::new(facts(masks, all)),
        },
        Event::Receipt {
            entity,
            id,
            receipt,
        } => Event::Receipt {
            entity: entity.clone(),
            id: masks.id(entity, id),
            receipt: Receipt {
                field_hashes: masks.hashes(&receipt.field_hashes).into(),
                ..receipt.clone()
            },
        },
        Event::Server { server } => {
            let mut server = server.clone();
            server.address = server.address.map(|address| masks.text(&address));
            Event::Server { server }
        }
        Event::Checkpoint { kept, damage } => Event::Checkpoint {
            kept: (kept.iter())
                .map(|one| KeptSegment {
                    hash: masks.sums.get(one.id).copied().unwrap_or(one.hash),
                    ..one.clone()
                })
                .collect(),
            damage: *damage,
        },
        Event::Explained { what } => Event::Explained {
            what: Explained {
                entity: what.entity.clone(),
                id: masks.id(&what.entity, &what.id),
                text: Rc::from(EXPLANATION),
            },
        },
        Event::Space { what } => Event::Space {
            what: space(masks, what),
        },
        Event::Dequeue { .. }
        | Event::Rebase { .. }
        | Event::Sweep { .. }
        | Event::NeedFullPull
        | Event::ReleaseDeletes
        | Event::Unpark { .. }
        | Event::Revive { .. }
        | Event::Quarantine { .. }
        | Event::Epoch { .. }
        | Event::Offered { .. }
        | Event::Ended { .. }
        | Event::Salvaged { .. }
        | Event::Schema { .. } => event.clone(),
    }
}

fn space(masks: &mut Masks, event: &SpaceEvent) -> SpaceEvent {
    let mut event = event.clone();
    match &mut event {
        SpaceEvent::Start { scope, .. } | SpaceEvent::EndStarts { scope, .. } => {
            *scope = masks.text(scope);
        }
        SpaceEvent::Moving { table, id, .. } => *id = masks.id(table, id),
        _ => {}
    }
    event
}

/// Masks what a planner was given.
pub fn described(masks: &mut Masks, given: &Described) -> Described {
    Described {
        name: given.name.clone(),
        input: input(masks, &given.input),
        ops: given.ops.iter().map(|op| operation(masks, op)).collect(),
        data: given.data.as_ref().map(|data| committed(masks, data)),
    }
}

/// Masks the input of a planner, or an activity.
pub fn input(masks: &mut Masks, text: &str) -> String {
    value(masks, "", text, false)
}

/// Masks a value of an input, by the name of its member. `of_member` is true in what is about members
/// of spaces.
fn value(masks: &mut Masks, name: &str, text: &str, of_member: bool) -> String {
    let as_text = |masked: String| {
        let mut out = String::new();
        push_string(&mut out, &masked);
        out
    };
    let said = scan::text(text);
    match (name, &said) {
        ("data" | "row", _) => body_text(masks, of_member, text),
        ("scope" | "address" | "userId", Some(said)) => as_text(masks.text(said)),
        ("message", Some(said)) => as_text(masks.message(said)),
        ("conflict", Some(said)) if said.starts_with(MEMBER) => {
            as_text(member_conflict(masks, said))
        }
        ("id", Some(said)) if of_member => as_text(masks.id(MEMBER, said)),
        ("absent", Some(said)) => as_text(match said.rsplit_once('\0') {
            Some((table, id)) => [table, "\0", &masks.id(table, id)].concat(),
            None => masks.text(said),
        }),
        _ => inner(masks, name, text, of_member),
    }
}

/// Masks the id of a conflict about a member of a space: `table/user:version`.
fn member_conflict(masks: &mut Masks, id: &str) -> String {
    let parts = id
        .split_once('/')
        .and_then(|(table, rest)| Some((table, rest.rsplit_once(':')?)));
    match parts {
        Some((table, (user, version))) => {
            [table, "/", &masks.id(MEMBER, user), ":", version].concat()
        }
        None => masks.text(id),
    }
}

fn inner(masks: &mut Masks, name: &str, text: &str, of_member: bool) -> String {
    if let Ok(members) = scan::object(text) {
        let says = |name: &str| {
            let mut all = members.iter();
            all.any(|(key, value)| {
                key == name && scan::text(value).is_some_and(|value| value.starts_with(MEMBER))
            })
        };
        let of_member = of_member || says("table") || says("entity");
        let mut out = String::from("{");
        for (key, raw) in &members {
            push_field(&mut out, key, &value(masks, key, raw, of_member));
        }
        out.push('}');
        return out;
    }
    if let Ok(items) = scan::array(text) {
        let mut out = Items::new(text.len());
        for item in items {
            out.open().push_str(&value(masks, name, item, of_member));
        }
        return out.close();
    }
    text.to_owned()
}

/// Writes a member whose value is bytes.
pub(super) fn put_bytes(out: &mut String, name: &str, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            hex.extend(
                DIGITS
                    .get(usize::from(half))
                    .map(|digit| char::from(*digit)),
            );
        }
    }
    put_text(out, name, &hex);
}
