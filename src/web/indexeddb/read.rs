//! Readonly transactions, and their values as bytes.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::internals::SystemRepr;
use js_sys::{Array, ArrayBuffer, Reflect, Symbol, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

use crate::log::address::Seq;
use crate::model::error::{Code, Error};
use crate::ports::store::Records;
use crate::web::indexeddb::callback::until;
use crate::web::indexeddb::fault::Fault;

/// Begins a readonly transaction, which ends by itself once it has no request left. Between its
/// requests, nothing but these may be awaited, or the browser ends it.
///
/// Not by indexed_db_futures: its transactions, requests and queries cost 2.4 KiB (brotli) here,
/// and one handler for each request.
pub(super) fn begin(database: &Database, stores: &[&str]) -> Result<IdbTransaction, Fault> {
    let names: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
    Ok(database.as_sys().transaction_with_str_sequence(&names)?)
}

/// Awaits the result of a request.
pub(super) async fn answer(request: &IdbRequest) -> Result<JsValue, Fault> {
    let asked = request.clone();
    let (on_event, answered) = until(move |_| Some(outcome(&asked)));
    request.set_onsuccess(Some(&on_event));
    request.set_onerror(Some(&on_event));
    answered
        .await
        .unwrap_or_else(|_| Err(Fault::named("AbortError", "The request's answer was lost.")))
}

/// Returns the result of a request that has ended.
fn outcome(request: &IdbRequest) -> Result<JsValue, Fault> {
    match request.error() {
        Ok(Some(error)) => Err(Fault::Browser {
            name: error.name(),
            message: error.message(),
        }),
        Ok(None) | Err(_) => Ok(request.result()?),
    }
}

/// Returns the keys and values of a store, or of a range of it, in order.
pub(super) async fn all(
    store: &IdbObjectStore,
    range: &JsValue,
) -> Result<impl Iterator<Item = (JsValue, JsValue)> + use<>, Fault> {
    // Requests end in order: awaiting the last takes one handler for both.
    let keys = store.get_all_keys_with_key(range)?;
    let values = answer(&store.get_all_with_key(range)?).await?;
    let keys: Array = outcome(&keys)?.unchecked_into();
    let values: Array = values.unchecked_into();
    Ok((0..keys.length()).map(move |index| (keys.get(index), values.get(index))))
}

/// Returns the records from a sequence number on, or after it, in order.
pub(super) async fn records(
    transaction: &IdbTransaction,
    log: &str,
    from: f64,
    after: bool,
) -> Result<Records, Fault> {
    let range = IdbKeyRange::lower_bound_with_open(&JsValue::from_f64(from), after)?;
    let mut records = Records::new();
    for (key, value) in all(&transaction.object_store(log)?, &range).await? {
        // A key that is no sequence number holds no record.
        if let Some(key) = key.as_f64().filter(|key| *key >= 1.0) {
            records.push((key as Seq, bytes(&value).unwrap_or_else(unreadable)));
        }
    }
    Ok(records)
}

/// Returns the values under those keys, in their order; `None` for one that is missing or not
/// bytes.
pub(super) async fn values(
    store: &IdbObjectStore,
    keys: &[u64],
) -> Result<Vec<Option<Rc<[u8]>>>, Fault> {
    let mut requests = Vec::with_capacity(keys.len());
    for key in keys {
        requests.push(store.get(&JsValue::from_f64(*key as f64))?);
    }
    // Requests end in order: awaiting the last one takes one handler for all of them.
    let last = match requests.pop() {
        Some(request) => answer(&request).await,
        None => return Ok(Vec::new()),
    };
    let mut found = Vec::with_capacity(keys.len());
    for request in requests {
        // If one of these failed, the last one only reports that the transaction was aborted.
        found.push(bytes(&outcome(&request)?));
    }
    found.push(bytes(&last?));
    Ok(found)
}

/// Stands for a record that exists and cannot be read: not empty, and refused by every decoder.
pub(super) fn unreadable() -> Rc<[u8]> {
    Rc::from([0])
}

/// Returns the sequence numbers of the records from one on.
pub(super) async fn places(
    transaction: &IdbTransaction,
    log: &str,
    from: f64,
) -> Result<Vec<Seq>, Fault> {
    let range = IdbKeyRange::lower_bound(&JsValue::from_f64(from))?;
    let keys: Array = answer(
        &transaction
            .object_store(log)?
            .get_all_keys_with_key(&range)?,
    )
    .await?
    .unchecked_into();
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

/// Returns the bytes of a value; `None` if it is not a `Uint8Array`, of this realm or another: test
/// runners give each file globals of its own, and what is cloned by the host has the host's.
fn bytes(value: &JsValue) -> Option<Rc<[u8]>> {
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Some(bytes.to_vec().into());
    }
    let tag = Reflect::get(value, &Symbol::to_string_tag()).ok()?;
    let is_bytes = ArrayBuffer::is_view(value) && tag.as_string()? == "Uint8Array";
    is_bytes.then(|| Uint8Array::new(value).to_vec().into())
}
