//! Converts between Rust and JavaScript: errors, JSON text, options, promises.
//!
//! Entities cross as JSON text, once per call. Arguments are read immediately and every exception
//! is caught: a getter or a proxy of the app must never unwind through the engine.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;

use js_sys::Promise;
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::model::checked_object::CheckedObject;
use crate::model::error::{Code, Error, Result};
use crate::util::json::scan::parse;
use crate::util::json::serialize;
use crate::web::interop::{is_absent, member, spawn, thrown_text};
use crate::web::thrown::error_of;

#[wasm_bindgen(module = "/src/js/support.js")]
extern "C" {
    /// The class of every rejection. The generated module exports it again for the package's entry.
    #[wasm_bindgen(js_name = DatumError, reexport)]
    pub type DatumError;

    #[wasm_bindgen(js_name = makeError)]
    fn make_error(json: &str) -> JsValue;
    #[wasm_bindgen(catch, js_name = textOf)]
    fn text_of(value: &JsValue, is_entity: bool) -> Result<String, JsValue>;
    #[wasm_bindgen(catch, js_name = linesOf)]
    fn lines_of(values: &JsValue, is_entity: bool) -> Result<String, JsValue>;
    fn blame(fault: &JsValue, code: &str, what: &str) -> JsValue;
    #[wasm_bindgen(catch, js_name = decode)]
    fn decode_text(text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = decodeMany)]
    fn decode_array(text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = isWellFormed)]
    pub(super) fn is_well_formed(text: &JsValue) -> bool;
    fn pledge(is_feed: bool) -> Promise;
    fn settle(promise: &Promise, fulfilled: bool, value: &JsValue);
    fn dying(place: &str);
    fn died(message: &str);
}

#[wasm_bindgen(module = "/src/js/options.js")]
extern "C" {
    /// What has been read: its data as JSON, and its live members.
    type Reading;
}

// By `config.js`, which passes it on: the server of the browser suites may hang on a page that asks
// it for more than four files at once.
#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readOptions)]
    fn read_given(value: &JsValue, kind: &str) -> Result<Reading, JsValue>;
}

/// Returns the JSON text of a value that the app passed in.
///
/// # Errors
/// Fails with `code`, naming the place in the value, for what JSON would lose or change: BigInt,
/// functions, NaN, `undefined` in arrays, cycles, maps, typed arrays, lone surrogates.
pub fn encode(value: &JsValue, code: Code, what: &str) -> Result<String> {
    text_of(value, false).map_err(|fault| from_js(&blame(&fault, code.as_str(), what), code))
}

/// As [`encode`], for an entity: lone surrogates pass, and its write refuses those that are new.
///
/// # Errors
/// As for [`encode`], with [`Code::InvalidEntity`].
pub fn encode_entity(value: &JsValue, what: &str) -> Result<String> {
    text_of(value, true).map_err(|fault| blamed(&fault, what))
}

fn blamed(fault: &JsValue, what: &str) -> Error {
    let code = Code::InvalidEntity;
    from_js(&blame(fault, code.as_str(), what), code)
}

/// Returns the JSON texts of an array's items, one line each, in one call into JavaScript.
///
/// # Errors
/// As for [`encode`]; also if the value is not an array.
pub fn encode_many(values: &JsValue, code: Code, what: &str) -> Result<String> {
    lines_of(values, false).map_err(|fault| from_js(&blame(&fault, code.as_str(), what), code))
}

/// As [`encode_many`], for entities: see [`encode_entity`].
///
/// # Errors
/// As for [`encode_many`], with [`Code::InvalidEntity`].
pub fn encode_entities(values: &JsValue, what: &str) -> Result<String> {
    lines_of(values, true).map_err(|fault| blamed(&fault, what))
}

/// Returns the value of a JSON text, deeply frozen.
///
/// # Errors
/// Fails with [`Code::Corrupt`] if the text is not JSON.
pub fn decode(text: &str) -> Result<JsValue> {
    decode_text(text).map_err(|thrown| {
        Error::new(Code::Corrupt, "A stored value is not JSON.").caused_by(thrown_text(&thrown))
    })
}

/// Returns the entities of a JSON array, each deeply frozen, in one call into JavaScript. The array
/// itself is not frozen: it belongs to the caller, who may sort it.
///
/// # Errors
/// As for [`decode`].
pub fn decode_many(text: &str) -> Result<JsValue> {
    decode_array(text).map_err(|thrown| {
        Error::new(Code::Corrupt, "A stored value is not JSON.").caused_by(thrown_text(&thrown))
    })
}

/// Returns a small value (status, result, metadata) as a deeply frozen JavaScript object. Never
/// used for entities.
///
/// # Errors
/// Fails with [`Code::Corrupt`] if the value has no JavaScript form.
pub fn to_js<T: Serialize + ?Sized>(value: &T) -> Result<JsValue> {
    // As text: serde-wasm-bindgen is a second serializer for the same types, costs 2.7 to 3.9 KiB
    // (brotli) here, and makes an idle cycle cross the border 610 times, once for each member of
    // each status; `tests/e2e/counts` allows 450.
    decode(&serialize::to_string(value))
}

/// As [`to_js`]; null for `None`.
///
/// # Errors
/// As [`to_js`].
pub fn nullable_to_js<T: Serialize>(value: Option<&T>) -> Result<JsValue> {
    value.map_or(Ok(JsValue::NULL), to_js)
}

/// Returns an error as the `DatumError` that the app catches.
#[must_use]
pub fn error_to_js(error: &Error) -> JsValue {
    /// The members of a `DatumError`, by their JavaScript names.
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Detail<'a> {
        code: Code,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        entity: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        entity_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a str>,
    }
    let detail = Detail {
        code: error.code(),
        message: error.message(),
        user_id: error.user_id(),
        entity: error.entity(),
        entity_id: error.entity_id(),
        status: error.status(),
        retry_after_ms: error.retry_after_ms(),
        cause: error.cause(),
    };
    make_error(&serialize::to_string(&detail))
}

/// Returns the error for what JavaScript threw: with its own code if that is one of ours, else with
/// `otherwise`.
#[must_use]
pub fn from_js(thrown: &JsValue, otherwise: Code) -> Error {
    error_of(thrown, otherwise)
}

/// Splits the text of [`encode_many`] into its items.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}

/// Options that JavaScript has read and checked.
#[derive(Debug)]
pub struct GivenOptions {
    /// Null if no options were given.
    data: Value,
    /// Their functions and signals.
    live: JsValue,
}

impl GivenOptions {
    /// Returns the data.
    #[must_use]
    pub const fn data(&self) -> CheckedObject<'_> {
        CheckedObject(&self.data)
    }

    /// Returns a function or a signal.
    #[must_use]
    pub fn live<T: JsCast>(&self, key: &str) -> Option<T> {
        Some(member(&self.live, key))
            .filter(|value| !is_absent(value))
            .map(JsCast::unchecked_into)
    }
}

/// Reads options; `kind` is a key of `OPTIONS` in `options.js`.
///
/// # Errors
/// Fails with [`Code::InvalidArgument`], naming the field.
pub fn read_options(value: &JsValue, kind: &str) -> Result<GivenOptions> {
    if is_absent(value) {
        // Most calls have no options, and pay nothing for them.
        return Ok(GivenOptions {
            data: Value::Null,
            live: JsValue::UNDEFINED,
        });
    }
    let live = read_given(value, kind).map_err(|thrown| from_js(&thrown, Code::InvalidArgument))?;
    let data = read_data(&live)?;
    Ok(GivenOptions {
        data,
        live: live.into(),
    })
}

/// Reads the data of what JavaScript has checked; null if there is none.
///
/// # Errors
/// None: JavaScript has written it as JSON.
pub(super) fn read_data(checked: &JsValue) -> Result<Value> {
    let Some(json) = member(checked, "json").as_string() else {
        return Ok(Value::Null);
    };
    parse(json.as_bytes()).map_err(|cause| {
        Error::new(Code::InvalidArgument, "The options are no JSON.").caused_by(cause)
    })
}

/// Returns a JavaScript promise for a future. It rejects with a `DatumError`, also if the engine
/// panics.
pub fn promise(future: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    promise_as_is(into_js(Box::pin(future)))
}

/// As [`promise`], for the next value of a feed: waiting for it does not keep a Node process from
/// ending.
pub fn feed_promise(future: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    pledged(pledge(true), into_js(Box::pin(future)))
}

/// As [`promise`], for a failure that is a JavaScript value already.
pub fn promise_as_is(future: JsFuture) -> Promise {
    pledged(pledge(false), future)
}

/// Settles a promise with the future's outcome. A promise costs two calls into JavaScript, and no
/// JavaScript function is held here.
fn pledged(promise: Promise, future: JsFuture) -> Promise {
    let returned = promise.clone();
    spawn(async move {
        let (fulfilled, value) = match future.await {
            Ok(value) => (true, value),
            Err(thrown) => (false, thrown),
        };
        settle(&promise, fulfilled, &value);
    });
    returned
}

/// Makes a panic reject every pending call, and every later one, with `engineDead`.
pub fn watch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            // First without allocating: the panic may be the allocator's own, and formatting the
            // message would then end here.
            dying(info.location().map_or("", Location::file));
            died(&info.to_string());
        }));
    });
}

type JsFuture = Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>;

// Boxed: the code of a promise exists once, and not once for each exported method.
fn into_js(future: Pin<Box<dyn Future<Output = Result<JsValue>>>>) -> JsFuture {
    Box::pin(async move { future.await.map_err(|error| error_to_js(&error)) })
}
