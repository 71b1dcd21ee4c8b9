//! The parts of the module that pages load after the first one: see `parts.js`.

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::web::interop::await_value;

/// The part with what cycles run.
const CYCLES: u32 = 1;

#[wasm_bindgen(module = "/src/js/parts.js")]
extern "C" {
    #[wasm_bindgen(js_name = isLoaded)]
    fn is_loaded(part: u32) -> bool;
    fn patiently(part: u32) -> Promise;
}

/// Returns true if the engine can run cycles without loading anything.
pub(super) fn has_cycles() -> bool {
    is_loaded(CYCLES)
}

/// Resolves when the engine can run cycles without loading anything, however long that takes.
pub(super) async fn cycles() {
    if !has_cycles() {
        // It never rejects.
        let _ = await_value(&patiently(CYCLES)).await;
    }
}
