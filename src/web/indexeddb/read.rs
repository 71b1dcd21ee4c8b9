//! One readonly transaction, and the way from JavaScript values to bytes.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::internals::SystemRepr;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbKeyRange, IdbObjectStore, IdbRequest, IdbTransaction};

use crate::log::address::Seq;
use crate::model::error::{Code, Error};
use crate::ports::store::Records;
use crate::web::indexeddb::callback::until;
use crate::web::indexeddb::fault::Fault;

/// A readonly transaction, which ends by itself when it has nothing left to do.
///
/// Begun by the browser's own call: what the wrapper makes of a transaction, a request and a query
/// is a tenth of the module. Between its requests, nothing but these may be awaited, or the browser
/// ends it.
pub(super) fn begin(database: &Database, stores: &[&str]) -> Result<IdbTransaction, Fault> {
    let names: Array = stores.iter().map(|name| JsValue::from_str(name)).collect();
    Ok(database.as_sys().transaction_with_str_sequence(&names)?)
}

/// Waits for a request: its result, or why it failed.
pub(super) async fn answer(request: &IdbRequest) -> Result<JsValue, Fault> {
    let asked = request.clone();
    let (on_event, answered) = until(move |_| Some(outcome(&asked)));
    request.set_onsuccess(Some(&on_event));
    request.set_onerror(Some(&on_event));
    answered
        .await
        .unwrap_or_else(|_| Err(Fault::named("AbortError", "The request's answer was lost.")))
}

/// What became of a request that has ended.
fn outcome(request: &IdbRequest) -> Result<JsValue, Fault> {
    match request.error() {
        Ok(Some(error)) => Err(Fault::Browser {
            name: error.name(),
            message: error.message(),
        }),
        Ok(None) | Err(_) => Ok(request.result()?),
    }
}

/// The keys and the values of all that is in a store, or in a range of it, in order.
pub(super) async fn all(
    store: &IdbObjectStore,
    range: &JsValue,
) -> Result<impl Iterator<Item = (JsValue, JsValue)> + use<>, Fault> {
    // Requests end in order: waiting for the last takes one handler for both.
    let keys = store.get_all_keys_with_key(range)?;
    let values = answer(&store.get_all_with_key(range)?).await?;
    let keys: Array = outcome(&keys)?.unchecked_into();
    let values: Array = values.unchecked_into();
    Ok((0..keys.length()).map(move |index| (keys.get(index), values.get(index))))
}

/// The records from a place on, or from after it, in order.
pub(super) async fn records(
    transaction: &IdbTransaction,
    log: &str,
    from: f64,
    after: bool,
) -> Result<Records, Fault> {
    let range = IdbKeyRange::lower_bound_with_open(&JsValue::from_f64(from), after)?;
    let mut records = Records::new();
    for (key, value) in all(&transaction.object_store(log)?, &range).await? {
        // A key that is no place holds nothing of this log.
        if let Some(key) = key.as_f64().filter(|key| *key >= 1.0) {
            records.push((key as Seq, bytes(&value).unwrap_or_else(unreadable)));
        }
    }
    Ok(records)
}

/// The values under those keys, in the order asked for; none where one is missing or of another
/// kind.
pub(super) async fn values(
    store: &IdbObjectStore,
    keys: &[u64],
) -> Result<Vec<Option<Rc<[u8]>>>, Fault> {
    let mut requests = Vec::with_capacity(keys.len());
    for key in keys {
        requests.push(store.get(&JsValue::from_f64(*key as f64))?);
    }
    // Requests end in order: waiting for the last one first takes one handler for all of them.
    let last = match requests.pop() {
        Some(request) => answer(&request).await,
        None => return Ok(Vec::new()),
    };
    let mut found = Vec::with_capacity(keys.len());
    for request in requests {
        // Where one of these failed, the last says only that the transaction was aborted.
        found.push(bytes(&outcome(&request)?));
    }
    found.push(bytes(&last?));
    Ok(found)
}

/// What is given for a record that is there and cannot be read: no reader takes it, and it is not
/// empty.
pub(super) fn unreadable() -> Rc<[u8]> {
    Rc::from([0])
}

/// The places of the records from one on.
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

/// A stored value that is not what this engine writes.
pub(super) fn wrong_type() -> Fault {
    Error::new(
        Code::Corrupt,
        "A stored value is not of the kind that this engine writes.",
    )
    .into()
}

/// The bytes of a value; none where there is none, or one of another kind.
fn bytes(value: &JsValue) -> Option<Rc<[u8]>> {
    Some(value.dyn_ref::<Uint8Array>()?.to_vec().into())
}
