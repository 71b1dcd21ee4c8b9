//! One readwrite transaction, issued and committed within one turn of the event loop.

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use web_sys::IdbDatabase;

use crate::model::config::storage::Durability;

#[wasm_bindgen(module = "/src/js/indexeddb.js")]
extern "C" {
    #[wasm_bindgen(js_name = writeAll)]
    fn write_all(
        database: &IdbDatabase,
        stores: &str,
        durability: &str,
        changes: &Array,
        added: Option<&Array>,
    ) -> Promise;
}

/// The requests of one transaction. Issuing them twice is harmless.
#[derive(Debug)]
pub(super) struct Batch {
    /// The names of the object stores, with a space in between.
    stores: &'static str,
    durability: Durability,
    /// Unconditional requests.
    changes: Array,
    /// A record that is written only if its key is free; if it is taken, the whole batch is not
    /// written.
    added: Option<Array>,
}

impl Batch {
    pub(super) fn new(stores: &'static str, durability: Durability) -> Self {
        Self {
            stores,
            durability,
            changes: Array::new(),
            added: None,
        }
    }

    /// The number of requests.
    pub(super) fn len(&self) -> u32 {
        let added = u32::from(self.added.is_some());
        self.changes.length().saturating_add(added)
    }

    pub(super) fn put(&mut self, store: &str, key: &JsValue, value: &JsValue) {
        self.changes.push(&request("put", store, key, value));
    }

    pub(super) fn delete(&mut self, store: &str, key: &JsValue) {
        self.changes
            .push(&request("delete", store, key, &JsValue::UNDEFINED));
    }

    /// Deletes all keys below one.
    pub(super) fn delete_below(&mut self, store: &str, key: &JsValue) {
        self.changes
            .push(&request("deleteBelow", store, key, &JsValue::UNDEFINED));
    }

    pub(super) fn add(&mut self, store: &str, key: &JsValue, value: &JsValue) {
        self.added = Some(request("add", store, key, value));
    }
}

fn request(method: &str, store: &str, key: &JsValue, value: &JsValue) -> Array {
    Array::of4(&method.into(), &store.into(), key, value)
}

/// How a transaction ended, if nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// It completed.
    All,
    /// The key of its `add` was taken: nothing was written.
    Nothing,
}

impl WriteOutcome {
    /// Reads the result of [`write`].
    pub(super) fn of(result: &JsValue) -> Self {
        if result.is_truthy() {
            Self::All
        } else {
            Self::Nothing
        }
    }
}

/// Writes the batch, or nothing. The requests are issued by the call.
pub(super) fn write(database: &IdbDatabase, batch: &Batch) -> Promise {
    let durability = match batch.durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    let added = batch.added.as_ref();
    write_all(database, batch.stores, durability, &batch.changes, added)
}
