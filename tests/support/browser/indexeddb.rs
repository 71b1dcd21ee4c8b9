//! Opens IndexedDB stores, each with a database of its own.

use datum_sync::web::indexeddb::{IndexedDbStore, RootDatabase};

use super::delete_raw;
use crate::support::store_suite::Stores;

pub struct Browser;

impl Stores for Browser {
    type Store = IndexedDbStore;

    async fn fresh(&self) -> IndexedDbStore {
        RootDatabase::open(&unique())
            .await
            .unwrap()
            .open_store("ann")
            .await
            .unwrap()
            .0
    }

    async fn another(&self, of: &IndexedDbStore) -> IndexedDbStore {
        let (name, user) = of.database().split_once('/').unwrap();
        RootDatabase::open(name)
            .await
            .unwrap()
            .open_store(user)
            .await
            .unwrap()
            .0
    }

    async fn evict(&self, of: &IndexedDbStore) {
        delete_raw(of.database()).await;
    }
}

/// Returns a unique name.
pub fn unique() -> String {
    format!("test-{}-{}", js_sys::Date::now(), js_sys::Math::random())
}
