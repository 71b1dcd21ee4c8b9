//! The store suite on the memory store: the definition passes its own test.
#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs)]

use datum_sync::ports::memory_store::MemoryStore;
use support::store_suite::{self, Stores};

mod support;

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

store_stories!(mount);
