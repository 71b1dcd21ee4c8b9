//! Readonly transactions, and their values as bytes.
//!
//! Not by matrix_indexed_db_futures and web-sys: with them, a page loaded 6.2 KiB (brotli) more until
//! it showed something, and 9.3 in all.

use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::IdbDatabase;

use crate::log::address::Seq;
use crate::model::error::{Code, Error};
use crate::ports::store::Records;
use crate::web::indexeddb::fault::Fault;

#[wasm_bindgen(module = "/src/js/indexeddb.js")]
extern "C" {
    #[wasm_bindgen(js_name = valuesOf)]
    fn values_of(database: &IdbDatabase, store: &str, keys: Array) -> Promise;
    #[wasm_bindgen(js_name = entriesOf)]
    fn entries_of(
        database: &IdbDatabase,
        store: &str,
        first: Option<f64>,
        is_after: bool,
    ) -> Promise;
    #[wasm_bindgen(js_name = entriesFrom)]
    fn entries_from(database: &IdbDatabase, store: &str, other: &str, key: f64) -> Promise;
    #[wasm_bindgen(js_name = keysOf)]
    fn keys_of(database: &IdbDatabase, store: &str, first: f64) -> Promise;
    #[wasm_bindgen(js_name = bytesOf)]
    fn bytes_of(value: JsValue) -> Option<Uint8Array>;
}

/// Awaits a transaction, whose requests were made by the call.
async fn outcome(transaction: Promise) -> Result<Array, Fault> {
    Ok(JsFuture::from(transaction).await?.unchecked_into())
}

/// Returns the values under some keys; undefined for one that is missing.
pub(super) async fn get(database: &IdbDatabase, store: &str, keys: Array) -> Result<Array, Fault> {
    outcome(values_of(database, store, keys)).await
}

/// Returns all keys and values of a store, in the order of the keys.
pub(super) async fn all(
    database: &IdbDatabase,
    store: &str,
) -> Result<impl Iterator<Item = (JsValue, JsValue)>, Fault> {
    Ok(pairs(
        outcome(entries_of(database, store, None, false)).await?,
    ))
}

fn pairs(found: Array) -> impl Iterator<Item = (JsValue, JsValue)> {
    let places = (0..found.length()).step_by(2);
    places.map(move |place| (found.get(place), found.get(place.saturating_add(1))))
}

/// Returns the records after a sequence number, in order.
pub(super) async fn records(
    database: &IdbDatabase,
    log: &str,
    after: f64,
) -> Result<Records, Fault> {
    let found = outcome(entries_of(database, log, Some(after), true)).await?;
    Ok(records_in(found))
}

/// Returns the records from the one on whose sequence number is under a key of another store, or all.
pub(super) async fn records_from(
    database: &IdbDatabase,
    log: &str,
    other: &str,
    key: f64,
) -> Result<Records, Fault> {
    let found = outcome(entries_from(database, log, other, key)).await?;
    Ok(records_in(found))
}

fn records_in(found: Array) -> Records {
    let mut records = Records::new();
    for (key, value) in pairs(found) {
        // A key that is no sequence number holds no record.
        if let Some(key) = key.as_f64().filter(|key| *key >= 1.0) {
            records.push((key as Seq, bytes(value).unwrap_or_else(unreadable)));
        }
    }
    records
}

/// Returns the values under those keys, in their order; `None` for one that is missing or not
/// bytes.
pub(super) async fn values(
    database: &IdbDatabase,
    store: &str,
    keys: &[u64],
) -> Result<Vec<Option<Rc<[u8]>>>, Fault> {
    let keys = keys.iter().map(|key| JsValue::from_f64(*key as f64));
    let found = get(database, store, keys.collect()).await?;
    Ok(found.iter().map(bytes).collect())
}

/// Stands for a record that exists and cannot be read: not empty, and refused by every decoder.
pub(super) fn unreadable() -> Rc<[u8]> {
    Rc::from([0])
}

/// Returns the sequence numbers of the records from one on.
pub(super) async fn places(
    database: &IdbDatabase,
    log: &str,
    from: f64,
) -> Result<Vec<Seq>, Fault> {
    let keys = outcome(keys_of(database, log, from)).await?;
    Ok(keys
        .iter()
        .filter_map(|key| key.as_f64())
        .filter(|key| *key >= 1.0)
        .map(|key| key as Seq)
        .collect())
}

/// Returns the fault of a stored value that this engine does not write.
pub(super) fn wrong_type() -> Fault {
    Error::new(
        Code::Corrupt,
        "A stored value is not of the kind that this engine writes.",
    )
    .into()
}

fn bytes(value: JsValue) -> Option<Rc<[u8]>> {
    Some(bytes_of(value)?.to_vec().into())
}
