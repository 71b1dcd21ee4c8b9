//! The digest of rows that are hashed a few at a time, while others are put and removed.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;
use datum_sync::state::rows::{Row, Rows};

/// Returns the digest of these rows, each hashed now.
fn digest_of(rows: &BTreeMap<String, Row>) -> Digest {
    let mut digest = Digest::default();
    for (id, row) in rows.iter().filter(|(_, row)| !row.deleted) {
        digest.add("tasks", id, row.version);
    }
    digest
}

#[test]
fn a_digest_is_that_of_all_rows_however_many_are_hashed() {
    for (most, later) in [(1, 200), (7, 0), (50, 10), (usize::MAX, 300), (7, 1_000)] {
        let (mut rows, mut same) = (Rows::default(), BTreeMap::new());
        let mut dice = 7_u64;
        for round in 0..400_u64 {
            if round == later {
                rows.defer_hashes();
            }
            for _ in 0..5 {
                dice = dice
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let id = format!("task-{}", (dice >> 33) % 300);
                if dice >> 61 == 0 {
                    rows.remove("tasks", &id);
                    same.remove(&id);
                    continue;
                }
                let row = Row {
                    version: round,
                    deleted: dice >> 61 == 1,
                    ..Row::default()
                };
                rows.put("tasks", &id, row.clone());
                same.insert(id, row);
            }
            assert_eq!(rows.digest("tasks"), digest_of(&same), "round {round}");
            if round % 3 == 0 {
                rows.hash_some("tasks", most);
                assert_eq!(rows.digest("tasks"), digest_of(&same), "round {round}");
            }
            assert_eq!(rows.live(), rows.digest("tasks").count);
        }
        while rows.hash_some("tasks", most) > 0 {}
        assert_eq!(rows.digest("tasks"), digest_of(&same));
    }
}

#[test]
fn rows_are_hashed_once_and_as_many_at_a_time_as_one_asks_for() {
    let mut rows = Rows::default();
    rows.defer_hashes();
    for id in 0..25 {
        rows.put("tasks", &format!("task-{id:02}"), Row::default());
    }
    let mut met = || rows.hash_some("tasks", 10);
    assert_eq!([met(), met(), met(), met()], [10, 10, 5, 0]);
}
