//! Coded errors for requests that failed: from what `fetch` threw, and from HTTP statuses.

use std::fmt::Write as _;

use wasm_bindgen::JsValue;

use crate::model::error::{Code, Error};
use crate::model::protocol::{ErrorBody, parse_error};
use crate::web::interop::{member, thrown_name, thrown_text};
use crate::web::thrown::{LONGEST_WAIT_MS, coded_error};

/// How many characters of a foreign response are quoted.
const QUOTED: usize = 200;

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

/// Returns the error of a response whose status is not a success. `target` is the url, or the
/// adapter's method.
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

/// Returns the error that a status stands for.
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

/// Returns `Retry-After` in milliseconds: from seconds, or from an HTTP date by this device's
/// clock.
fn parse_retry_after(header: &str) -> Option<u64> {
    let header = header.trim();
    let ms = match header.parse::<u32>() {
        Ok(seconds) => f64::from(seconds) * 1000.0,
        Err(_) => js_sys::Date::parse(header) - js_sys::Date::now(),
    };
    // A date that cannot be read is NaN; one that has passed means now.
    (!ms.is_nan()).then(|| ms.clamp(0.0, LONGEST_WAIT_MS) as u64)
}

/// Returns what the server said, for the cause.
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
    // A proxy's page may be long, and the cut may fall within a character.
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
