//! Readonly transactions, and what their results hold.
//!
//! Not by matrix_indexed_db_futures and web-sys: with them, a page loaded 6.2 KiB (brotli) more until
//! it showed something, and 9.3 in all.

use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::IdbDatabase;

use crate::log::address::Seq;
use crate::model::error::{Code, Error};
use crate::ports::store::Records;

#[wasm_bindgen(module = "/src/js/indexeddb.js")]
extern "C" {
    /// Reads the values under some keys; undefined for one that is missing.
    #[wasm_bindgen(js_name = valuesOf)]
    pub(super) fn values_of(database: &IdbDatabase, store: &str, keys: &Array) -> Promise;
    /// Reads the keys and values of a store in turns: all, or those from a key on, or after it.
    #[wasm_bindgen(js_name = entriesOf)]
    pub(super) fn entries_of(
        database: &IdbDatabase,
        store: &str,
        first: Option<f64>,
        is_after: bool,
    ) -> Promise;
    /// Reads the entries from the key on that is under a key of another store, or all.
    #[wasm_bindgen(js_name = entriesFrom)]
    pub(super) fn entries_from(
        database: &IdbDatabase,
        store: &str,
        other: &str,
        key: f64,
    ) -> Promise;
    /// Reads the keys of a store from one on.
    #[wasm_bindgen(js_name = keysOf)]
    pub(super) fn keys_of(database: &IdbDatabase, store: &str, first: f64) -> Promise;
    #[wasm_bindgen(js_name = bytesOf)]
    fn bytes_of(value: JsValue) -> Option<Uint8Array>;
}

/// Returns what was read as the list that it is.
pub(super) fn list(found: JsValue) -> Array {
    found.unchecked_into()
}

/// Returns the first of the values that were read.
pub(super) fn first(found: JsValue) -> JsValue {
    list(found).get(0)
}

/// Returns the keys and values that were read, in the order of the keys.
pub(super) fn pairs(found: JsValue) -> impl Iterator<Item = (JsValue, JsValue)> {
    let found = list(found);
    let places = (0..found.length()).step_by(2);
    places.map(move |place| (found.get(place), found.get(place.saturating_add(1))))
}

/// Returns the entries that were read as records, in order.
pub(super) fn records(found: JsValue) -> Records {
    let mut records = Records::new();
    for (key, value) in pairs(found) {
        // A key that is no sequence number holds no record.
        if let Some(key) = key.as_f64().filter(|key| *key >= 1.0) {
            records.push((key as Seq, bytes(value).unwrap_or_else(unreadable)));
        }
    }
    records
}

/// Returns the values that were read, in the order of their keys; `None` for one that is missing or
/// not bytes.
pub(super) fn values(found: JsValue) -> Vec<Option<Rc<[u8]>>> {
    list(found).iter().map(bytes).collect()
}

/// Stands for a record that exists and cannot be read: not empty, and refused by every decoder.
pub(super) fn unreadable() -> Rc<[u8]> {
    Rc::from([0])
}

/// Returns the keys that were read as sequence numbers.
pub(super) fn places(found: JsValue) -> Vec<Seq> {
    list(found)
        .iter()
        .filter_map(|key| key.as_f64())
        .filter(|key| *key >= 1.0)
        .map(|key| key as Seq)
        .collect()
}

/// Returns the error of a stored value that this engine does not write.
pub(super) fn wrong_type() -> Error {
    Error::new(
        Code::Corrupt,
        "A stored value is not of the kind that this engine writes.",
    )
}

fn bytes(value: JsValue) -> Option<Rc<[u8]>> {
    Some(bytes_of(value)?.to_vec().into())
}
