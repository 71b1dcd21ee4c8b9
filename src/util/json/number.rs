//! TODO

use serde_json::Number;

/// The number of a text that is known to follow JSON's grammar; none where it is too large.
#[must_use]
pub fn number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(number) = text.parse::<u64>() {
            return Some(Number::from(number));
        }
        // Only a fraction has a zero below zero.
        if text != "-0"
            && let Ok(number) = text.parse::<i64>()
        {
            return Some(Number::from(number));
        }
    }
    fraction(text).and_then(Number::from_f64)
}

// A browser has reading and writing of fractions built in; the tables for them are 10 KB of the
// module.
#[cfg(target_arch = "wasm32")]
fn fraction(text: &str) -> Option<f64> {
    js_sys::JSON::parse(text).ok()?.as_f64()
}

#[cfg(not(target_arch = "wasm32"))]
fn fraction(text: &str) -> Option<f64> {
    serde_json::from_str(text).ok()
}

/// Appends a number that may have a fraction; `null` where JSON has no word for it.
#[cfg(target_arch = "wasm32")]
pub(crate) fn push_fraction(out: &mut String, number: f64) {
    let text = js_sys::JSON::stringify(&wasm_bindgen::JsValue::from_f64(number))
        .ok()
        .and_then(|text| text.as_string());
    let text = text.unwrap_or_default();
    // JSON.stringify loses that sign.
    if number == 0.0 && number.is_sign_negative() {
        out.push('-');
    }
    out.push_str(&text);
    // As other writers have it: it is read back as what it was, a fraction.
    if number.is_finite() && !text.contains(['.', 'e']) {
        out.push_str(".0");
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn push_fraction(out: &mut String, number: f64) {
    match Number::from_f64(number) {
        Some(number) => out.push_str(&number.to_string()),
        None => out.push_str("null"),
    }
}
