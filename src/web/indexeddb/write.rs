//! One readwrite transaction, issued and committed within one turn of the event loop.
//!
//! Nothing is awaited between its first request and `commit()`, so it holds in `pagehide` too, and
//! no browser can close it early. `complete` is the only sign of success.

use std::future::Future;

use indexed_db_futures::database::Database;
use indexed_db_futures::internals::SystemRepr;
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::{Event, IdbKeyRange, IdbRequest, IdbTransaction};

use crate::model::config::storage::Durability;
use crate::util::local_sync::oneshot;
use crate::web::indexeddb::callback::until;
use crate::web::indexeddb::fault::Fault;

/// The requests of one transaction. Issuing them twice is harmless.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) stores: &'static [&'static str],
    pub(super) durability: Durability,
    /// Unconditional requests.
    pub(super) changes: Vec<WriteRequest>,
    /// Store, key and value of a record that is written only if its key is free; if it is taken,
    /// the whole batch is not written.
    pub(super) add: Option<(&'static str, JsValue, JsValue)>,
}

/// One unconditional request.
#[derive(Debug)]
pub(super) enum WriteRequest {
    /// Store, key, value.
    Put(&'static str, JsValue, JsValue),
    /// Store, key.
    Delete(&'static str, JsValue),
    /// Store, the first key that stays.
    DeleteBelow(&'static str, JsValue),
}

/// How a transaction ended, if nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteOutcome {
    /// It completed.
    All,
    /// The key of its `add` was taken: nothing was written.
    Nothing,
}

/// Writes the batch, or nothing. The requests are issued by the call; the future only waits.
pub(super) fn write(
    database: &Database,
    batch: &Batch,
) -> impl Future<Output = Result<WriteOutcome, Fault>> + use<> {
    let issued = issue(database, batch);
    async move {
        match issued?.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::named(
                "AbortError",
                "The transaction's answer was lost.",
            )),
        }
    }
}

type OutcomeReceiver = oneshot::Receiver<Result<WriteOutcome, Fault>>;

fn issue(database: &Database, batch: &Batch) -> Result<OutcomeReceiver, Fault> {
    let durability = match batch.durability {
        Durability::Strict => "strict",
        Durability::Relaxed => "relaxed",
    };
    // Not by indexed_db_futures, whose transaction
    // - commits when its future is first polled, and not in this turn;
    // - drops `transaction.error`, so that a used-up quota looks like any abort;
    // - answers at the first error event, before the transaction has ended, and throws in the page
    //   at the second one, since its handler can be called once.
    let names: Array = batch
        .stores
        .iter()
        .map(|name| JsValue::from_str(name))
        .collect();
    let options = Object::new();
    // Setting a member of an object of our own cannot fail.
    let _ = Reflect::set(&options, &"durability".into(), &durability.into());
    let transaction =
        database
            .as_sys()
            .unchecked_ref::<Durable>()
            .transaction(&names, "readwrite", &options)?;

    match request_all(&transaction, batch) {
        Ok(outcome) => Ok(outcome),
        Err(thrown) => {
            // A request that throws does not abort its transaction: the others would be stored.
            let _ = transaction.abort();
            Err(Fault::thrown(&thrown))
        }
    }
}

fn request_all(transaction: &IdbTransaction, batch: &Batch) -> Result<OutcomeReceiver, JsValue> {
    for change in &batch.changes {
        match change {
            WriteRequest::Put(store, key, value) => {
                transaction.object_store(store)?.put_with_key(value, key)?
            }
            WriteRequest::Delete(store, key) => transaction.object_store(store)?.delete(key)?,
            WriteRequest::DeleteBelow(store, key) => transaction
                .object_store(store)?
                .delete(&IdbKeyRange::upper_bound_with_open(key, true)?.into())?,
        };
    }
    // Always the last request. In Firefox 153 a failing request that others follow, in a
    // transaction with an explicit commit(), does not abort: the others are stored.
    if let Some((store, key, value)) = &batch.add {
        transaction.object_store(store)?.add_with_key(value, key)?;
    }

    let (on_event, outcome) = until(verdict(transaction.clone()));
    transaction.set_oncomplete(Some(&on_event));
    transaction.set_onabort(Some(&on_event));
    // Of any request: an error rises from it to its transaction.
    transaction.set_onerror(Some(&on_event));
    commit(transaction)?;
    Ok(outcome)
}

/// Derives the outcome from the events: the error of a request, if there is one, then the end.
fn verdict(
    transaction: IdbTransaction,
) -> impl FnMut(&Event) -> Option<Result<WriteOutcome, Fault>> {
    let mut failed: Option<Fault> = None;
    move |event| {
        // Only the `add` can meet a key that is taken.
        let taken =
            matches!(&failed, Some(Fault::Browser { name, .. }) if name == "ConstraintError");
        match event.type_().as_str() {
            "complete" => Some(Ok(if taken {
                WriteOutcome::Nothing
            } else {
                WriteOutcome::All
            })),
            "abort" if taken => Some(Ok(WriteOutcome::Nothing)),
            "abort" => Some(Err(match (transaction.error(), failed.take()) {
                (Some(reason), _) => Fault::Browser {
                    name: reason.name(),
                    message: reason.message(),
                },
                // Safari's engine aborts with a null `tx.error`, so the request's error is used.
                (None, Some(failed)) => failed,
                // A committed transaction is never aborted here: the connection was lost.
                (None, None) => Fault::named("AbortError", "The transaction was aborted."),
            })),
            _ => {
                let request: Option<IdbRequest> = event.target().map(JsCast::unchecked_into);
                let error = request.and_then(|request| request.error().ok().flatten());
                // The first counts: later ones only say that the transaction is being aborted.
                failed = failed.take().or_else(|| {
                    error.map(|error| Fault::Browser {
                        name: error.name(),
                        message: error.message(),
                    })
                });
                None
            }
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
    fn transaction(
        this: &Durable,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}
