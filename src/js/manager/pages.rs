//! Pages as an app gets them.

use js_sys::Object;
use wasm_bindgen::prelude::*;

use crate::web::interop::set_member;

/// Returns `Page`; with `total`, if it is known.
pub(super) fn page_object(items: &JsValue, after: Option<&str>, total: Option<u64>) -> JsValue {
    let object = Object::new();
    set_member(&object, "items", items);
    if let Some(after) = after {
        set_member(&object, "after", &JsValue::from_str(after));
    }
    set_member(&object, "hasMore", &JsValue::from_bool(after.is_some()));
    if let Some(total) = total {
        set_member(&object, "total", &JsValue::from_f64(total as f64));
    }
    Object::freeze(&object).into()
}
