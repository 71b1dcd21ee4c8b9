//! The bytes of a commit: what was written is read, and nothing else is.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::rc::Rc;

use datum_sync::conflict;
use datum_sync::conflict::explain::Explained;
use datum_sync::log::address::body_id;
use datum_sync::log::commit::{
    Commit, Damage, Entry, Event, KeptSegment, SegmentBody, SegmentWrite,
};
use datum_sync::log::facts::{CursorState, DeadLetter, Facts, Parked};
use datum_sync::log::receipt::{Receipt, ReceiptOutcome, Restored};
use datum_sync::log::segment::{INLINE_BYTES, checksum};
use datum_sync::log::segment_writer::{Packing, SEGMENT_BYTES};
use datum_sync::model::entity::Key;
use datum_sync::model::error::Code;
use datum_sync::model::operation::{Kind, Link, Operation};
use datum_sync::model::status::State;

const HEADER: usize = 12;

/// A text that is longer than one byte counts, and not ASCII.
fn long() -> String {
    "\u{0}\"\\\u{7f}é漢🦀".repeat(10)
}

fn operation(kind: Kind) -> Operation {
    Operation {
        op_id: "op-1".to_owned(),
        entity: "todo".to_owned(),
        id: long(),
        kind,
        base_version: Some(u64::MAX),
        body: Some(Rc::from(r#"{"id":"a"}"#)),
        fields: vec!["title".to_owned(), String::new()],
        queued_at: 1_700_000_000_000,
        attempts: u32::MAX,
        soft: true,
        supersedes: vec!["op-0".to_owned()],
        earlier: vec![1, u64::MAX],
        links: vec![
            Link {
                key: Key::new("project", "p").to_owned(),
                asked: true,
            },
            Link {
                key: Key::new("", &long()).to_owned(),
                asked: false,
            },
        ],
    }
}

fn bare(kind: Kind) -> Operation {
    Operation {
        op_id: String::new(),
        entity: String::new(),
        id: String::new(),
        kind,
        base_version: None,
        body: None,
        fields: Vec::new(),
        queued_at: 0,
        attempts: 0,
        soft: false,
        supersedes: Vec::new(),
        earlier: Vec::new(),
        links: Vec::new(),
    }
}

fn parked(kind: conflict::Kind, base: Option<&str>) -> Event {
    Event::Park {
        conflict: Parked {
            id: "c".to_owned(),
            entity: "todo".to_owned(),
            entity_id: "a".to_owned(),
            kind,
            base: base.map(Rc::from),
            base_version: 127,
            assumed: base.is_none(),
            fields: vec!["done".to_owned()],
            detected_at: 128,
            failed: base.map_or(u32::MAX, |base| base.len() as u32),
        },
    }
}

fn facts(state: State) -> Facts {
    Facts {
        last_sync: Some(0),
        last_success: Some(u64::MAX),
        duration: Some(1 << 63),
        error: Some(Rc::from("It failed.")),
        failures: 3,
        epoch: Some(String::new()),
        clock_offset: i64::MIN,
        bytes_pushed: 16_383,
        bytes_pulled: 16_384,
        told: Some((0, u64::MAX)),
        custom: Some(Rc::from(r#"{"a":1}"#)),
        last_state: state,
        last_result: Some(Rc::from("{}")),
    }
}

/// Every kind of event, with its fields full and with them empty.
fn events() -> Vec<Event> {
    let full = CursorState {
        cursor: Some(long()),
        full_since: Some(u64::MAX),
        reached_end: true,
        entities: Some(vec![long()]),
    };
    vec![
        Event::Checkpoint {
            kept: vec![
                KeptSegment {
                    id: u64::MAX,
                    len: u32::MAX,
                    hash: u64::MAX,
                },
                KeptSegment {
                    id: 0,
                    len: 0,
                    hash: 0,
                },
            ],
            damage: Damage {
                quarantined: u64::MAX,
                needs_full_pull: true,
            },
        },
        Event::Checkpoint {
            kept: Vec::new(),
            damage: Damage::default(),
        },
        Event::Queue {
            op: operation(Kind::Create),
            replaces: vec!["op-0".to_owned(), long()],
        },
        Event::Queue {
            op: bare(Kind::Update),
            replaces: Vec::new(),
        },
        Event::Queue {
            op: operation(Kind::Patch),
            replaces: Vec::new(),
        },
        Event::Queue {
            op: bare(Kind::Delete),
            replaces: vec![String::new()],
        },
        Event::Queue {
            op: Operation {
                body: Some(Rc::from("")),
                ..bare(Kind::Create)
            },
            replaces: Vec::new(),
        },
        Event::Dequeue {
            ops: vec!["op-1".to_owned(), "op-2".to_owned()],
        },
        Event::Dequeue { ops: Vec::new() },
        Event::Applied {
            op_id: "op-1".to_owned(),
            version: u64::MAX,
            with_row: true,
            at: 1_700_000_000_000,
            field_hashes: vec![1, u64::MAX],
        },
        Event::Applied {
            op_id: String::new(),
            version: 0,
            with_row: false,
            at: 0,
            field_hashes: Vec::new(),
        },
        Event::Rebase {
            op_id: "op-1".to_owned(),
            version: Some(0),
        },
        Event::Rebase {
            op_id: "op-1".to_owned(),
            version: None,
        },
        Event::Receipt {
            entity: "todo".to_owned(),
            id: long(),
            receipt: Receipt {
                outcome: ReceiptOutcome::Rejected,
                at: u64::MAX,
                version: 7,
                deleted: true,
                whole: true,
                suspect: true,
                merging: true,
                field_hashes: Box::new([0, u64::MAX]),
            },
        },
        Event::Receipt {
            entity: String::new(),
            id: String::new(),
            receipt: Receipt::default(),
        },
        Event::Epoch {
            epoch: "e2".to_owned(),
            restored: Some(Restored {
                kept: Some(0),
                since: u64::MAX,
            }),
        },
        Event::Epoch {
            epoch: long(),
            restored: Some(Restored {
                kept: None,
                since: 0,
            }),
        },
        Event::Epoch {
            epoch: String::new(),
            restored: None,
        },
        Event::Offered {
            count: u64::MAX,
            done: true,
        },
        Event::Offered {
            count: 0,
            done: false,
        },
        Event::Cursor {
            scope: "work".to_owned(),
            state: full,
        },
        Event::Cursor {
            scope: String::new(),
            state: CursorState::default(),
        },
        Event::Cursor {
            scope: String::new(),
            state: CursorState {
                entities: Some(Vec::new()),
                ..CursorState::default()
            },
        },
        Event::ResetCursor {
            scope: "work".to_owned(),
        },
        Event::Sweep {
            before: u64::MAX,
            entities: Some(vec!["todo".to_owned()]),
        },
        Event::Sweep {
            before: 0,
            entities: None,
        },
        Event::NeedFullPull,
        Event::ReleaseDeletes,
        parked(conflict::Kind::BothModified, Some("{}")),
        parked(conflict::Kind::DeletedRemotely, Some("")),
        parked(conflict::Kind::DeletedLocally, None),
        Event::Unpark { id: "c".to_owned() },
        Event::DeadLetters {
            letters: vec![
                DeadLetter {
                    op: operation(Kind::Patch),
                    code: "tooLarge".to_owned(),
                    message: long(),
                    died_at: u64::MAX,
                    base: Some(Rc::from("{}")),
                    kept: true,
                    blocked_by: Some("op-0".to_owned()),
                },
                DeadLetter {
                    op: bare(Kind::Delete),
                    code: String::new(),
                    message: String::new(),
                    died_at: 0,
                    base: None,
                    kept: false,
                    blocked_by: None,
                },
            ],
        },
        Event::DeadLetters {
            letters: Vec::new(),
        },
        Event::Revive {
            id: "op-1".to_owned(),
        },
        Event::Facts {
            facts: Box::new(facts(State::Completed)),
        },
        Event::Facts {
            facts: Box::new(Facts {
                clock_offset: -1,
                ..facts(State::Cancelled)
            }),
        },
        Event::Facts {
            facts: Box::new(Facts {
                clock_offset: i64::MAX,
                ..facts(State::Failed)
            }),
        },
        Event::Facts {
            facts: Box::default(),
        },
        Event::Quarantine { body: u64::MAX },
        Event::Explained {
            what: Explained {
                entity: "todo".to_owned(),
                id: long(),
                text: Rc::from(r#"{"fields":[]}"#),
            },
        },
        Event::Explained {
            what: Explained {
                entity: String::new(),
                id: String::new(),
                text: Rc::from(""),
            },
        },
    ]
}

fn segments() -> Vec<SegmentWrite> {
    let entry = |id: &str, flags: u8, offset: u32, len: u32| Entry {
        id: id.to_owned(),
        version: u64::from(offset) + u64::MAX / 2,
        deleted: flags & 1 != 0,
        held: flags & 2 != 0,
        retain: flags & 4 != 0,
        offset,
        len,
    };
    vec![
        // In order, out of order, overlapping, and at the far end of what four bytes count.
        SegmentWrite {
            entity: "todo".to_owned(),
            entries: vec![
                entry("a", 0, 0, 5),
                entry("b", 1, 0, 0),
                entry("c", 3, 5, 10),
                entry("d", 4, 2, 4),
                entry("é", 7, u32::MAX, u32::MAX),
            ],
            body: SegmentBody::New(Rc::from(&b"hello"[..])),
        },
        SegmentWrite {
            entity: String::new(),
            entries: Vec::new(),
            body: SegmentBody::default(),
        },
        SegmentWrite {
            entity: "note".to_owned(),
            entries: vec![],
            body: SegmentBody::Stored {
                len: u32::MAX,
                hash: u64::MAX,
            },
        },
        SegmentWrite {
            entity: "note".to_owned(),
            entries: vec![entry("b", 0, 9, 9)],
            body: SegmentBody::Kept(u64::MAX),
        },
    ]
}

/// A record over any payload, with the checksum that it should have.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![b'D', b'S', 1, 0];
    record.extend_from_slice(&checksum(payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}

fn is_corrupt(record: &[u8]) -> bool {
    Commit::decode(record).is_err_and(|error| error.code() == Code::Corrupt)
}

#[test]
fn what_was_written_is_read() {
    let commit = Commit {
        segments: segments(),
        events: events(),
    };
    let encoded = commit.encode(7);
    assert!(
        encoded.bodies.is_empty(),
        "every body here is short or lies elsewhere"
    );
    assert_eq!(Commit::decode(&encoded.record).unwrap(), commit);
}

#[test]
fn each_event_is_read_alone() {
    for event in events() {
        let commit = Commit {
            segments: Vec::new(),
            events: vec![event],
        };
        assert_eq!(Commit::decode(&commit.encode(1).record).unwrap(), commit);
    }
}

#[test]
fn an_empty_commit_is_a_commit() {
    let read = Commit::decode(&Commit::default().encode(1).record).unwrap();
    assert!(read.is_empty());
}

#[test]
fn a_long_body_lies_beside_its_record() {
    let body: Rc<[u8]> = vec![b'x'; INLINE_BYTES + 1].into();
    let entry = Entry {
        id: "a".to_owned(),
        version: 1,
        len: 4097,
        ..Entry::default()
    };
    let segment = |body| SegmentWrite {
        entity: "todo".to_owned(),
        entries: vec![entry.clone()],
        body,
    };
    let before = segment(SegmentBody::New(Rc::from(&body[1..])));
    let encoded = Commit {
        segments: vec![before.clone(), segment(SegmentBody::New(Rc::clone(&body)))],
        events: vec![],
    }
    .encode(9);
    assert_eq!(encoded.bodies, [(body_id(9, 1), Rc::clone(&body))]);
    assert!(
        encoded.record.len() < INLINE_BYTES + 100,
        "the body that is just short enough, and no other"
    );
    let read = Commit::decode(&encoded.record).unwrap();
    assert_eq!(read.segments[0], before);
    let described = SegmentBody::Stored {
        len: 4097,
        hash: checksum(&body),
    };
    assert_eq!(read.segments[1], segment(described));
    assert_eq!(
        read.encode(9).record,
        encoded.record,
        "what was read is written in the same bytes"
    );
}

#[test]
fn bodies_lie_one_behind_another_in_segments_that_browsers_move_quickly() {
    let row = |id: &str| Entry {
        id: id.to_owned(),
        version: 1,
        ..Entry::default()
    };
    let half = "x".repeat(SEGMENT_BYTES / 2);
    let long = "y".repeat(SEGMENT_BYTES + 1);
    let (mut packing, mut commit) = (Packing::default(), Commit::default());
    for (id, body) in [
        ("a", Some(&half)),
        ("b", Some(&half)),
        ("c", None),
        ("d", Some(&long)),
        ("e", Some(&half)),
        ("f", Some(&half)),
    ] {
        packing.push("tasks", row(id), body.map(String::as_str), &mut commit);
    }
    packing.close("tasks", &mut commit);
    packing.close("tasks", &mut commit);

    let told: Vec<Vec<(&str, u32, u32)>> = commit
        .segments
        .iter()
        .map(|segment| {
            segment
                .entries
                .iter()
                .map(|entry| (&*entry.id, entry.offset, entry.len))
                .collect()
        })
        .collect();
    let (half, long) = (half.len() as u32, long.len() as u32);
    assert_eq!(
        told,
        [
            vec![("a", 0, half), ("b", half, half), ("c", 0, 0)],
            vec![("d", 0, long)],
            vec![("e", 0, half), ("f", half, half)]
        ],
        "one that is longer than a segment has one for itself"
    );
}

/// Logs outlive versions: a change of these bytes needs a new version in the header, and a reader
/// for both.
#[test]
fn the_format_does_not_change_unnoticed() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    let queue = Commit {
        segments: vec![],
        events: vec![Event::Queue {
            op: Operation {
                op_id: "o".to_owned(),
                entity: "t".to_owned(),
                base_version: Some(300),
                ..bare(Kind::Patch)
            },
            replaces: vec!["p".to_owned()],
        }],
    };
    let payload =
        b"\x01\x00\x01o\x01t\x00\x02\x01\xac\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01p\x00";
    assert_eq!(*queue.encode(1).record, sealed(payload));
    assert_eq!(
        (record.len(), checksum(&record)),
        (2903, 13_599_972_582_635_118_836)
    );
}

#[test]
fn a_record_cut_short_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    for len in 0..record.len() {
        assert!(is_corrupt(&record[..len]), "cut after {len} bytes");
        if len >= HEADER {
            assert!(
                is_corrupt(&sealed(&record[HEADER..len])),
                "cut after {len} bytes, and sealed again"
            );
        }
    }
}

#[test]
fn a_record_with_bytes_behind_it_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    assert!(is_corrupt(&[&record, &[0][..]].concat()));
    assert!(is_corrupt(&sealed(&[&record[HEADER..], &[0]].concat())));
}

#[test]
fn one_wrong_byte_is_corrupt() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    let mut damaged = record.to_vec();
    for at in 0..damaged.len() {
        for bits in [1, 0x80, 0xff] {
            damaged[at] ^= bits;
            assert!(is_corrupt(&damaged), "byte {at} changed by {bits:#x}");
            damaged[at] ^= bits;
        }
    }
}

#[test]
fn what_no_version_writes_is_corrupt() {
    let cases: [(&str, &[u8], &[u8]); 17] = [
        ("nothing", b"\x00\x00", b""),
        ("an unknown event", b"\x01\x08\x00", b"\x01\x11\x00"),
        (
            "more events than there are",
            b"\x01\x07\x00",
            b"\x02\x07\x00",
        ),
        (
            "as many events as can be counted",
            b"\x80\x00\x00",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00",
        ),
        (
            "a number without an end",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00",
        ),
        (
            "a text that is not UTF-8",
            b"\x01\x0a\x01a\x00",
            b"\x01\x0a\x01\xff\x00",
        ),
        (
            "a text of more bytes than there are",
            b"\x01\x0a\x01a\x00",
            b"\x01\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00",
        ),
        (
            "a flag of two",
            b"\x01\x02\x01o\x01\x01\x00\x00\x00",
            b"\x01\x02\x01o\x01\x02\x00\x00\x00",
        ),
        (
            "an unknown kind of operation",
            b"\x01\x00\x01o\x01t\x01i\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            b"\x01\x00\x01o\x01t\x01i\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
        (
            "an unknown kind of body",
            b"\x00\x01\x01t\x02\x00\x00",
            b"\x00\x01\x01t\x03\x00\x00",
        ),
        (
            "an unknown flag of a row",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x07\x00",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x08\x00",
        ),
        (
            "a row of more than four gigabytes",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x0a\x01i\x01\x00\xff\xff\xff\xff\x0f\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x0a\x01i\x01\x00\xff\xff\xff\xff\x1f\x00",
        ),
        (
            "rows that are plain, it is said, and a tombstone",
            b"\x00\x01\x01t\x00\x00\x01\x00\x01\x01i\x05\x01i\x01\x01\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x01\x00",
        ),
        (
            "another last id than the last row's",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01j\x05\x01i\x01\x00\x00",
        ),
        (
            "ids that ascend, and are not said to",
            b"\x00\x01\x01t\x00\x00\x02\x01\x01\x01j\x0a\x01i\x01\x00\x00\x01j\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x02\x01\x00\x0a\x01i\x01\x00\x00\x01j\x01\x00\x00",
        ),
        (
            "ids that do not ascend, and are said to",
            b"\x00\x01\x01t\x00\x00\x02\x01\x00\x0a\x01j\x01\x00\x00\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x02\x01\x01\x01i\x0a\x01j\x01\x00\x00\x01i\x01\x00\x00",
        ),
        (
            "more bytes than the rows have",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x05\x01i\x01\x00\x00",
            b"\x00\x01\x01t\x00\x00\x01\x01\x01\x01i\x06\x01i\x01\x00\x00\x00",
        ),
    ];
    for (what, right, wrong) in cases {
        assert!(
            Commit::decode(&sealed(right)).is_ok(),
            "what stands beside it is right: {what}"
        );
        assert!(is_corrupt(&sealed(wrong)), "{what}");
    }
}

/// A checksum only tells that the bytes are those that someone wrote. Whoever wrote them, reading
/// ends, and what it finds is written in a form that reads the same.
#[test]
fn any_bytes_under_a_right_checksum_are_read_or_refused() {
    let record = Commit {
        segments: segments(),
        events: events(),
    }
    .encode(7)
    .record;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut read = 0;
    for round in 0..10_000 {
        let payload: Vec<u8> = if round % 2 == 0 {
            // VecMap bytes: tags, flags and short lengths.
            (0..random() % 40)
                .map(|_| {
                    if random() % 4 == 0 {
                        random() as u8
                    } else {
                        (random() % 18) as u8
                    }
                })
                .collect()
        } else {
            let mut payload = record[HEADER..].to_vec();
            for _ in 0..=random() % 3 {
                let at = random() as usize % payload.len();
                payload[at] = random() as u8;
            }
            payload
        };
        if let Ok(commit) = Commit::decode(&sealed(&payload)) {
            read += 1;
            // A body may have grown too long to lie in the record: only the second writing is the
            // same.
            let again = commit.encode(7).record;
            assert!(
                Commit::decode(&again).unwrap().encode(7).record == again,
                "round {round}"
            );
        }
    }
    assert!(
        read > 100,
        "{read} of the payloads could be read: too few to say anything"
    );
}
