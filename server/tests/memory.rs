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

use datum_server::MemoryStore;
use datum_server::rules::store::Space;

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
