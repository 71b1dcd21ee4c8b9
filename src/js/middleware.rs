//! The app's functions around its entities: `validate`, `beforeSave` and `afterRead`. They run in
//! JavaScript, once per call of the app; types without middleware skip this module.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::js::convert::{decode, decode_many};
use crate::model::entity::Fields;
use crate::model::error::{Code, Error, Result};
use crate::util::collections::vec_map::VecMap;
use crate::util::json::scan;
use crate::web::interop::thrown_text;

/// By entity type; types without middleware are absent.
pub type Middlewares = Rc<VecMap<Middleware>>;

#[wasm_bindgen(module = "/src/js/support.js")]
extern "C" {
    fn report(fault: &JsValue);
}

#[wasm_bindgen(module = "/src/js/middleware.js")]
extern "C" {
    /// The functions of one entity type.
    #[derive(Clone)]
    pub type Middleware;
    /// A patch to pass to the engine.
    pub type Planned;

    /// Returns the text to store for an entity of the app.
    #[wasm_bindgen(method, catch)]
    pub fn save(this: &Middleware, value: &JsValue, what: &str) -> Result<String, JsValue>;
    /// As `save`, for an array of entities.
    #[wasm_bindgen(method, catch, js_name = saveMany)]
    pub fn save_many(this: &Middleware, values: &JsValue, what: &str) -> Result<String, JsValue>;
    /// Returns a copy of the app's argument, which the app can no longer change.
    #[wasm_bindgen(method, catch)]
    pub fn take(this: &Middleware, value: &JsValue, what: &str) -> Result<JsValue, JsValue>;
    /// Returns the patch to write, given the stored text of the entity.
    #[wasm_bindgen(method, catch)]
    pub fn patch(
        this: &Middleware,
        stored: Option<&str>,
        changes: &JsValue,
        removed: Vec<String>,
    ) -> Result<Planned, JsValue>;
    /// Returns a conflict in the form that its resolver gets.
    #[wasm_bindgen(method, catch)]
    pub fn conflict(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;
    /// Returns the text to store for a resolver's answer.
    #[wasm_bindgen(method, catch)]
    pub fn merged(this: &Middleware, value: &JsValue, what: &str) -> Result<String, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn read(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readMany)]
    fn read_many(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;

    /// The text to write.
    #[wasm_bindgen(method, getter)]
    pub fn text(this: &Planned) -> String;
    /// The names of the fields to remove.
    #[wasm_bindgen(method, getter)]
    pub fn removed(this: &Planned) -> Vec<String>;
}

/// As [`decode`], through the type's middleware.
///
/// # Errors
/// As for [`decode`].
pub fn decoded(text: &str, middleware: Option<&Middleware>) -> Result<JsValue> {
    middleware.map_or_else(
        || decode(text),
        |middleware| middleware.read(text).map_err(damaged),
    )
}

/// As [`decode_many`], through the type's middleware.
///
/// # Errors
/// As for [`decode_many`].
pub fn decoded_many(text: &str, middleware: Option<&Middleware>) -> Result<JsValue> {
    middleware.map_or_else(
        || decode_many(text),
        |middleware| middleware.read_many(text).map_err(damaged),
    )
}

/// Returns parked conflicts in the app's form, from the text of a JSON array.
///
/// # Errors
/// As for [`decode`].
pub fn conflicts(text: &str, middlewares: &Middlewares) -> Result<JsValue> {
    if middlewares.is_empty() {
        return decode(text);
    }
    let unreadable =
        |cause| Error::new(Code::Corrupt, "A stored conflict is not JSON.").caused_by(cause);
    let all = js_sys::Array::new();
    for conflict in scan::array(text).map_err(unreadable)? {
        let entity = Fields::parse(conflict)?.get("entity").and_then(scan::text);
        let middleware = entity.and_then(|entity| middlewares.get(&entity));
        // As in a read, a conflict that cannot be converted does not hide the others.
        let seen = middleware.and_then(|middleware| {
            middleware
                .conflict(conflict)
                .map_err(|fault| report(&fault))
                .ok()
        });
        all.push(&seen.map_or_else(|| decode(conflict), Ok)?);
    }
    Ok(js_sys::Object::freeze(&all).into())
}

fn damaged(thrown: JsValue) -> Error {
    Error::new(Code::Corrupt, "A stored value is not JSON.").caused_by(thrown_text(&thrown))
}
