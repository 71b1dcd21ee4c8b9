//! Server-sent events that say "there is something to pull". They carry no data.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a quiet stream sends a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The state of a stream.
struct StreamState {
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    opened: bool,
    ended: bool,
}

/// Builds a stream of hints that ends when the token expires or the server stops.
pub fn stream(
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
) -> Response {
    let state = StreamState {
        changes,
        stopping,
        until,
        opened: false,
        ended: false,
    };
    let events = stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        if !state.opened {
            // A first byte, because some proxies hold the headers back until then.
            state.opened = true;
            return Some((Ok::<_, Infallible>(Event::default().comment("open")), state));
        }
        let ending = tokio::select! {
            biased;
            _ = state.stopping.wait_for(|stop| *stop) => Some("shutdown"),
            () = tokio::time::sleep_until(state.until) => Some("tokenExpired"),
            changed = state.changes.changed() => changed.is_err().then_some("shutdown"),
        };
        state.ended = ending.is_some();
        let event = match ending {
            None => Event::default().event("change").data("{}"),
            Some(reason) => Event::default()
                .event("bye")
                .data(format!("{{\"reason\":\"{reason}\"}}")),
        };
        Some((Ok(event), state))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    // Tells proxies such as nginx not to buffer.
    response.headers_mut().insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    response
}
