//! The contract of a store, on the memory store that defines it.

use crate::support::store_suite::{self, Stores};
use datum_sync::ports::memory_store::MemoryStore;

struct Memory;

impl Stores for Memory {
    type Store = MemoryStore;

    async fn fresh(&self) -> MemoryStore {
        MemoryStore::new()
    }

    async fn another(&self, of: &MemoryStore) -> MemoryStore {
        of.reopen()
    }

    async fn evict(&self, of: &MemoryStore) {
        of.evict();
    }
}

macro_rules! mount {
    ($($story:ident,)*) => {
        $(
            #[test]
            fn $story() {
                pollster::block_on(store_suite::$story(&Memory));
            }
        )*
    };
}

crate::store_stories!(mount);
