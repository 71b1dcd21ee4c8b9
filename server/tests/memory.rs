//! The suite on the memory store.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod suite;

use datum_server::rules::store::{Identity, Space};
use datum_server::{MemoryStore, ServerError};

mount!(pollster::block_on, async {
    datum_server::MemoryStore::new("e1")
});

#[test]
fn a_fork_is_independent() {
    pollster::block_on(async {
        let world = suite::World::new(MemoryStore::new("e1"));
        let fork = world.service.store.fork();
        world.create("ann", "task", "a").await;
        let own = Space::personal("ann");
        let rows = |store: &MemoryStore| store.rows(&own).len();
        assert_eq!((rows(&world.service.store), rows(&fork)), (1, 0));
    });
}

/// (each from an empty store, so that a failing seed is short)
#[test]
fn many_histories_end_with_what_each_user_may_read() {
    pollster::block_on(async {
        for seed in 1..=200 {
            let world = suite::World::new(MemoryStore::new("e1"));
            suite::shared_random::history(&world, seed).await;
        }
    });
}

/// (on disk it takes a while)
#[test]
fn a_space_may_have_ten_thousand_members_and_not_one_more() {
    use suite::shared::{A, member, refused};
    pollster::block_on(async {
        let w = suite::World::new(MemoryStore::new("e1"));
        w.space(A, &[]).await;
        let all: Vec<_> = (1..10_000)
            .map(|n| member(A, &format!("u{n}"), "create", None, "reader"))
            .collect();
        let verdicts = w.push("ann", serde_json::json!(all)).await;
        assert!(
            verdicts
                .iter()
                .all(|verdict| verdict["status"] == "applied")
        );
        let one_more = member(A, "one more", "create", None, "reader");
        assert_eq!(w.one("ann", one_more).await, refused("tooManyMembers"));
        assert_eq!(w.list("u9999").await.as_array().unwrap().len(), 1);
        w.kick(A, "u1").await;
        w.invite(A, "one more", "reader").await;
        w.end(A).await;
        assert_eq!(w.list("u9999").await.as_array().unwrap().len(), 0);
    });
}

/// A journal in memory, which can fail.
#[derive(Debug, Default)]
struct Lines {
    kept: std::sync::Mutex<Vec<String>>,
    full: std::sync::atomic::AtomicBool,
}

impl datum_server::memory::Journal for Lines {
    fn append(&self, line: &str) -> Result<(), ServerError> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(ServerError::storage_failed("the disk is full"));
        }
        assert!(!line.contains('\n'));
        self.kept.lock().unwrap().push(line.to_owned());
        Ok(())
    }
}

fn journaled(lines: &std::sync::Arc<Lines>) -> MemoryStore {
    let identity = Identity {
        server_id: "s1".to_owned(),
        epoch: "e1".to_owned(),
    };
    MemoryStore::with_journal(identity, lines.clone())
}

#[test]
fn a_journal_holds_what_every_history_has_written() {
    pollster::block_on(async {
        for seed in 1..=60 {
            let lines = std::sync::Arc::new(Lines::default());
            let world = suite::World::new(journaled(&lines));
            suite::shared_random::history(&world, seed).await;
            world.service.sweep(u64::MAX).await.unwrap();
            let read = journaled(&std::sync::Arc::default());
            for line in lines.kept.lock().unwrap().iter() {
                read.replay(line).unwrap();
            }
            assert!(!lines.kept.lock().unwrap().is_empty());
            assert!(read.equals(&world.service.store), "seed {seed}");
            let nothing = lines.kept.lock().unwrap().len();
            world.service.sweep(u64::MAX).await.unwrap();
            assert_eq!(lines.kept.lock().unwrap().len(), nothing);
        }
    });
}

#[test]
fn what_a_journal_cannot_keep_has_not_happened() {
    pollster::block_on(async {
        let lines = std::sync::Arc::new(Lines::default());
        let world = suite::World::new(journaled(&lines));
        world.create("ann", "task", "a").await;
        lines.full.store(true, std::sync::atomic::Ordering::Relaxed);
        let operation = suite::op("o", "task", "b", "create", None, serde_json::json!({}));
        let body = serde_json::json!({ "clientId": "d1", "operations": [operation] }).to_string();
        let (status, error) = world.call("ann", "POST", "push", &body).await;
        assert_eq!(
            (status, error["code"].as_str()),
            (503, Some("storageFailed"))
        );
        assert_eq!(world.service.store.rows(&Space::personal("ann")).len(), 1);
        lines
            .full
            .store(false, std::sync::atomic::Ordering::Relaxed);
        let (status, _) = world.call("ann", "POST", "push", &body).await;
        assert_eq!((status, lines.kept.lock().unwrap().len()), (200, 2));
    });
}

#[test]
fn a_line_that_is_no_journals_is_refused() {
    let store = journaled(&std::sync::Arc::default());
    for line in ["", "[", "{}", r#"[{"later":1}]"#] {
        assert!(store.replay(line).is_err(), "{line}");
    }
}
