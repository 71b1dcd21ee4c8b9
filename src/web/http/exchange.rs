//! One request and its response, which `src/js/http.js` sends and reads.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::model::error::{Code, Result};
use crate::web::thrown::error_of;

#[wasm_bindgen(module = "/src/js/http.js")]
extern "C" {
    /// A remote that speaks the protocol: its address, and how requests are sent there.
    #[derive(Debug)]
    pub(crate) type Http;
    #[wasm_bindgen(method, getter)]
    pub(super) fn base(this: &Http) -> String;
    /// Whether the remote has accepted headers of this user that can be sent again.
    #[wasm_bindgen(method)]
    pub(super) fn accepts(this: &Http, user_id: &str) -> bool;
    /// Posts a body from a page that goes away.
    #[wasm_bindgen(method)]
    pub(super) fn leave(this: &Http, user_id: &str, url: &str, body: &str, size: f64) -> bool;
    #[wasm_bindgen(method)]
    fn request(this: &Http) -> Exchange;
    #[wasm_bindgen(method, getter)]
    pub(super) fn requests(this: &Http) -> f64;
    #[wasm_bindgen(method, getter)]
    pub(super) fn sent(this: &Http) -> f64;
    #[wasm_bindgen(method, getter)]
    pub(super) fn received(this: &Http) -> f64;

    /// A request and its response.
    #[derive(Debug)]
    pub(super) type Exchange;
    #[wasm_bindgen(method)]
    fn abort(this: &Exchange);
    /// Sends a request, and resolves with the body of its response.
    #[wasm_bindgen(method)]
    pub(super) fn call(
        this: &Exchange,
        user_id: &str,
        method: &str,
        url: &str,
        text: Option<&str>,
        size: f64,
        wait_ms: u32,
    ) -> Promise;
    /// Connects to a stream, and resolves when the head of the response is there.
    #[wasm_bindgen(method)]
    pub(super) fn listen(this: &Exchange, url: &str) -> Promise;
    #[wasm_bindgen(method)]
    pub(super) fn body(this: &Exchange, url: &str) -> Promise;
    /// Resolves with the next bytes; null at the end, undefined if nothing comes.
    #[wasm_bindgen(method)]
    pub(super) fn chunk(this: &Exchange, ms: u32) -> Promise;
    /// Renews the headers of a stream whose token has expired.
    #[wasm_bindgen(method)]
    pub(super) fn renew(this: &Exchange) -> Promise;
    #[wasm_bindgen(method, getter)]
    pub(super) fn status(this: &Exchange) -> u16;
    #[wasm_bindgen(method, getter)]
    pub(super) fn size(this: &Exchange) -> f64;
    #[wasm_bindgen(method, getter)]
    pub(super) fn streams(this: &Exchange) -> bool;
    #[wasm_bindgen(method)]
    pub(super) fn header(this: &Exchange, name: &str) -> Option<String>;
}

// By `config.js`, whose checks it needs.
#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readHttp)]
    fn read_http(config: &JsValue) -> Result<Http, JsValue>;
    /// Whether `config.js` has read this as an HTTP remote.
    #[wasm_bindgen(js_name = isHttp)]
    pub(crate) fn is_http(remote: &JsValue) -> bool;
}

impl Http {
    /// Reads `remote` of the config.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`], naming the key.
    pub(super) fn read(config: &JsValue) -> Result<Self> {
        read_http(config).map_err(|thrown| error_of(&thrown, Code::InvalidConfig))
    }

    /// Makes a request, to be sent by [`Exchange::call`] or [`Exchange::listen`].
    pub(super) fn begin(&self) -> Aborting {
        Aborting(self.request())
    }
}

/// Aborts its request when it is dropped: a request lives no longer than the future that awaits it.
/// One that has ended stays as it is.
#[derive(Debug)]
pub(super) struct Aborting(pub(super) Exchange);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns the bytes that a promise of an [`Exchange`] resolved with.
pub(super) fn bytes_of(value: &JsValue) -> Vec<u8> {
    value.unchecked_ref::<Uint8Array>().to_vec()
}
