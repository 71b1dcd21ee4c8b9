//! The two sides of a manager's sync metadata, under the names that Datum's guide uses.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::instance::{Instance, MetadataSides};

/// Sync metadata of this device.
#[wasm_bindgen]
pub struct LocalAdapter {
    pub(super) instance: Rc<Instance>,
}

#[wasm_bindgen]
impl LocalAdapter {
    /// This device's sync metadata.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance.local_metadata(user_id)
    }
}

/// Sync metadata of all devices, as the remote has it.
#[wasm_bindgen]
pub struct RemoteAdapter {
    pub(super) instance: Rc<Instance>,
}

#[wasm_bindgen]
impl RemoteAdapter {
    /// The sync metadata of every device.
    #[wasm_bindgen(js_name = getSyncMetadata)]
    pub fn get_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance.remote_metadata(user_id)
    }

    /// Clears it on both sides, so that the next cycle pulls everything.
    #[wasm_bindgen(js_name = clearSyncMetadata)]
    pub fn clear_sync_metadata(&self, user_id: &JsValue) -> Promise {
        self.instance
            .clear_metadata(user_id, Ok(MetadataSides::BOTH))
    }
}
