//! Coded errors for requests without a response, from what `fetch` threw.

use wasm_bindgen::JsValue;

use crate::model::error::{Code, Error};
use crate::web::interop::{member, thrown_name, thrown_text};
use crate::web::thrown::coded_error;

/// Returns the error of a request without a response: no network, or a body that broke off.
pub(crate) fn network(thrown: &JsValue, url: &str) -> Error {
    if let Some(error) = coded_error(thrown) {
        return error;
    }
    let cause = thrown_text(thrown);
    if thrown_name(thrown).as_deref() == Some("TimeoutError") {
        return Error::new(
            Code::Timeout,
            format!("The request to {url} took too long."),
        )
        .caused_by(cause);
    }
    if member(&member(&js_sys::global(), "navigator"), "onLine").as_bool() == Some(false) {
        return Error::new(Code::Offline, "The browser has no network.").caused_by(cause);
    }
    let message = format!(
        "The request to {url} failed: no connection, an unknown host, or an answer without the CORS headers that the page needs."
    );
    Error::new(Code::Network, message).caused_by(cause)
}
