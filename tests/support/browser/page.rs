//! What the browser tells a page or a worker, changed for a test.

use js_sys::Promise;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/tests/browser/built/page.js")]
extern "C" {
    #[wasm_bindgen(js_name = setVisibility)]
    pub fn set_visibility(state: Option<&str>);
    pub fn fire(event: &str);
    #[wasm_bindgen(js_name = fireAtDocument)]
    pub fn fire_at_document(event: &str);
    #[wasm_bindgen(js_name = turnPage)]
    pub fn turn_page(event: &str, persisted: bool);
    #[wasm_bindgen(js_name = replaceLocks)]
    pub fn replace_locks(kind: &str);
    #[wasm_bindgen(js_name = restoreLocks)]
    pub fn restore_locks();
    #[wasm_bindgen(js_name = lockCounts)]
    pub fn lock_counts(app: &str) -> Promise;
    #[wasm_bindgen(js_name = hasStorageEstimate)]
    pub fn has_storage_estimate() -> bool;
    #[wasm_bindgen(js_name = setOnline)]
    pub fn set_online(online: Option<bool>);
    #[wasm_bindgen(js_name = countClearedTimers)]
    pub fn count_cleared_timers();
    #[wasm_bindgen(js_name = clearedTimers)]
    pub fn cleared_timers() -> u32;
}
