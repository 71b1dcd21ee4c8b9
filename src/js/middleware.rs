//! The app's functions around its entities: `validate`, `beforeSave` and `afterRead`. They run in
//! JavaScript, once for each call of the app's; types without any never get here.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::js::convert::{Handles, decode, decode_many, from_js};
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
    /// A patch on its way to the engine.
    pub type Planned;

    #[wasm_bindgen(catch, js_name = makeMiddleware)]
    fn make(entity: &str, given: &JsValue) -> Result<Option<Middleware>, JsValue>;

    /// The text of what is stored for an entity of the app's.
    #[wasm_bindgen(method, catch)]
    pub fn save(this: &Middleware, value: &JsValue, what: &str) -> Result<String, JsValue>;
    /// The same for an array of them.
    #[wasm_bindgen(method, catch, js_name = saveMany)]
    pub fn save_many(this: &Middleware, values: &JsValue, what: &str) -> Result<String, JsValue>;
    /// A copy of what the app passed in, which it cannot change any more.
    #[wasm_bindgen(method, catch)]
    pub fn take(this: &Middleware, value: &JsValue, what: &str) -> Result<JsValue, JsValue>;
    /// The text of a patch, given the text of the entity.
    #[wasm_bindgen(method, catch)]
    pub fn patch(
        this: &Middleware,
        stored: Option<&str>,
        changes: &JsValue,
    ) -> Result<Planned, JsValue>;
    /// A conflict as its resolver sees it.
    #[wasm_bindgen(method, catch)]
    pub fn conflict(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;
    /// The text of what is stored for a resolver's answer.
    #[wasm_bindgen(method, catch)]
    pub fn merged(this: &Middleware, value: &JsValue, what: &str) -> Result<String, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn read(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = readMany)]
    fn read_many(this: &Middleware, text: &str) -> Result<JsValue, JsValue>;

    /// What to write.
    #[wasm_bindgen(method, getter)]
    pub fn text(this: &Planned) -> String;
    /// Whether that is the whole entity, since a patch cannot take a field away.
    #[wasm_bindgen(method, getter, js_name = isWhole)]
    pub fn is_whole(this: &Planned) -> bool;
}

/// Reads the functions of an entity type's config; none where it has none.
///
/// # Errors
/// [`Code::InvalidConfig`], naming the field and the fix.
pub fn read(entity: &str, given: &Handles) -> Result<Option<Middleware>> {
    make(entity, &given.0).map_err(|thrown| from_js(&thrown, Code::InvalidConfig))
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

/// Parked conflicts as the app sees them, from the text of a JSON array.
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
        // As for a read: one that cannot be shown as the app knows it hides no other.
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
