//! Values of JavaScript that Rust names by a number: futures of the rules must be `Send`, and such values are not.

use std::cell::RefCell;
use std::thread::LocalKey;

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// The values of one kind. A module lives as long as its process, and has few.
pub type Kept<T> = RefCell<Vec<T>>;

/// Keeps a value and returns its number.
pub fn keep<T>(all: &'static LocalKey<Kept<T>>, value: T) -> usize {
    all.with_borrow_mut(|all| {
        all.push(value);
        all.len().saturating_sub(1)
    })
}

/// Returns the message of a thrown value.
pub fn message(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok();
    message
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| format!("{thrown:?}"))
}

/// Returns the member `resultCode` of a thrown value: the code of SQLite.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The cast saturates.
pub fn result_code(thrown: &JsValue) -> Option<u32> {
    let code = Reflect::get(thrown, &"resultCode".into()).ok()?;
    code.as_f64().map(|code| code as u32)
}
