//! The requests that make, open and delete a database.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest};

use super::connection::Schema;
use super::event::until;
use super::fault::Fault;
use super::read::{answer, begin, outcome};
use crate::error::{Code, Error};
use crate::host::web::sleep;
use crate::wait::oneshot;

/// The version of every database of ours. Migrations go by a record, as another version needs
/// every other tab to let go first.
const VERSION: u32 = 1;

/// What a request is going to answer.
type Answer = oneshot::Receiver<Result<JsValue, Fault>>;

/// The browser's databases. Asked for each time: reading the member may throw, where a page may store nothing.
fn factory() -> Result<IdbFactory, Fault> {
    let found = Reflect::get(&js_sys::global(), &"indexedDB".into())?;
    if found.is_undefined() || found.is_null() {
        return Err(Fault::named("NotSupportedError", "There is no indexedDB."));
    }
    Ok(found.unchecked_into())
}

/// Asks for a database to be opened, and made where there is none.
pub(super) fn open(name: &str, schema: Schema, blocked: Rc<Cell<bool>>) -> Result<Answer, Fault> {
    Ok(hear(factory()?.open_with_u32(name, VERSION)?, blocked, schema))
}

/// Listens to a request until it has its end.
fn hear(request: IdbOpenDbRequest, blocked: Rc<Cell<bool>>, schema: Schema) -> Answer {
    let asked = request.clone();
    let (on_event, answered) = until(move |event| match event.type_().as_str() {
        "success" => Some(outcome(&asked)),
        // With a reason, in all engines but WebKit's.
        "error" => Some(outcome(&asked).and_then(|_| Err(Fault::named("UnknownError", "The request failed.")))),
        "upgradeneeded" => {
            if make(&asked, schema).is_err()
                && let Some(transaction) = asked.transaction()
            {
                // The open then fails, and the next one makes it all again.
                let _ = transaction.abort();
            }
            None
        }
        _ => {
            blocked.set(true);
            None
        }
    });
    request.set_onsuccess(Some(&on_event));
    request.set_onerror(Some(&on_event));
    request.set_onblocked(Some(&on_event));
    request.set_onupgradeneeded(Some(&on_event));
    answered
}

/// The answer, where there was one.
pub(super) fn given(answer: Result<Result<JsValue, Fault>, oneshot::Missing>) -> Result<JsValue, Fault> {
    answer.unwrap_or_else(|_| Err(Fault::named("UnknownError", "The answer was lost.")))
}

/// Makes what a new database is made of.
fn make(request: &IdbOpenDbRequest, schema: Schema) -> Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    for name in schema.stores {
        let store = database.create_object_store(name)?;
        if let Some((_, key)) = schema.identity.filter(|(identity, _)| identity == name) {
            store.put_with_key(&JsValue::from_f64(js_sys::Math::random()), &JsValue::from_f64(key))?;
        }
    }
    Ok(())
}

/// The database, and the number drawn when it was made.
pub(super) async fn identified(database: IdbDatabase, schema: Schema) -> Result<(IdbDatabase, f64), Fault> {
    let Some((name, key)) = schema.identity else {
        return Ok((database, 0.0));
    };
    match identity(&database, name, key).await {
        Ok(identity) => Ok((database, identity)),
        Err(fault) => {
            database.close();
            Err(fault)
        }
    }
}

async fn identity(database: &IdbDatabase, store: &str, key: f64) -> Result<f64, Fault> {
    let found = answer(&begin(database, &[store])?.object_store(store)?.get(&JsValue::from_f64(key))?).await?;
    Ok(found.as_f64().unwrap_or_default())
}

/// Asks for a database to be deleted, and waits as long as `patience_ms` for that.
pub(super) async fn delete(name: &str, patience_ms: u64) -> Result<(), Fault> {
    let blocked = Rc::new(Cell::new(false));
    let nothing = Schema { stores: &[], identity: None };
    let deleted = hear(factory()?.delete_database(name)?, Rc::clone(&blocked), nothing);
    match select(deleted, Box::pin(sleep(patience_ms))).await {
        Either::Left((answer, _)) => given(answer).map(drop),
        Either::Right(_) => Err(unanswered(blocked.get()).into()),
    }
}

/// The error of a request that has had no answer for as long as its caller would wait.
pub(super) fn unanswered(blocked: bool) -> Error {
    let problem = if blocked {
        "Another tab holds the database and does not let go; close the app's other tabs, then try again."
    } else {
        "The browser does not answer for the database; close the app's other tabs, or restart the browser, then try again."
    };
    Error::new(Code::StorageBlocked, problem)
}
