//! Helpers: a sample of everything that a record may hold.

use std::rc::Rc;

use datum_sync::conflict;
use datum_sync::conflict::explain::Explained;
use datum_sync::log::commit::{Damage, Entry, Event, KeptSegment, SegmentBody, SegmentWrite};
use datum_sync::log::facts::{AdoptedFrom, CursorState, DeadLetter, Facts, Parked};
use datum_sync::log::receipt::{Receipt, ReceiptOutcome, Restored};
use datum_sync::log::salvaged::Salvaged;
use datum_sync::log::segment::checksum;
use datum_sync::log::spaces::{Limbo, SpaceEvent};
use datum_sync::model::entity::Key;
use datum_sync::model::operation::{Link, Operation, OperationKind};
use datum_sync::model::space::{Joined, Role};
use datum_sync::model::status::SyncState;
use datum_sync::model::table::Table;

pub const HEADER: usize = 12;

/// A text longer than one byte can count, and not ASCII.
pub fn long() -> String {
    "\u{0}\"\\\u{7f}é漢🦀".repeat(10)
}

pub fn operation(kind: OperationKind) -> Operation {
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
        to: (kind == OperationKind::Move).then(|| "notes".to_owned()),
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

pub fn bare(kind: OperationKind) -> Operation {
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
        to: (kind == OperationKind::Move).then(|| "notes".to_owned()),
        supersedes: Vec::new(),
        earlier: Vec::new(),
        links: Vec::new(),
    }
}

pub fn parked(kind: conflict::ConflictKind, base: Option<&str>) -> Event {
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

pub fn facts(state: SyncState) -> Facts {
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
        reported: Some((0, u64::MAX)),
        custom: Some(Rc::from(r#"{"a":1}"#)),
        last_state: state,
        last_result: Some(Rc::from("{}")),
        adopted: Some(AdoptedFrom {
            user_id: "visitor".into(),
            head: 7,
        }),
    }
}

/// Every kind of event, with its fields full and with them empty.
pub fn events() -> Vec<Event> {
    let mut all = other_events();
    all.extend(space_events().into_iter().map(|what| Event::Space { what }));
    all
}

fn space_events() -> Vec<SpaceEvent> {
    let moving = |limbo| SpaceEvent::Moving {
        table: Table::name("todo", Some("s")).into_owned(),
        id: long(),
        limbo,
    };
    vec![
        SpaceEvent::List {
            list: [Role::Owner, Role::Writer, Role::Reader]
                .map(|role| Joined {
                    space: long(),
                    role,
                })
                .to_vec(),
            asked: u64::MAX,
        },
        SpaceEvent::List {
            list: Vec::new(),
            asked: 0,
        },
        SpaceEvent::Made { space: long() },
        SpaceEvent::Start {
            scope: long(),
            space: String::new(),
            at: u64::MAX,
        },
        SpaceEvent::EndStarts {
            scope: String::new(),
            entities: Some(vec![long()]),
        },
        SpaceEvent::EndStarts {
            scope: long(),
            entities: None,
        },
        SpaceEvent::Passed {
            space: long(),
            version: u64::MAX,
        },
        moving(None),
        moving(Some(Limbo {
            to: long(),
            version: u64::MAX,
        })),
        SpaceEvent::Leave { space: long() },
    ]
}

fn other_events() -> Vec<Event> {
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
            op: operation(OperationKind::Create),
            replaces: vec!["op-0".to_owned(), long()],
        },
        Event::Queue {
            op: bare(OperationKind::Update),
            replaces: Vec::new(),
        },
        Event::Queue {
            op: operation(OperationKind::Patch),
            replaces: Vec::new(),
        },
        Event::Queue {
            op: operation(OperationKind::Move),
            replaces: Vec::new(),
        },
        Event::Queue {
            op: bare(OperationKind::Delete),
            replaces: vec![String::new()],
        },
        Event::Queue {
            op: Operation {
                body: Some(Rc::from("")),
                ..bare(OperationKind::Create)
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
        parked(conflict::ConflictKind::BothModified, Some("{}")),
        parked(conflict::ConflictKind::DeletedRemotely, Some("")),
        parked(conflict::ConflictKind::DeletedLocally, None),
        Event::Unpark { id: "c".to_owned() },
        Event::DeadLetters {
            dead_letters: vec![
                DeadLetter {
                    op: operation(OperationKind::Patch),
                    code: "tooLarge".to_owned(),
                    message: long(),
                    died_at: u64::MAX,
                    base: Some(Rc::from("{}")),
                    kept: true,
                    blocked_by: Some("op-0".to_owned()),
                    maybe: true,
                },
                DeadLetter {
                    op: bare(OperationKind::Delete),
                    code: String::new(),
                    message: String::new(),
                    died_at: 0,
                    base: None,
                    kept: false,
                    blocked_by: None,
                    maybe: false,
                },
            ],
        },
        Event::DeadLetters {
            dead_letters: Vec::new(),
        },
        Event::Revive {
            id: "op-1".to_owned(),
        },
        Event::Facts {
            facts: Box::new(facts(SyncState::Completed)),
        },
        Event::Facts {
            facts: Box::new(Facts {
                clock_offset: -1,
                ..facts(SyncState::Cancelled)
            }),
        },
        Event::Facts {
            facts: Box::new(Facts {
                clock_offset: i64::MAX,
                ..facts(SyncState::Failed)
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
        Event::Salvaged {
            what: Salvaged::new(u64::MAX, ["op-1", "", "op-2"].into_iter()),
        },
        Event::Salvaged {
            what: Salvaged::default(),
        },
        Event::Ended { ended: true },
        Event::Ended { ended: false },
        Event::Schema { version: 0 },
        Event::Schema { version: u32::MAX },
    ]
}

pub fn segments() -> Vec<SegmentWrite> {
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
        SegmentWrite::default(),
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

/// Wraps any payload in a record with the right checksum.
pub fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![b'D', b'S', 1, 0];
    record.extend_from_slice(&checksum(payload).to_le_bytes());
    record.extend_from_slice(payload);
    record
}
