//! The bytes of a commit: they are read as written, and the format does not change.

use std::rc::Rc;

use super::record_samples::{bare, events, sealed, segments};
use datum_sync::log::address::body_id;
use datum_sync::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use datum_sync::log::record::Encoder;
use datum_sync::log::segment::{INLINE_BYTES, checksum};
use datum_sync::log::segment_writer::{Packing, SEGMENT_BYTES};
use datum_sync::model::operation::{Operation, OperationKind};

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
fn a_long_commit_is_encoded_a_mebibyte_at_a_time() {
    let steps = |commit: &Commit| {
        let mut encoder = Encoder::new(7, commit);
        let mut steps = 1;
        while encoder.step(commit) {
            steps += 1;
        }
        assert_eq!(encoder.finish().record, commit.encode(7).record);
        steps
    };
    let rows = |count: usize, body_bytes: usize| SegmentWrite {
        entity: "todo".to_owned(),
        entries: (0..count)
            .map(|number| Entry {
                id: format!("{number:0100}"),
                version: 1,
                ..Entry::default()
            })
            .collect(),
        body: SegmentBody::New(vec![b'x'; body_bytes].into()),
    };
    let many = |count: usize, rows: &SegmentWrite| Commit {
        segments: vec![rows.clone(); count],
        events: Vec::new(),
    };
    assert_eq!(steps(&Commit::default()), 1);
    assert_eq!(steps(&many(4, &rows(1_000, 0))), 1, "0.4 MiB of rows");
    assert_eq!(steps(&many(40, &rows(1_000, 0))), 4, "4 MiB of rows");
    let bodies = many(20, &rows(1, SEGMENT_BYTES));
    assert_eq!(steps(&bodies), 5, "4.7 MiB of bodies");
    let dequeue = Event::Dequeue {
        ops: vec!["o".repeat(1_000)],
    };
    let events = Commit {
        segments: Vec::new(),
        events: vec![dequeue; 3_000],
    };
    assert_eq!(steps(&events), 3, "2.9 MiB of events");
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
                ..bare(OperationKind::Patch)
            },
            replaces: vec!["p".to_owned()],
        }],
    };
    let payload =
        b"\x01\x00\x01o\x01t\x00\x02\x01\xac\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01p\x00";
    assert_eq!(*queue.encode(1).record, sealed(payload));
    assert_eq!(
        (record.len(), checksum(&record)),
        (5038, 11_028_387_501_811_400_656)
    );
}
