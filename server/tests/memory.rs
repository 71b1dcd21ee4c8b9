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

mount!(pollster::block_on, async {
    datum_server::MemoryStore::new("e1")
});

#[test]
fn a_fork_is_independent() {
    pollster::block_on(async {
        let world = suite::World::new(MemoryStore::new("e1"));
        let fork = world.service.store.fork();
        world.create("ann", "task", "a").await;
        assert_eq!(
            (
                world.service.store.rows("ann").len(),
                fork.rows("ann").len()
            ),
            (1, 0)
        );
    });
}
