//! Short texts in `localStorage`, which may survive the loss of IndexedDB. Workers have none, and
//! browsers that refuse storage throw: nothing may depend on it for safety.

use wasm_bindgen::prelude::*;

fn local_storage() -> Option<Storage> {
    js_sys::global()
        .unchecked_into::<Global>()
        .local_storage()
        .ok()
        .flatten()
}

/// Returns the text under a key.
#[must_use]
pub fn mark(key: &str) -> Option<String> {
    local_storage()?.get_item(key).ok().flatten()
}

/// Stores a text under a key, or removes it.
pub fn set_mark(key: &str, text: Option<&str>) {
    if let Some(storage) = local_storage() {
        // A full storage keeps the old text. That is harmless: readers check it against IndexedDB.
        let _ = match text {
            Some(text) => storage.set_item(key, text),
            None => storage.remove_item(key),
        };
    }
}

#[wasm_bindgen]
extern "C" {
    type Global;

    #[wasm_bindgen(method, getter, catch, js_name = localStorage)]
    fn local_storage(this: &Global) -> Result<Option<Storage>, JsValue>;

    type Storage;

    #[wasm_bindgen(method, catch, js_name = getItem)]
    fn get_item(this: &Storage, key: &str) -> Result<Option<String>, JsValue>;

    #[wasm_bindgen(method, catch, js_name = setItem)]
    fn set_item(this: &Storage, key: &str, text: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeItem)]
    fn remove_item(this: &Storage, key: &str) -> Result<(), JsValue>;
}
