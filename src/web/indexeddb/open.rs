//! The requests that create, open and delete a database.

use futures_util::future::{Either, select};
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::model::error::{Code, Error};
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::live::Handle;
use crate::web::indexeddb::read::{first, values_of};
use crate::web::timer::sleep;

#[wasm_bindgen(module = "/src/js/indexeddb.js")]
extern "C" {
    /// A request to open or to delete a database.
    #[wasm_bindgen(js_name = DatabaseRequest)]
    #[derive(Clone, Debug)]
    pub(super) type OpenRequest;
    /// Whether another tab holds the database.
    #[wasm_bindgen(method, getter)]
    pub(super) fn blocked(this: &OpenRequest) -> bool;
    #[wasm_bindgen(method, getter)]
    fn done(this: &OpenRequest) -> Promise;

    #[wasm_bindgen(js_name = openDatabase)]
    fn open_database(
        name: &str,
        stores: &str,
        identified: Option<&str>,
        identity: f64,
    ) -> OpenRequest;
    #[wasm_bindgen(js_name = deleteDatabase)]
    fn delete_database(name: &str) -> OpenRequest;
}

/// The content of a new database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    /// The object stores, with out-of-line keys and a space in between.
    pub(super) stores: &'static str,
    /// The store and key of a random number that identifies the database.
    pub(super) identity: Option<(&'static str, f64)>,
}

/// Issues an open request, which makes the database if there is none. Returns what it resolves to,
/// too.
pub(super) fn request(name: &str, schema: Schema) -> (OpenRequest, JsFuture) {
    let (identified, key) = schema.identity.unzip();
    let request = open_database(name, schema.stores, identified, key.unwrap_or_default());
    let done = JsFuture::from(request.done());
    (request, done)
}

/// Returns the database's identity.
pub(super) async fn identity(handle: &Handle, schema: Schema) -> Result<f64, Fault> {
    let Some((store, key)) = schema.identity else {
        return Ok(0.0);
    };
    let read = values_of(&handle.database, store, &Array::of1(&key.into()));
    let found = handle.outcome(read).await?;
    Ok(first(found).as_f64().unwrap_or_default())
}

/// Deletes a database, and waits `patience_ms` milliseconds at most for that.
pub(super) async fn delete(name: &str, patience_ms: u64) -> Result<(), Fault> {
    let request = delete_database(name);
    let patience = Box::pin(sleep(patience_ms));
    match select(JsFuture::from(request.done()), patience).await {
        Either::Left((Ok(_), _)) => Ok(()),
        Either::Left((Err(thrown), _)) => Err(Fault::thrown(&thrown)),
        Either::Right(_) => Err(unanswered(request.blocked()).into()),
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
