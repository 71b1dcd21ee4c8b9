//! The parts of the module that pages load after the first one: see `parts.js`.

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::web::interop::await_value;

/// The part with what writes and cycles run.
const CYCLES: u32 = 1;

#[wasm_bindgen(module = "/src/js/parts.js")]
extern "C" {
    #[wasm_bindgen(js_name = isLoaded)]
    fn is_loaded(part: u32) -> bool;
    /// Returns true if nothing is left to load. A page that is being left can load nothing, so it must
    /// not run what may be in a later part.
    #[wasm_bindgen(js_name = isWhole)]
    pub(crate) fn is_whole() -> bool;
    fn arrival(part: u32) -> Promise;
    #[wasm_bindgen(js_name = whole)]
    fn ask_for_all() -> Promise;
}

/// Resolves when the engine can run cycles without loading anything, however long that takes.
pub(crate) async fn cycles() {
    if !is_loaded(CYCLES) {
        // It never rejects.
        let _ = await_value(&arrival(CYCLES)).await;
    }
}

/// Loads all parts.
///
/// # Errors
/// Fails with what was thrown if one cannot be had.
pub(super) async fn whole() -> std::result::Result<(), JsValue> {
    if is_whole() {
        return Ok(());
    }
    await_value(&ask_for_all()).await.map(drop)
}
