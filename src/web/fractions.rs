//! The browser's reader and printer of fractions, for [`crate::util::json::number`].

use js_sys::JSON;
use wasm_bindgen::JsValue;

use crate::util::json::number::{FractionFns, install};

/// Makes the JSON reader and writer use the browser's functions.
pub fn install_browser_fractions() {
    install(FractionFns { read, push });
}

fn read(text: &str) -> Option<f64> {
    JSON::parse(text).ok()?.as_f64()
}

fn push(out: &mut String, number: f64) {
    let text = JSON::stringify(&JsValue::from_f64(number))
        .ok()
        .and_then(|text| text.as_string())
        .unwrap_or_default();
    // `JSON.stringify` drops the sign of a negative zero.
    if number == 0.0 && number.is_sign_negative() {
        out.push('-');
    }
    out.push_str(&text);
    // Marks a whole number as a fraction, as serde_json does, so that it is read back as one.
    if !text.contains(['.', 'e']) {
        out.push_str(".0");
    }
}
