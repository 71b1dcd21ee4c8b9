//! The parts of the module that pages load after the first one: see `parts.js`.

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::web::interop::await_value;

/// The part with what cycles run.
const CYCLES: u32 = 1;
/// The part with all that is left.
const REST: u32 = 2;

#[wasm_bindgen(module = "/src/js/parts.js")]
extern "C" {
    #[wasm_bindgen(js_name = isLoaded)]
    fn is_loaded(part: u32) -> bool;
    fn arrival(part: u32) -> Promise;
}

/// Returns true if nothing is left to load. A page that is being left can load nothing, so it must not run
/// what may be in a later part.
pub(super) fn is_whole() -> bool {
    is_loaded(REST)
}

/// Resolves when the engine can run cycles without loading anything, however long that takes.
pub(super) async fn cycles() {
    if !is_loaded(CYCLES) {
        // It never rejects.
        let _ = await_value(&arrival(CYCLES)).await;
    }
}
