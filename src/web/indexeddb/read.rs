//! Readonly transactions, and their values as bytes.
//!
//! By indexed_db_futures, which costs 3.0 KiB (brotli) more than the browser's own calls do here.
//!
//! By indexed_db_futures, for 2.4 KiB (brotli) more than the browser's own calls take here.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::future::BasicRequest;
use indexed_db_futures::internals::SystemRepr;
use indexed_db_futures::object_store::ObjectStore;
use indexed_db_futures::query_source::QuerySource;
use indexed_db_futures::transaction::{OnTransactionDrop, Transaction};
use indexed_db_futures::{Build, BuildPrimitive, KeyRange};
use js_sys::{ArrayBuffer, Reflect, Symbol, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::log::address::Seq;
use crate::model::error::{Code, Error};
use crate::ports::store::Records;
use crate::web::indexeddb::fault::Fault;

/// A range of numeric keys.
pub(super) type Keys = KeyRange<Option<f64>>;

/// Every key: a query for `undefined`.
pub(super) const ALL_KEYS: Keys = KeyRange::Only(None);

/// Begins a readonly transaction, which ends by itself once it has no request left. Between its
/// requests, nothing but these may be awaited, or the browser ends it.
pub(super) fn begin<'a>(database: &'a Database, stores: &[&str]) -> Result<Transaction<'a>, Fault> {
    let mut transaction = database.transaction(stores).build()?;
    // By default it aborts, if it has not ended when it is dropped.
    transaction.on_drop(OnTransactionDrop::Commit);
    // A request that fails aborts the others, and every error rises to the transaction. This handler
    // of the wrapper's would throw in the page at the second one; the requests report their own.
    transaction.as_sys().set_onerror(None);
    Ok(transaction)
}

/// Returns the value under a key; `None` if there is none, or null.
pub(super) async fn get(store: &ObjectStore<'_>, key: JsValue) -> Result<Option<JsValue>, Fault> {
    Ok(request(store, key)?.await?)
}

fn request(store: &ObjectStore<'_>, key: JsValue) -> Result<BasicRequest<Option<JsValue>>, Fault> {
    Ok(store.get::<JsValue, JsValue, _>(key).primitive()?)
}

/// Returns the keys and values in a range of a store, in order.
pub(super) async fn all(
    store: &ObjectStore<'_>,
    range: Keys,
) -> Result<impl Iterator<Item = Result<(JsValue, JsValue), Fault>> + use<>, Fault> {
    let keys = store
        .get_all_keys::<JsValue>()
        .with_query::<Option<f64>, _>(range.clone())
        .primitive()?;
    let values = store
        .get_all::<JsValue>()
        .with_query::<Option<f64>, _>(range)
        .primitive()?;
    // Requests end in order: awaiting the last one first takes one handler for both.
    let values = values.await?;
    let keys = keys.await?;
    Ok(keys.zip(values).map(|(key, value)| Ok((key?, value?))))
}

/// Returns the records from a sequence number on, or after it, in order.
pub(super) async fn records(
    transaction: &Transaction<'_>,
    log: &str,
    from: f64,
    after: bool,
) -> Result<Records, Fault> {
    let range = KeyRange::LowerBound(Some(from), after);
    let mut records = Records::new();
    for record in all(&transaction.object_store(log)?, range).await? {
        let (key, value) = record?;
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
    store: &ObjectStore<'_>,
    keys: &[u64],
) -> Result<Vec<Option<Rc<[u8]>>>, Fault> {
    let mut requests = Vec::with_capacity(keys.len());
    for key in keys {
        requests.push(request(store, JsValue::from_f64(*key as f64))?);
    }
    // Requests end in order: awaiting the last one first takes one handler for all of them.
    let last = match requests.pop() {
        Some(request) => request.await,
        None => return Ok(Vec::new()),
    };
    let mut found = Vec::with_capacity(keys.len());
    for request in requests {
        // If one of these failed, the last one only reports that the transaction was aborted.
        found.push(request.await?.as_ref().and_then(bytes));
    }
    found.push(last?.as_ref().and_then(bytes));
    Ok(found)
}

/// Stands for a record that exists and cannot be read: not empty, and refused by every decoder.
pub(super) fn unreadable() -> Rc<[u8]> {
    Rc::from([0])
}

/// Returns the sequence numbers of the records from one on.
pub(super) async fn places(
    transaction: &Transaction<'_>,
    log: &str,
    from: f64,
) -> Result<Vec<Seq>, Fault> {
    let keys = transaction
        .object_store(log)?
        .get_all_keys::<JsValue>()
        .with_query::<Option<f64>, _>(KeyRange::LowerBound(Some(from), false))
        .primitive()?
        .await?;
    Ok(keys
        .filter_map(|key| key.ok()?.as_f64())
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
