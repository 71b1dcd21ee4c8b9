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
