//! Takes what `config.js` has read of the config of an HTTP remote.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::RequestCredentials;

use crate::model::error::{Code, Result};
use crate::web::http::headers::HeaderSource;
use crate::web::thrown::error_of;

#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    /// `HttpRemote` of the public surface, checked.
    pub(crate) type Http;
    #[wasm_bindgen(catch, js_name = readHttp)]
    fn read_http(config: &JsValue) -> Result<Http, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn base(this: &Http) -> String;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Http) -> JsValue;
    #[wasm_bindgen(method, getter)]
    pub(super) fn fetch(this: &Http) -> Option<Function>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn credentials(this: &Http) -> Option<RequestCredentials>;
    #[wasm_bindgen(method, getter)]
    pub(super) fn compress(this: &Http) -> bool;
    #[wasm_bindgen(method, getter)]
    pub(super) fn timeout(this: &Http) -> f64;
}

impl Http {
    /// Reads `remote` of the config.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`], naming the key.
    pub(super) fn read(config: &JsValue) -> Result<Self> {
        read_http(config).map_err(|thrown| error_of(&thrown, Code::InvalidConfig))
    }

    pub(super) fn header_source(&self) -> HeaderSource {
        HeaderSource::new(self.headers())
    }
}
