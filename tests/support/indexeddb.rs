//! Where stores in IndexedDB come from: a database of its own for each.
#![allow(clippy::unwrap_used)]

use datum_sync::store::indexeddb::IndexedDbStore;

use super::store_suite::Stores;

pub struct Browser;

impl Stores for Browser {
    type Store = IndexedDbStore;

    async fn fresh(&self) -> IndexedDbStore {
        IndexedDbStore::open(&unique(), "ann").await.unwrap()
    }

    async fn another(&self, of: &IndexedDbStore) -> IndexedDbStore {
        let (name, user) = of.database().split_once('/').unwrap();
        IndexedDbStore::open(name, user).await.unwrap()
    }
}

/// A name that nobody else has.
pub fn unique() -> String {
    format!("test-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
