//! One readwrite transaction, issued and committed within one turn of the event loop.
//!
//! Nothing is awaited between its first request and `commit()`, so it holds in `pagehide` too, and
//! no browser can close it early. `complete` is the only sign of success.

use std::cell::Cell;
use std::future::Future;

use indexed_db_futures::database::Database;
use indexed_db_futures::internals::SystemRepr;
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Event, IdbRequest, IdbTransaction};

use super::event::until;
use super::fault::Fault;
use crate::store::Durability;
use crate::wait::oneshot;

/// Everything that one transaction writes. Issuing it twice is harmless.
#[derive(Debug)]
pub(super) struct Batch {
    /// The object stores that it touches.
    pub(super) stores: &'static [&'static str],
    /// How durable `complete` has to be.
    pub(super) durability: Durability,
    /// What is written whatever was there.
    pub(super) changes: Vec<Change>,
    /// What is written only if its key is free; else nothing of the batch is.
    pub(super) add: Option<(&'static str, JsValue, JsValue)>,
}

/// One unconditional request.
#[derive(Debug)]
pub(super) enum Change {
    /// Store, key, value.
    Put(&'static str, JsValue, JsValue),
    /// Store, key.
    Delete(&'static str, JsValue),
}

/// How a transaction ended, where nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It completed.
    All,
    /// The key of its `add` was taken: nothing was written.
    Nothing,
}

/// Writes the batch, or nothing. The requests are issued by the call; the future only waits.
pub(super) fn write(database: &Database, batch: &Batch) -> impl Future<Output = Result<Written, Fault>> + use<> {
    let issued = issue(database, batch);
    async move {
        match issued?.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::named("AbortError", "The transaction's answer was lost.")),
        }
    }
}

type Outcome = oneshot::Receiver<Result<Written, Fault>>;

fn issue(database: &Database, batch: &Batch) -> Result<Outcome, Fault> {
    let durability = match batch.durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    // The transaction is ours: the wrapper loses abort reasons and commits late.
    let names: Array = batch.stores.iter().map(|name| JsValue::from_str(name)).collect();
    let options = Object::new();
    // Setting a member of an object of our own cannot fail.
    let _ = Reflect::set(&options, &"durability".into(), &durability.into());
    let transaction = database.as_sys().unchecked_ref::<Durable>().transaction(&names, "readwrite", &options)?;

    match request_all(&transaction, batch) {
        Ok(outcome) => Ok(outcome),
        Err(thrown) => {
            // A request that throws does not abort its transaction: the others would be stored.
            let _ = transaction.abort();
            Err(Fault::thrown(&thrown))
        }
    }
}

fn request_all(transaction: &IdbTransaction, batch: &Batch) -> Result<Outcome, JsValue> {
    for change in &batch.changes {
        match change {
            Change::Put(store, key, value) => transaction.object_store(store)?.put_with_key(value, key)?,
            Change::Delete(store, key) => transaction.object_store(store)?.delete(key)?,
        };
    }
    // Always the last request. In Firefox 153 a failing request that others follow, in a transaction
    // with an explicit commit(), does not abort: the others are stored.
    let add = match &batch.add {
        Some((store, key, value)) => Some(transaction.object_store(store)?.add_with_key(value, key)?),
        None => None,
    };

    let (on_event, outcome) = until(verdict(transaction.clone()));
    transaction.set_oncomplete(Some(&on_event));
    transaction.set_onabort(Some(&on_event));
    if let Some(add) = &add {
        add.set_onerror(Some(&on_event));
    }
    commit(transaction)?;
    Ok(outcome)
}

/// Reads the outcome off the events: an error of the `add` first, then one end.
fn verdict(transaction: IdbTransaction) -> impl FnMut(&Event) -> Option<Result<Written, Fault>> {
    let taken = Cell::new(false);
    move |event| match event.type_().as_str() {
        "complete" => Some(Ok(if taken.get() { Written::Nothing } else { Written::All })),
        "abort" if taken.get() => Some(Ok(Written::Nothing)),
        "abort" => Some(Err(match transaction.error() {
            Some(reason) => Fault::Browser { name: reason.name(), message: reason.message() },
            // Nobody here aborts a transaction that was committed: the connection was lost.
            None => Fault::named("AbortError", "The transaction was aborted."),
        })),
        _ => {
            // Safari's engine aborts with a null `tx.error`, so the verdict is the request's.
            let request = event.target().and_then(|target| target.dyn_into::<IdbRequest>().ok());
            let error = request.and_then(|request| request.error().ok().flatten());
            taken.set(error.is_some_and(|error| error.name() == "ConstraintError"));
            None
        }
    }
}

// web-sys marks it deprecated; the standard does not.
#[expect(deprecated)]
fn commit(transaction: &IdbTransaction) -> Result<(), JsValue> {
    transaction.commit()
}

#[wasm_bindgen]
extern "C" {
    // web-sys has the options of a transaction behind an unstable flag only.
    #[wasm_bindgen(js_name = IDBDatabase)]
    type Durable;

    #[wasm_bindgen(method, catch)]
    fn transaction(this: &Durable, stores: &Array, mode: &str, options: &Object) -> Result<IdbTransaction, JsValue>;
}
