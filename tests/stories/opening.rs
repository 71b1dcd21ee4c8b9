//! Opening a database with data: rows are read where they stand in the log, and the row index is
//! built on first need.

use std::rc::Rc;

use crate::support::world::{Device, Tab, World};
use datum_sync::log::commit::{Commit, Entry, Event, SegmentBody, SegmentWrite};
use datum_sync::log::receipt::Restored;
use datum_sync::log::segment::checksum;
use datum_sync::model::entity::Key;
use datum_sync::state::replica::Replica;

fn has_lazy_rows(tab: &Tab) -> bool {
    tab.engine
        .opened("ann")
        .unwrap()
        .db
        .peek(Replica::has_lazy_rows)
}

fn all(tab: &Tab, include_deleted: bool) -> String {
    tab.run(
        tab.engine
            .entities()
            .read_all("ann", "tasks", include_deleted),
    )
    .unwrap()
}

/// Two devices of one user with the same tasks.
fn filled(world: &World, count: usize) -> (Device, Tab, Device, Tab) {
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    let (a, b) = (laptop.open(), phone.open());
    for number in 0..count {
        a.create(&format!(
            r#"{{"id":"task-{number:04}","title":"number {number}","notes":"{}"}}"#,
            "\u{e9}\"".repeat(20).replace('"', "\\\"")
        ));
    }
    a.sync();
    b.sync();
    (laptop, a, phone, b)
}

#[test]
fn an_app_reads_one_of_its_entities_and_all_without_folding_any() {
    let world = World::new();
    let (_laptop, a, phone, b) = filled(&world, 120);
    let (one, before) = (b.read("task-0077"), all(&b, false));

    let fresh = phone.open();
    assert!(has_lazy_rows(&fresh));
    assert_eq!(fresh.read("task-0077"), one);
    assert_eq!(fresh.read("task-0077-and-more"), None);
    assert_eq!(fresh.read("none"), None);
    assert_eq!(all(&fresh, false), before);
    assert_eq!(all(&fresh, true), before);
    assert!(has_lazy_rows(&fresh), "nobody asked for more than to read");

    let user = fresh.engine.opened("ann").unwrap();
    assert_eq!(user.count("tasks"), 120);
    assert!(!has_lazy_rows(&fresh));
    assert_eq!(all(&fresh, false), before);
    let digest = |tab: &Tab| {
        tab.engine
            .opened("ann")
            .unwrap()
            .db
            .read(|replica| replica.digest("tasks").wire())
    };
    assert_eq!(digest(&fresh), digest(&a));
}

#[test]
fn what_came_later_and_what_waits_is_read_over_what_was_there() {
    let world = World::new();
    let (_laptop, a, phone, b) = filled(&world, 60);
    a.patch("task-0003", r#"{"title":"changed there"}"#);
    a.delete("task-0004");
    a.sync();
    b.sync();
    b.patch("task-0005", r#"{"title":"changed here"}"#);
    b.sync();
    b.patch("task-0006", r#"{"title":"not sent"}"#);
    b.delete("task-0007");
    b.create(r#"{"id":"task-0003b","title":"new"}"#);
    let before = all(&b, true);

    for id in [
        "task-0002",
        "task-0003",
        "task-0003b",
        "task-0004",
        "task-0005",
        "task-0006",
        "task-0007",
    ] {
        // Each is the first to be read.
        let fresh = phone.open();
        assert!(has_lazy_rows(&fresh));
        assert_eq!(fresh.read(id), b.read(id), "{id}");
        assert_eq!(
            fresh.read_in("tasks", id, true),
            b.read_in("tasks", id, true),
            "{id}"
        );
        fresh.run(fresh.engine.close());
    }
    assert_eq!(all(&phone.open(), true), before);
}

#[test]
fn who_looks_for_many_has_the_rows_folded() {
    let world = World::new();
    let (_laptop, a, phone, b) = filled(&world, 20);
    // No order of ids within a page.
    for number in (0..20).rev() {
        a.patch(&format!("task-{number:04}"), r#"{"title":"again"}"#);
    }
    a.sync();
    b.sync();
    let fresh = phone.open();
    assert!(has_lazy_rows(&fresh));
    for number in 0..20 {
        assert_eq!(
            fresh.read(&format!("task-{number:04}")).unwrap()["title"],
            "again"
        );
    }
    assert!(!has_lazy_rows(&fresh));
}

fn rows(ids: &[&str], version: u64) -> SegmentWrite {
    let entries = ids
        .iter()
        .map(|id| Entry {
            id: (*id).to_owned(),
            version,
            len: 2,
            ..Entry::default()
        })
        .collect();
    SegmentWrite {
        entity: "tasks".to_owned(),
        entries,
        body: SegmentBody::New(Rc::from(*b"{}")),
    }
}

#[test]
fn rows_that_are_read_late_are_the_same_rows() {
    let gone = SegmentWrite {
        entries: vec![Entry {
            id: "b".to_owned(),
            version: 4,
            deleted: true,
            ..Entry::default()
        }],
        ..rows(&[], 0)
    };
    let sweep = |before| Commit {
        segments: vec![],
        events: vec![Event::Sweep {
            before,
            entities: None,
        }],
    };
    let epoch = |epoch: &str, restored| Event::Epoch {
        epoch: epoch.to_owned(),
        restored,
    };
    let restored = Restored {
        kept: Some(2),
        since: 0,
    };
    let commits = [
        Commit {
            segments: vec![rows(&["a", "b", "c"], 1), rows(&["d", "a"], 2)],
            events: vec![epoch("one", None)],
        },
        Commit {
            segments: vec![rows(&["c", "e"], 3), gone],
            events: vec![],
        },
        sweep(0),
        sweep(1),
        Commit {
            segments: vec![rows(&["f"], 9)],
            events: vec![],
        },
        Commit {
            segments: vec![],
            events: vec![epoch("two", Some(restored))],
        },
    ];
    let folded = |many: usize, late: bool| {
        let mut replica = Replica::new("ann", u64::MAX);
        for (at, commit) in (1..).zip(commits.iter().take(many)) {
            let record = commit.encode(at).record;
            if late {
                replica.load_record(at, &record)
            } else {
                replica.apply_record(at, &record)
            }
            .unwrap();
        }
        replica
    };
    for many in 1..=commits.len() {
        let eager = folded(many, false);
        for id in ["a", "b", "c", "d", "e", "f", "0", "z"] {
            let (key, late) = (Key::new("tasks", id), folded(many, true));
            assert_eq!(
                late.has_lazy_rows(),
                !matches!(many, 4 | 6),
                "a sweep that finds rows, and a new history, go by all of them"
            );
            let version =
                |replica: &Replica| replica.view(&key).map(|view| (view.version, view.deleted));
            if late.can_peek(&key) {
                assert_eq!(version(&late), version(&eager), "{id} after {many}");
            } else {
                assert!(
                    (2..=3).contains(&many) && id == "b",
                    "only a tombstone needs the fold, not {id} after {many}"
                );
            }
        }
        let mut late = folded(many, true);
        late.materialize();
        assert_eq!(late.digest("tasks").wire(), eager.digest("tasks").wire());
        assert_eq!(
            (late.stored_bytes(), late.count("tasks")),
            (eager.stored_bytes(), eager.count("tasks"))
        );
        let mut late = folded(many, true);
        for step in 1.. {
            let is_more = late.materialize_some(2);
            for id in ["a", "b", "c", "d", "e", "f", "0", "z"] {
                let key = Key::new("tasks", id);
                if late.can_peek(&key) || !late.has_lazy_rows() {
                    let version = |replica: &Replica| {
                        (replica.view(&key)).map(|view| (view.version, view.deleted))
                    };
                    let place = format!("{id} after {many}, step {step}");
                    assert_eq!(version(&late), version(&eager), "{place}");
                }
            }
            if !is_more {
                assert!(step > 1 || many >= 4, "in steps");
                break;
            }
        }
        assert_eq!(late.digest("tasks").wire(), eager.digest("tasks").wire());
    }
}

#[test]
fn more_rows_than_there_are_bytes_for_are_refused_unread() {
    let whole = Commit {
        segments: vec![rows(&["a", "b", "c"], 1)],
        events: vec![],
    }
    .encode(1)
    .record;
    let at = whole
        .windows(5)
        .position(|bytes| bytes == b"\x03\x01\x01\x01c")
        .unwrap();
    let mut payload = whole[12..].to_vec();
    payload[at - 12] = 0x7f;
    let record: Rc<[u8]> =
        Rc::from([&whole[..4], &checksum(&payload).to_le_bytes(), &payload].concat());
    let mut replica = Replica::new("ann", u64::MAX);
    replica.load_record(1, &record).unwrap();
    assert_eq!(
        (replica.has_lazy_rows(), replica.damage().quarantined),
        (false, 1),
        "nothing is reserved by a number that was read"
    );
}

/// A record's summary is trusted until its rows are read; then a contradiction is noticed.
#[test]
fn rows_that_are_not_what_is_said_of_them_are_damage_once_they_are_read() {
    let commit = Commit {
        segments: vec![rows(&["a", "b", "c"], 1)],
        events: vec![],
    };
    let whole = commit.encode(1).record;
    for (what, from, to) in [
        (
            "fewer rows",
            &b"\x03\x01\x01\x01c"[..],
            &b"\x02\x01\x01\x01c"[..],
        ),
        ("a row that is none", b"\x01b\x01\x00", b"\x01b\x01\x08"),
    ] {
        let at = whole
            .windows(from.len())
            .position(|bytes| bytes == from)
            .expect(what);
        let mut payload = whole[12..].to_vec();
        payload[at - 12..][..from.len()].copy_from_slice(to);
        let record: Rc<[u8]> =
            Rc::from([&whole[..4], &checksum(&payload).to_le_bytes(), &payload].concat());
        assert!(
            Commit::decode(&record).is_err(),
            "{what}: who reads them at once refuses them all"
        );

        let mut replica = Replica::new("ann", u64::MAX);
        replica.load_record(1, &record).unwrap();
        assert_eq!(
            (replica.has_lazy_rows(), replica.damage().quarantined),
            (true, 0),
            "{what}"
        );
        replica.materialize();
        assert_eq!(
            (
                replica.damage().quarantined,
                replica.damage().needs_full_pull
            ),
            (1, true),
            "{what}"
        );
    }
}
