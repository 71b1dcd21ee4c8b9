//! Reads values that JavaScript has thrown, as coded errors.
//!
//! Anything can be thrown, at any time, and a hostile getter may throw again: members are read with
//! `Reflect`, whose exceptions are caught.

use wasm_bindgen::JsValue;

use crate::model::error::{Code, Error};
use crate::model::protocol::retry_after::LONGEST_WAIT_MS;
use crate::web::interop::{member, thrown_name, thrown_text};

/// Reads a thrown `DatumError`, of any realm or copy of the package: its code, message and details.
/// What merely has a `code` with one of our names, as many errors have, is none.
pub(crate) fn coded_error(thrown: &JsValue) -> Option<Error> {
    if thrown_name(thrown).as_deref() != Some("DatumError") {
        return None;
    }
    let code = member(thrown, "code").as_string()?;
    let code = Code::named(&code)?;
    let message = member(thrown, "message")
        .as_string()
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| thrown_text(thrown));
    let mut error = Error::new(code, message).with_retry_after(retry_after(thrown));
    if let Some(status) = http_status(thrown) {
        error = error.with_status(status);
    }
    if let Some(entity) = member(thrown, "entity").as_string() {
        error = error.on(&entity, member(thrown, "entityId").as_string().as_deref());
    }
    if let Some(user) = member(thrown, "userId").as_string() {
        error = error.for_user(&user);
    }
    match member(thrown, "cause") {
        cause if cause.is_undefined() => Some(error),
        cause => Some(error.caused_by(thrown_text(&cause))),
    }
}

/// Returns the error for what JavaScript threw: with its own code if that is one of ours, else with
/// `otherwise`.
pub(crate) fn error_of(thrown: &JsValue, otherwise: Code) -> Error {
    coded_error(thrown).unwrap_or_else(|| Error::new(otherwise, thrown_text(thrown)))
}

/// Returns the HTTP status that a thrown value carries, as the errors of most clients do.
pub(crate) fn http_status(thrown: &JsValue) -> Option<u16> {
    let number = member(thrown, "status")
        .as_f64()
        .or_else(|| member(thrown, "statusCode").as_f64())?;
    (100.0..600.0).contains(&number).then_some(number as u16)
}

/// Returns `retryAfterMs` of a thrown value, a day at most.
pub(crate) fn retry_after(thrown: &JsValue) -> Option<u64> {
    member(thrown, "retryAfterMs")
        .as_f64()
        .filter(|ms| *ms >= 0.0)
        .map(|ms| ms.min(LONGEST_WAIT_MS as f64).ceil() as u64)
}
