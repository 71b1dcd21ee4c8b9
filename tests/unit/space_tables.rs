//! Tables: rows of one type in several spaces stay apart in the state, and add up where a type is
//! asked for.

use std::rc::Rc;

use datum_sync::conflict::ConflictKind;
use datum_sync::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use datum_sync::log::facts::{DeadLetter, Parked};
use datum_sync::model::digest::{Digest, row_hash, row_hash_in};
use datum_sync::model::entity::Key;
use datum_sync::model::error::{Code, Error};
use datum_sync::model::operation::{Operation, OperationKind};
use datum_sync::model::table::{Table, concerns};
use datum_sync::state::local_metadata::entity_counts;
use datum_sync::state::replica::Replica;

pub const TEAM: &str = "0190a5e0-0000-7000-8000-000000000001";

/// Returns the name of the table of a type in [`TEAM`].
pub fn shared(entity: &str) -> String {
    Table::name(entity, Some(TEAM)).into_owned()
}

pub fn rows(table: &str, rows: &[(&str, u64, &str)]) -> SegmentWrite {
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    for (id, version, body) in rows {
        entries.push(Entry {
            id: (*id).to_owned(),
            version: *version,
            offset: bytes.len() as u32,
            len: body.len() as u32,
            ..Entry::default()
        });
        bytes.extend_from_slice(body.as_bytes());
    }
    SegmentWrite {
        entity: table.to_owned(),
        entries,
        body: SegmentBody::New(Rc::from(bytes)),
    }
}

pub fn edit(op_id: &str, table: &str, id: &str) -> Operation {
    let body = Some(Rc::from(r#"{"title":"mine"}"#));
    let key = Key::new(table, id);
    Operation::new(op_id.to_owned(), key, OperationKind::Update, body, 1)
}

fn replica() -> Replica {
    let mut replica = Replica::new("ann", u64::MAX);
    let commit = Commit {
        segments: vec![
            rows("tasks", &[("a", 1, r#"{"title":"own"}"#)]),
            rows(
                &shared("tasks"),
                &[("a", 7, r#"{"title":"ours"}"#), ("b", 8, "{}")],
            ),
            rows("tasks2", &[("a", 9, "{}")]),
        ],
        events: vec![Event::Queue {
            op: edit("op", &shared("tasks"), "a"),
            replaces: Vec::new(),
        }],
    };
    replica.apply_record(1, &commit.encode(1).record).unwrap();
    replica
}

#[test]
fn a_name_is_taken_apart_as_it_was_put_together() {
    for (entity, space) in [
        ("tasks", None),
        ("tasks", Some(TEAM)),
        ("", Some("")),
        ("$space", Some("s")),
    ] {
        let name = Table::name(entity, space);
        assert_eq!(
            (Table(&name).entity(), Table(&name).space()),
            (entity, space)
        );
    }
    let scope = ["tasks".to_owned()];
    assert!(concerns(Some(&scope), &shared("tasks")) && !concerns(Some(&scope), &shared("tasks2")));
}

#[test]
fn the_same_id_in_two_spaces_is_two_rows() {
    let replica = replica();
    let team = shared("tasks");
    assert_eq!(replica.row_version(&Key::new("tasks", "a")), Some(1));
    assert_eq!(replica.row_version(&Key::new(&team, "a")), Some(7));
    assert!(replica.outbox().last(&Key::new("tasks", "a")).is_none());
    assert!(replica.outbox().last(&Key::new(&team, "a")).is_some());
}

#[test]
fn digests_counts_and_pending_operations_of_a_type_are_those_of_all_its_spaces() {
    let replica = replica();
    let mut whole = Digest::default();
    whole.add("tasks", "a", 1);
    whole.add_in(Some(TEAM), "tasks", "a", 7);
    whole.add_in(Some(TEAM), "tasks", "b", 8);
    assert_eq!(replica.digest("tasks"), whole);
    assert_eq!(replica.digest("tasks2").count, 1);
    let counts = entity_counts(&replica, &mut ["tasks", "tasks2", "none"].into_iter());
    let of = |entity: &str| counts.get(entity).map(|of| (of.count, of.pending));
    assert_eq!(of("tasks"), Some((3, 1)));
    assert_eq!((of("tasks2"), of("none")), (Some((1, 0)), Some((0, 0))));
}

#[test]
fn a_row_filed_under_the_wrong_space_is_a_drift() {
    let hash = |space| row_hash_in(space, "tasks", "a", 1);
    assert_ne!(hash(None), hash(Some(TEAM)));
    assert_eq!(hash(Some(TEAM)), row_hash(&shared("tasks"), "a", 1));
    assert_eq!(hash(None), row_hash("tasks", "a", 1));
}

#[test]
fn a_sweep_of_some_types_is_one_of_their_tables_in_every_space() {
    let mut replica = replica();
    let sweep = Event::Sweep {
        before: 1,
        entities: Some(vec!["tasks".to_owned()]),
    };
    let commit = Commit {
        segments: Vec::new(),
        events: vec![sweep],
    };
    replica.apply_record(2, &commit.encode(2).record).unwrap();
    assert_eq!(replica.digest("tasks").count, 0);
    assert_eq!(replica.digest("tasks2").count, 1);
}

#[test]
fn what_the_app_is_told_names_type_and_space_apart() {
    let letter = DeadLetter {
        op: edit("op", &shared("tasks"), "a"),
        code: "notMember".to_owned(),
        message: String::new(),
        died_at: 1,
        base: None,
        kept: false,
        blocked_by: None,
        maybe: false,
    };
    let said = format!(r#""entity":"tasks","spaceId":"{TEAM}""#);
    assert!(letter.to_json().contains(&said), "{}", letter.to_json());
    let own = DeadLetter {
        op: edit("op", "tasks", "a"),
        ..letter
    };
    assert!(!own.to_json().contains("spaceId"));
    let error = Error::new(Code::NotFound, "x").on(&shared("tasks"), Some("a"));
    assert_eq!(error.entity(), Some("tasks"));
}

#[test]
fn a_conflict_parks_the_row_of_its_own_space() {
    let mut replica = replica();
    let conflict = Parked {
        id: "c".to_owned(),
        entity: shared("tasks"),
        entity_id: "a".to_owned(),
        kind: ConflictKind::BothModified,
        base: None,
        base_version: 7,
        assumed: false,
        fields: Vec::new(),
        detected_at: 1,
        failed: 0,
    };
    let commit = Commit {
        segments: Vec::new(),
        events: vec![
            Event::Queue {
                op: edit("own", "tasks", "a"),
                replaces: Vec::new(),
            },
            Event::Park { conflict },
        ],
    };
    replica.apply_record(2, &commit.encode(2).record).unwrap();
    let blocked = |op: &str| replica.outbox().get(op).unwrap().blocked_by.is_some();
    assert!(blocked("op") && !blocked("own"));
}
