//! The requests that create, open and delete a database.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use indexed_db_futures::Build;
use indexed_db_futures::database::Database;
use indexed_db_futures::factory::DBFactory;
use indexed_db_futures::future::OpenDbRequest;
use indexed_db_futures::internals::SystemRepr;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, IdbDatabase, IdbOpenDbRequest};

use crate::model::error::{Code, Error};
use crate::web::indexeddb::callback::until;
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::read::{begin, get};
use crate::web::interop::{EventCallback, function_of};
use crate::web::timer::sleep;

/// The version of every database. Migrations are records of the log instead: another version would
/// need every other tab to close its connection first.
const VERSION: u8 = 1;

/// The content of a new database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    /// The object stores, with out-of-line keys.
    pub(super) stores: &'static [&'static str],
    /// The store and key of a random number that identifies the database.
    pub(super) identity: Option<(&'static str, f64)>,
}

/// Issues an open request, which makes the database if there is none.
pub(super) fn request(
    name: &str,
    schema: Schema,
    blocked: Rc<Cell<bool>>,
) -> Result<(OpenDbRequest, EventCallback), Fault> {
    let request = Database::open(name).with_version(VERSION).build()?;
    let on_event = EventCallback::new(move |event: Event| {
        if event.type_() == "blocked" {
            blocked.set(true);
            return;
        }
        let request: Option<IdbOpenDbRequest> = event.target().map(JsCast::unchecked_into);
        if let Some(request) = request
            && make(&request, schema).is_err()
            && let Some(transaction) = request.transaction()
        {
            // The open then fails, and the next one creates everything again.
            let _ = transaction.abort();
        }
    });
    request.as_sys().set_onblocked(Some(function_of(&on_event)));
    request
        .as_sys()
        .set_onupgradeneeded(Some(function_of(&on_event)));
    Ok((request, on_event))
}

/// Creates the content of a new database.
fn make(request: &IdbOpenDbRequest, schema: Schema) -> Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    for name in schema.stores {
        let store = database.create_object_store(name)?;
        if let Some((_, key)) = schema.identity.filter(|(identity, _)| identity == name) {
            store.put_with_key(
                &JsValue::from_f64(js_sys::Math::random()),
                &JsValue::from_f64(key),
            )?;
        }
    }
    Ok(())
}

/// Returns the database's identity.
pub(super) async fn identity(database: &Database, schema: Schema) -> Result<f64, Fault> {
    let Some((store, key)) = schema.identity else {
        return Ok(0.0);
    };
    let transaction = begin(database, &[store])?;
    let found = get(&transaction.object_store(store)?, JsValue::from_f64(key)).await?;
    Ok(found.and_then(|found| found.as_f64()).unwrap_or_default())
}

/// Deletes a database, and waits `patience_ms` milliseconds at most for that.
pub(super) async fn delete(name: &str, patience_ms: u64) -> Result<(), Fault> {
    let factory = DBFactory::new()?;
    // Not by the request of indexed_db_futures, which has no handler for `blocked`; and ours outlives
    // a caller whose patience has ended.
    let request = factory
        .as_sys()
        .delete_database(name)
        .map_err(|thrown| Fault::thrown(&thrown))?;
    let blocked = Rc::new(Cell::new(false));
    let is_blocked = Rc::clone(&blocked);
    let (on_event, deleted) = until(move |event| match event.type_().as_str() {
        "success" => Some(Ok(())),
        "error" => {
            let request: Option<IdbOpenDbRequest> = event.target().map(JsCast::unchecked_into);
            let error = request.and_then(|request| request.error().ok().flatten());
            Some(Err(match error {
                Some(error) => Fault::Browser {
                    name: error.name(),
                    message: error.message(),
                },
                None => Fault::named("UnknownError", "The database was not deleted."),
            }))
        }
        _ => {
            is_blocked.set(true);
            None
        }
    });
    request.set_onsuccess(Some(&on_event));
    request.set_onerror(Some(&on_event));
    request.set_onblocked(Some(&on_event));
    let patience = Box::pin(sleep(patience_ms));
    match select(deleted, patience).await {
        Either::Left((Ok(answer), _)) => answer,
        Either::Left((Err(_), _)) => Err(Fault::named("UnknownError", "The answer was lost.")),
        Either::Right(_) => Err(unanswered(blocked.get()).into()),
    }
}

/// Returns the error of a request that has timed out.
pub(super) fn unanswered(blocked: bool) -> Error {
    let problem = if blocked {
        "Another tab holds the database and does not let go; close the app's other tabs, then try again."
    } else {
        "The browser does not answer for the database; close the app's other tabs, or restart the browser, then try again."
    };
    Error::new(Code::StorageBlocked, problem)
}
