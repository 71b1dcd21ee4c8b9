//! One readonly transaction, and the way from JavaScript values to bytes.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use indexed_db_futures::object_store::ObjectStore;
use indexed_db_futures::prelude::*;
use indexed_db_futures::transaction::{OnTransactionDrop, Transaction, TransactionMode};
use indexed_db_futures::{Build, KeyRange};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};

use super::fault::Fault;
use crate::error::{Code, Error};
use crate::store::{Records, Seq};

/// Reads. The work may await requests of this transaction and nothing else, or the browser ends it.
pub(super) async fn read<T>(
    database: &Database,
    stores: &[&str],
    work: impl AsyncFn(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut transaction = database.transaction(stores).with_mode(TransactionMode::Readonly).build()?;
    let found = work(&transaction).await?;
    // It has nothing left to do, and ends by itself; by default the wrapper would abort it.
    transaction.on_drop(OnTransactionDrop::Commit);
    Ok(found)
}

/// The records of a range, in order. The range is always explicit: the wrapper swaps the ends of `..x`.
pub(super) async fn records(log: &ObjectStore<'_>, range: KeyRange<f64>) -> Result<Records, Fault> {
    let keys = log.get_all_keys::<JsValue>().with_query::<f64, _>(range.clone()).primitive()?;
    let values = log.get_all::<JsValue>().with_query::<f64, _>(range).primitive()?;
    let (values, keys) = (values.await?, keys.await?);
    let mut records = Records::with_capacity(values.len());
    for (key, value) in keys.zip(values) {
        let key = key?.as_f64().filter(|key| *key >= 0.0).ok_or_else(wrong_type)?;
        records.push((key as Seq, bytes(&value?)?));
    }
    Ok(records)
}

/// The values under those keys, in the order asked for.
pub(super) async fn values(store: &ObjectStore<'_>, keys: &[u64]) -> Result<Vec<Option<Rc<[u8]>>>, Fault> {
    let mut requests = Vec::with_capacity(keys.len());
    for key in keys {
        requests.push(store.get::<JsValue, _, _>(*key as f64).primitive()?);
    }
    // Requests end in order: waiting for the last one first takes one handler for all of them.
    let last = match requests.pop() {
        Some(request) => request.await,
        None => return Ok(Vec::new()),
    };
    let mut found = Vec::with_capacity(keys.len());
    for request in requests {
        // Where one of these failed, the last says only that the transaction was aborted.
        found.push(value(request.await?)?);
    }
    found.push(value(last?)?);
    Ok(found)
}

/// A stored value that is not what this engine writes.
pub(super) fn wrong_type() -> Fault {
    Error::new(Code::Corrupt, "A stored value is not of the kind that this engine writes.").into()
}

fn value(found: Option<JsValue>) -> Result<Option<Rc<[u8]>>, Fault> {
    found.as_ref().map(bytes).transpose()
}

fn bytes(value: &JsValue) -> Result<Rc<[u8]>, Fault> {
    let array = value.dyn_ref::<Uint8Array>().ok_or_else(wrong_type)?;
    Ok(array.to_vec().into())
}
