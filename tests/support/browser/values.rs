//! Asks JavaScript about values.

use wasm_bindgen::JsValue;

use super::remote::js;

/// Asserts that a JavaScript function of one argument is true of a value.
#[track_caller]
pub fn holds(function: &str, value: &JsValue) {
    let said = js_sys::Function::from(js(function))
        .call1(&JsValue::UNDEFINED, value)
        .unwrap();
    assert_eq!(said.as_bool(), Some(true), "{function}: {value:?}");
}
