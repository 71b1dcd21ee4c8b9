//! What the browser tells a page or a worker, changed for a test.

use js_sys::Promise;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// `page.ts`.
    #[derive(Clone)]
    pub type Page;
    #[wasm_bindgen(method, js_name = setVisibility)]
    pub fn set_visibility(this: &Page, state: Option<&str>);
    #[wasm_bindgen(method)]
    pub fn fire(this: &Page, event: &str);
    #[wasm_bindgen(method, js_name = fireAtDocument)]
    pub fn fire_at_document(this: &Page, event: &str);
    #[wasm_bindgen(method, js_name = turnPage)]
    pub fn turn_page(this: &Page, event: &str, persisted: bool);
    #[wasm_bindgen(method, js_name = replaceLocks)]
    pub fn replace_locks(this: &Page, kind: &str);
    #[wasm_bindgen(method, js_name = restoreLocks)]
    pub fn restore_locks(this: &Page);
    #[wasm_bindgen(method, js_name = lockCounts)]
    pub fn lock_counts(this: &Page, app: &str) -> Promise;
    #[wasm_bindgen(method, js_name = hasStorageEstimate)]
    pub fn has_storage_estimate(this: &Page) -> bool;
    #[wasm_bindgen(method, js_name = setOnline)]
    pub fn set_online(this: &Page, online: Option<bool>);
    #[wasm_bindgen(method, js_name = countClearedTimers)]
    pub fn count_cleared_timers(this: &Page);
    #[wasm_bindgen(method, js_name = clearedTimers)]
    pub fn cleared_timers(this: &Page) -> u32;
}

thread_local!(static PAGE: Page = crate::script!("page.js").unchecked_into());

/// The page, or the worker.
pub fn page() -> Page {
    PAGE.with(Page::clone)
}
