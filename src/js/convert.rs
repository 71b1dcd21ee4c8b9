//! The border between Rust and JavaScript values: errors, JSON text, options, strings, promises.
//!
//! Entities cross as JSON text, once per call. What an app passes in is read here, at once and with
//! every exception caught: a getter or a proxy of the app's must never unwind through the engine.

use std::borrow::Cow;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;

use js_sys::{Function, Promise, Reflect};
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortSignal;

use crate::model::error::{Code, Error, Result};
use crate::model::object_reader::ObjectReader;
use crate::util::json::scan::parse;
use crate::util::json::{scan, serialize};
use crate::web::http::failure;

#[wasm_bindgen(module = "/src/js/support.js")]
extern "C" {
    /// The class of every rejection; exported again by the generated module, for the package's own.
    #[wasm_bindgen(js_name = DatumError, reexport)]
    pub type DatumError;

    #[wasm_bindgen(js_name = makeError)]
    fn make_error(json: &str) -> JsValue;
    #[wasm_bindgen(catch, js_name = textOf)]
    fn text_of(value: &JsValue) -> Result<String, JsValue>;
    #[wasm_bindgen(catch, js_name = linesOf)]
    fn lines_of(values: &JsValue) -> Result<String, JsValue>;
    fn blame(fault: &JsValue, code: &str, what: &str) -> JsValue;
    #[wasm_bindgen(catch, js_name = decode)]
    fn decode_text(text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = decodeMany)]
    fn decode_array(text: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = readOptions)]
    fn split_options(
        value: &JsValue,
        code: &str,
        what: &str,
        live: &JsValue,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = isWellFormed)]
    fn is_well_formed(text: &JsValue) -> bool;
    fn pledge() -> Promise;
    fn settle(promise: &Promise, fulfilled: bool, value: &JsValue);
    fn dying(place: &str);
    fn died(message: &str);
}

/// The JSON text of a value that the app passed in.
///
/// # Errors
/// `code`, naming the place in the value, for what JSON would lose or change: BigInt, functions,
/// NaN, `undefined` in arrays, cycles, maps, typed arrays, lone surrogates.
pub fn encode(value: &JsValue, code: Code, what: &str) -> Result<String> {
    text_of(value).map_err(|fault| from_js(&blame(&fault, code.as_str(), what), code))
}

/// The JSON texts of an array that the app passed in, in one call: one line for each item.
///
/// # Errors
/// As for [`encode`]; also where the value is not an array.
pub fn encode_many(values: &JsValue, code: Code, what: &str) -> Result<String> {
    lines_of(values).map_err(|fault| from_js(&blame(&fault, code.as_str(), what), code))
}

/// The value of a JSON text, frozen to its depth.
///
/// # Errors
/// [`Code::Corrupt`] where the text is not JSON.
pub fn decode(text: &str) -> Result<JsValue> {
    decode_text(text).map_err(|thrown| {
        Error::new(Code::Corrupt, "A stored value is not JSON.").caused_by(failure::words(&thrown))
    })
}

/// The entities of a JSON array, each frozen to its depth, in one call. The array itself is not
/// frozen: it is made for this caller, who may sort it.
///
/// # Errors
/// As for [`decode`].
pub fn decode_many(text: &str) -> Result<JsValue> {
    decode_array(text).map_err(|thrown| {
        Error::new(Code::Corrupt, "A stored value is not JSON.").caused_by(failure::words(&thrown))
    })
}

/// A small value (status, result, metadata) as a frozen JavaScript object: what is missing is
/// absent. Never for entities.
///
/// # Errors
/// [`Code::Corrupt`] where the value has no JavaScript form.
pub fn to_js<T: Serialize + ?Sized>(value: &T) -> Result<JsValue> {
    // As text: a second serializer for the same types would cost more code than a parse costs time.
    decode(&serialize::to_string(value))
}

/// A failure as the `DatumError` that the app catches.
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

/// What JavaScript threw, as a failure: its own code where that is one of ours, else `otherwise`.
#[must_use]
pub fn from_js(thrown: &JsValue, otherwise: Code) -> Error {
    failure::coded(thrown).unwrap_or_else(|| Error::new(otherwise, failure::words(thrown)))
}

/// A string argument.
///
/// # Errors
/// [`Code::InvalidArgument`] where it is not a string, or has a lone surrogate, which UTF-8 cannot
/// hold.
pub fn read_string(value: &JsValue, what: &str) -> Result<String> {
    let Some(text) = value.as_string() else {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{what} must be a string."),
        ));
    };
    // The conversion puts U+FFFD for a lone surrogate: only then is there something to ask.
    if text.chars().any(|c| c == char::REPLACEMENT_CHARACTER) && !is_well_formed(value) {
        return Err(Error::new(
            Code::InvalidArgument,
            format!("{what} has a lone surrogate; strings must be well-formed Unicode."),
        ));
    }
    Ok(text)
}

/// An array of strings.
///
/// # Errors
/// [`Code::InvalidArgument`], naming the place.
pub fn read_strings(value: &JsValue, what: &str) -> Result<Vec<String>> {
    let text = encode_many(value, Code::InvalidArgument, what)?;
    let wrong = |index| {
        Error::new(
            Code::InvalidArgument,
            format!("{what}: `[{index}]` must be a string."),
        )
    };
    lines(&text)
        .enumerate()
        .map(|(index, line)| {
            scan::text(line)
                .map(Cow::into_owned)
                .ok_or_else(|| wrong(index))
        })
        .collect()
}

/// The texts that [`encode_many`] gave in one.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}

/// What of an options object lives only in JavaScript: functions, signals, adapters.
#[derive(Debug, Clone)]
pub struct Handles(pub JsValue);

impl Handles {
    /// The value of a key; none where it is absent, undefined or null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<JsValue> {
        Reflect::get(&self.0, &JsValue::from_str(key))
            .ok()
            .filter(|value| !value.is_undefined() && !value.is_null())
    }

    /// A function.
    ///
    /// # Errors
    /// `code` where it is something else.
    pub fn function(&self, key: &str, code: Code) -> Result<Option<Function>> {
        self.get(key)
            .map(|value| {
                value
                    .dyn_into()
                    .map_err(|_| Error::new(code, format!("`{key}` must be a function.")))
            })
            .transpose()
    }

    /// An `AbortSignal`, of this realm or another.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] where it is something else.
    pub fn signal(&self, key: &str) -> Result<Option<AbortSignal>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let has = |name: &str| Reflect::get(&value, &JsValue::from_str(name)).ok();
        if has("aborted").is_some_and(|aborted| aborted.as_bool().is_some())
            && has("addEventListener").is_some_and(|f| f.is_function())
        {
            return Ok(Some(value.unchecked_into()));
        }
        Err(Error::new(
            Code::InvalidArgument,
            format!("`{key}` must be an AbortSignal."),
        ))
    }
}

/// An options object, in two: its data, and what lives only in JavaScript.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The data: an object, empty where no options were given.
    pub data: Value,
    /// The rest.
    pub handles: Handles,
    code: Code,
    what: &'a str,
    live: &'a [&'a str],
}

impl Options<'_> {
    /// Reads the data.
    ///
    /// # Errors
    /// None: the data is an object.
    pub fn members(&self) -> Result<ObjectReader<'_>> {
        ObjectReader::new(&self.data, self.code, self.what)
            .map(|members| members.also_allow(self.live))
    }
}

/// Reads an options object: its data, and the keys named in `live` as they are. Absent options read
/// as an empty object.
///
/// # Errors
/// `code`, naming the field.
pub fn read_options<'a>(
    value: &JsValue,
    code: Code,
    what: &'a str,
    live: &'a [&'a str],
) -> Result<Options<'a>> {
    if value.is_undefined() || value.is_null() {
        // Most calls have none, and pay nothing for that.
        return Ok(Options {
            data: Value::Object(serde_json::Map::new()),
            handles: Handles(js_sys::Object::new().into()),
            code,
            what,
            live,
        });
    }
    let names: js_sys::Array = live.iter().map(|name| JsValue::from_str(name)).collect();
    let split = split_options(value, code.as_str(), what, &names)
        .map_err(|thrown| from_js(&thrown, code))?;
    let part = |key: &str| Reflect::get(&split, &JsValue::from_str(key)).unwrap_or_default();
    let data = read_json(&part("text").as_string().unwrap_or_default(), code, what)?;
    Ok(Options {
        data,
        handles: Handles(part("handles")),
        code,
        what,
        live,
    })
}

/// A promise of JavaScript's for a future, which rejects with a `DatumError`, also when the engine
/// dies.
pub fn promise(future: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    boxed_promise(Box::pin(future))
}

/// As [`promise`], where the failure is a JavaScript value already. Its two crossings are all that
/// a call's promise costs: no function of JavaScript's is held here.
pub fn promise_as_is(future: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>>) -> Promise {
    let given = pledge();
    let promise = given.clone();
    spawn_local(async move {
        let (fulfilled, value) = match future.await {
            Ok(value) => (true, value),
            Err(thrown) => (false, thrown),
        };
        settle(&promise, fulfilled, &value);
    });
    given
}

/// From here on, a panic rejects every call that waits, and every later one, with `engineDead`.
pub fn watch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            // The place is at hand. The words have to be allocated, and the allocator may be what
            // failed: that would end here.
            dying(info.location().map_or("", Location::file));
            died(&info.to_string());
        }));
    });
}

/// What a promise costs in code is paid once here, not once for each exported method.
fn boxed_promise(future: Pin<Box<dyn Future<Output = Result<JsValue>>>>) -> Promise {
    promise_as_is(Box::pin(async move {
        future.await.map_err(|error| error_to_js(&error))
    }))
}

fn read_json(text: &str, code: Code, what: &str) -> Result<Value> {
    parse(text.as_bytes())
        .map_err(|cause| Error::new(code, format!("{what} could not be read.")).caused_by(cause))
}
