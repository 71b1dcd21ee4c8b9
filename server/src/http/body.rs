//! Reads a request's body up to a limit, after decompression.

use std::time::{Duration, Instant};

use axum::body::Body;
use http_body_util::BodyExt as _;

use super::connections::Connection;
use super::shares::Room;
use crate::rules::ServerError;

/// How many times the limit is read and discarded before the connection is closed. A browser that
/// is still sending when the answer comes reports a network error instead of 413, and the client
/// would send the same again.
const DISCARD_FACTOR: usize = 4;

/// How long a body may arrive as slowly as it likes.
const GRACE: Duration = Duration::from_secs(30);
/// How many bytes must have come for each second after that.
const SLOWEST: u64 = 1_024;
/// The longest that a body may take.
const LONGEST: Duration = Duration::from_secs(600);

/// Reads the whole body. `room` is asked for its memory, and `connection` may give way to others
/// while nothing comes.
///
/// # Errors
/// 413 `bodyTooLarge`, 408 if the body stops arriving or hardly arrives, 400 if it cannot be
/// decompressed, 503 without room.
pub async fn read(
    mut body: Body,
    limit: usize,
    room: Option<&mut Room>,
    connection: Option<&Connection>,
) -> Result<Vec<u8>, ServerError> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    let mut room = room;
    let since = Instant::now();
    let wait = |since| connection.inspect(|connection| connection.set_stalled(since));
    loop {
        wait(Some(Instant::now()));
        let frame = body.frame().await;
        wait(None);
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|error| unreadable(&error))?;
        let in_time = u64::try_from(size).unwrap_or(u64::MAX) / SLOWEST;
        if since.elapsed()
            > GRACE
                .saturating_add(Duration::from_secs(in_time))
                .min(LONGEST)
        {
            return Err(too_slow());
        }
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len());
        if size <= limit {
            if let Some(room) = &mut room {
                room.grow(size)?;
            }
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
            if size > limit.saturating_mul(DISCARD_FACTOR) {
                break;
            }
        }
    }
    if size > limit {
        return Err(ServerError::too_large(
            "bodyTooLarge",
            "The body is too large",
            limit,
        ));
    }
    Ok(bytes)
}

fn too_slow() -> ServerError {
    ServerError::new(408, "timeout", "The body stopped arriving; send it again.")
}

fn unreadable(error: &axum::Error) -> ServerError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<tower_http::timeout::TimeoutError>() {
            return too_slow();
        }
        cause = inner.source();
    }
    ServerError::bad_request("The body ended early or is not what its `Content-Encoding` says.")
}
