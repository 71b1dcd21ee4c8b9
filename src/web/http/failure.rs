//! What went wrong, as a code: from a value that JavaScript threw, and from an HTTP status.
//!
//! Anything can be thrown, at any time, and by a hostile getter too: values are only read with
//! `Reflect`, whose exceptions are caught.

use std::fmt::Write as _;

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use crate::model::error::{Code, Error};
use crate::model::protocol::{ErrorBody, parse_error};

/// The longest wait that a remote can ask for, in milliseconds: a day.
const LONGEST_WAIT_MS: f64 = 86_400_000.0;

/// How much of an answer that is not ours is quoted, in characters.
const QUOTED: usize = 200;

/// A member of a JavaScript value; undefined where it has none or will not say.
pub(crate) fn member(value: &JsValue, key: &str) -> JsValue {
    // Reflect throws on what is not an object, and so may a getter or a proxy.
    Reflect::get(value, &JsValue::from_str(key)).unwrap_or_default()
}

/// A thrown value in words.
pub(crate) fn words(thrown: &JsValue) -> String {
    if let Some(text) = thrown.as_string() {
        return text;
    }
    match (
        member(thrown, "name").as_string(),
        member(thrown, "message").as_string(),
    ) {
        (Some(name), Some(message)) if !message.is_empty() => format!("{name}: {message}"),
        (_, Some(message)) if !message.is_empty() => message,
        (Some(name), _) => name,
        _ => "a value that is not an Error".to_owned(),
    }
}

/// A thrown `DatumError`, or anything with one of our codes: its code, words and details.
pub(crate) fn coded(thrown: &JsValue) -> Option<Error> {
    let code = member(thrown, "code").as_string()?;
    let code = Code::named(&code)?;
    let message = member(thrown, "message")
        .as_string()
        .filter(|message| !message.is_empty())
        .unwrap_or_else(|| words(thrown));
    let mut error =
        Error::new(code, message).with_retry_after(wait(&member(thrown, "retryAfterMs")));
    if let Some(status) = status(thrown) {
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
        cause => Some(error.caused_by(words(&cause))),
    }
}

/// The HTTP status that a thrown value carries, as the errors of most clients do.
pub(crate) fn status(thrown: &JsValue) -> Option<u16> {
    let number = member(thrown, "status")
        .as_f64()
        .or_else(|| member(thrown, "statusCode").as_f64())?;
    (100.0..600.0).contains(&number).then_some(number as u16)
}

/// A wait in milliseconds that a thrown value or a reply names.
pub(crate) fn wait(value: &JsValue) -> Option<u64> {
    value
        .as_f64()
        .filter(|ms| *ms >= 0.0)
        .map(|ms| ms.min(LONGEST_WAIT_MS) as u64)
}

/// A request that did not come back: no network, or an answer that broke off.
pub(crate) fn network(thrown: &JsValue, url: &str) -> Error {
    if let Some(error) = coded(thrown) {
        return error;
    }
    let cause = words(thrown);
    if member(thrown, "name").as_string().as_deref() == Some("TimeoutError") {
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

/// An answer whose status is not a success. `target` is the url, or the adapter's method.
pub(crate) fn refused(status: u16, target: &str, body: &[u8], retry_after: Option<&str>) -> Error {
    let reply = parse_error(body);
    let asked = reply
        .as_ref()
        .and_then(|reply| reply.retry_after_ms)
        .map(|ms| ms.min(LONGEST_WAIT_MS as u64));
    let error = of_status(status, target)
        .with_status(status)
        .with_retry_after(asked.or_else(|| retry_after.and_then(parse_retry_after)));
    match quote(reply, body) {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

/// The code and the words of a status.
pub(crate) fn of_status(status: u16, target: &str) -> Error {
    let (code, message) = match status {
        401 => (
            Code::Unauthorized,
            "The remote does not accept the token; sign in again.".into(),
        ),
        403 => (
            Code::Forbidden,
            "The remote refuses this user or this device.".into(),
        ),
        404 | 405 => (
            Code::Protocol,
            format!("The remote has nothing at {target} (HTTP {status}); check `remote.url`."),
        ),
        408 => (
            Code::Timeout,
            "The remote gave up waiting for the request.".into(),
        ),
        409 => (
            Code::UserMismatch,
            "The remote says that this device's data belongs to another user.".into(),
        ),
        426 => (
            Code::ClientOutdated,
            "The remote needs a newer version of this app.".into(),
        ),
        429 => (
            Code::RateLimited,
            "The remote asks for fewer requests.".into(),
        ),
        0 => (
            Code::Network,
            format!(
                "The answer of {target} may not be read by the page; check the remote's CORS headers."
            ),
        ),
        425 | 500..=599 => (
            Code::ServerError,
            format!("The remote failed (HTTP {status})."),
        ),
        _ => (
            Code::Protocol,
            format!(
                "The remote answered {target} with HTTP {status}, which protocol 1 does not know there."
            ),
        ),
    };
    Error::new(code, message)
}

/// `Retry-After` as milliseconds: seconds, or an HTTP date by this device's clock.
fn parse_retry_after(header: &str) -> Option<u64> {
    let header = header.trim();
    let ms = match header.parse::<u32>() {
        Ok(seconds) => f64::from(seconds) * 1000.0,
        Err(_) => js_sys::Date::parse(header) - js_sys::Date::now(),
    };
    // A date that cannot be read is NaN; one that has passed means now.
    (!ms.is_nan()).then(|| ms.clamp(0.0, LONGEST_WAIT_MS) as u64)
}

/// The server's own words, for the cause.
fn quote(reply: Option<ErrorBody>, body: &[u8]) -> Option<String> {
    if let Some(reply) = reply.filter(|reply| !reply.code.is_empty() || !reply.message.is_empty()) {
        let mut words = match (reply.code.is_empty(), reply.message.is_empty()) {
            (false, false) => format!("{}: {}", reply.code, reply.message),
            (false, true) => reply.code,
            _ => reply.message,
        };
        if let Some(id) = reply.request_id {
            let _ = write!(words, " (request {id})");
        }
        return Some(words);
    }
    // A proxy's page may be long, and cut anywhere within a character.
    let head = body
        .get(..body.len().min(QUOTED.saturating_mul(4)))
        .unwrap_or_default();
    let words: String = String::from_utf8_lossy(head)
        .trim()
        .chars()
        .take(QUOTED)
        .collect();
    (!words.is_empty()).then_some(words)
}
