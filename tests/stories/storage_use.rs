//! What a user's data takes in the storage, and when the log is compacted.

use crate::support::spaces::{TEAM, team};
use crate::support::world::{Tab, World};
use datum_sync::engine::health::StorageSize;
use datum_sync::state::replica::Replica;

fn size(tab: &Tab) -> StorageSize {
    tab.run(tab.engine.health().storage_size(&tab.user))
        .unwrap()
}

#[test]
fn the_size_is_told_by_entity_type_with_segments_and_tombstones() {
    let world = World::new();
    let bob = team(&world);
    let a = world.device("phone").open();
    let empty = size(&a);
    assert_eq!(
        (empty.bytes, empty.log.segments, empty.log.dead_bytes),
        (0, 0, 0)
    );
    assert_eq!(empty.entities.iter().count(), 0);
    for n in 0..20 {
        let title = "x".repeat(1_000);
        a.create(&format!(r#"{{"id":"t{n:02}","title":"{title}"}}"#));
    }
    bob.writes(Some(TEAM), "shared", "of the team");
    a.sync();
    a.delete("t00");
    a.sync();
    let b = world.device("laptop").open();
    b.sync();
    for (tab, tombstones) in [(&a, 1), (&b, 0)] {
        let size = size(tab);
        let tasks = size.entities.get("tasks").unwrap();
        assert_eq!(
            (tasks.rows, tasks.tombstones),
            (21, tombstones),
            "of both spaces"
        );
        let sum: u64 = size.entities.values().map(|entity| entity.bytes).sum();
        assert_eq!(sum, size.bytes, "every byte has its type");
        assert!(tasks.bytes > 19_000);
    }
    let pulled = size(&b);
    assert!(pulled.entities.get("tasks").unwrap().segments >= 1);
    assert!(pulled.log.segments >= 1 && pulled.log.segment_bytes > 19_000);
    assert_eq!(pulled.log.dead_bytes, 0);
}

#[test]
fn it_is_told_when_the_log_is_compacted_and_what_is_dead() {
    let world = World::new();
    let (a, b) = (world.device("phone").open(), world.device("laptop").open());
    let long = |letter: &str| format!(r#"{{"title":"{}"}}"#, letter.repeat(300_000));
    for n in 0..5 {
        let id = format!(r#"{{"id":"t{n}","#);
        a.create(&long("x").replacen('{', &id, 1));
    }
    a.sync();
    b.sync();
    let before = size(&b);
    assert!(!before.log.is_due && before.log.records > 0, "{before:?}");
    assert!(before.log.because.contains("2048") || before.log.because.contains("more records"));
    for letter in ["y", "z"] {
        for n in 0..5 {
            a.patch(&format!("t{n}"), &long(letter));
        }
        a.sync();
        b.sync();
    }
    let grown = size(&b);
    assert!(grown.log.is_due, "{:?}", grown.log);
    assert!(grown.log.dead_bytes > 1_400_000 && grown.log.because.contains("due"));
    assert_eq!(grown.bytes, size(&a).bytes);
    let db = &b.run(b.engine.user("ann")).unwrap().db;
    assert!(db.read(Replica::wants_checkpoint));
    b.run(db.tidy()).unwrap();
    let after = size(&b);
    assert!(
        !after.log.is_due && after.log.dead_bytes == 0,
        "{:?}",
        after.log
    );
    assert_eq!((after.bytes, after.log.records), (grown.bytes, 0));
}
