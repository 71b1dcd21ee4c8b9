//! What an HTTP answer means that is no success. A status that concerns the user or the app counts
//! only with the protocol's own body: firewalls, proxies, login pages and captive portals answer
//! with the same ones.

use std::fmt::Write as _;

use crate::model::error::{Code, Error};
use crate::model::protocol::foreign::{foreign, words};
use crate::model::protocol::retry_after::{LONGEST_FOREIGN_WAIT_MS, LONGEST_WAIT_MS};
use crate::model::protocol::{ErrorBody, parse_error};

/// Returns the error of a response whose status is not a success. `target` is the url;
/// `retry_after_ms` is what the header asks for.
#[must_use]
pub fn refused(status: u16, target: &str, body: &[u8], retry_after_ms: Option<u64>) -> Error {
    let reply = parse_error(body);
    let code = reply.as_ref().map_or("", |reply| &reply.code);
    let most = if code.is_empty() {
        LONGEST_FOREIGN_WAIT_MS
    } else {
        LONGEST_WAIT_MS
    };
    let retry_after_ms = retry_after_ms.map(|ms| ms.min(most));
    let is_foreign = match status {
        401 | 403 | 426 => code.is_empty(),
        409 => code != "userMismatch",
        // A proxy asks for a sign-in; a cached answer of nothing; a network does.
        304 | 407 | 410 | 511 => true,
        _ => false,
    };
    if is_foreign {
        return foreign(status, target, body).with_retry_after(retry_after_ms);
    }
    let asked = reply.as_ref().and_then(|reply| reply.retry_after_ms);
    let error = of_status(status, target)
        .with_status(status)
        .with_retry_after(asked.or(retry_after_ms));
    match quote(reply, body) {
        Some(cause) => error.caused_by(cause),
        None => error,
    }
}

/// Returns true if a 410 is the remote's own word about a cursor, and not that of a server that has
/// nothing there any more.
#[must_use]
pub fn is_cursor_gone(body: &[u8]) -> bool {
    parse_error(body).is_some_and(|reply| !reply.code.is_empty())
}

/// Returns the error that a status stands for.
#[must_use]
pub fn of_status(status: u16, target: &str) -> Error {
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
    Some(words(body)).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::refused;

    #[test]
    fn only_the_remote_itself_is_waited_for_longer_than_an_hour() {
        for (body, wait) in [
            (r#"{"code":"busy","message":"Later."}"#, 86_400_000),
            ("<!doctype html>", 3_600_000),
        ] {
            let error = refused(503, "/push", body.as_bytes(), Some(86_400_000));
            assert_eq!(error.retry_after_ms(), Some(wait), "{body}");
        }
    }
}
