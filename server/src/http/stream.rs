//! Hints over server-sent events: "there is something to pull". Nothing of the data travels here.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a quiet stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a stream stands.
struct Listening {
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    opened: bool,
    ended: bool,
}

/// A stream of hints that ends with the token or with the server.
pub fn stream(
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
) -> Response {
    let listening = Listening {
        changes,
        stopping,
        until,
        opened: false,
        ended: false,
    };
    let events = stream::unfold(listening, |mut at| async move {
        if at.ended {
            return None;
        }
        if !at.opened {
            // Sends the headers on their way, through proxies that wait for a first byte.
            at.opened = true;
            return Some((Ok::<_, Infallible>(Event::default().comment("open")), at));
        }
        let ending = tokio::select! {
            biased;
            _ = at.stopping.wait_for(|stop| *stop) => Some("shutdown"),
            () = tokio::time::sleep_until(at.until) => Some("tokenExpired"),
            changed = at.changes.changed() => changed.is_err().then_some("shutdown"),
        };
        at.ended = ending.is_some();
        let event = match ending {
            None => Event::default().event("change").data("{}"),
            Some(reason) => Event::default()
                .event("bye")
                .data(format!("{{\"reason\":\"{reason}\"}}")),
        };
        Some((Ok(event), at))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    // Some proxies hold back what they think they may collect.
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    response
}
