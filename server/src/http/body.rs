//! Reads a request's body up to a limit, after decompression.

use axum::body::Body;
use http_body_util::BodyExt as _;

use crate::rules::ServerError;

/// How many times the limit is read and discarded before the connection is closed. A browser that
/// is still sending when the answer comes reports a network error instead of 413, and the client
/// would send the same again.
const DISCARD_FACTOR: usize = 4;

/// Reads the whole body.
///
/// # Errors
/// 413 `bodyTooLarge`, 408 if the body stops arriving, 400 if it cannot be decompressed.
pub async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, ServerError> {
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len());
        if size <= limit {
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

fn unreadable(error: &axum::Error) -> ServerError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<tower_http::timeout::TimeoutError>() {
            return ServerError::new(408, "timeout", "The body stopped arriving; send it again.");
        }
        cause = inner.source();
    }
    ServerError::bad_request("The body ended early or is not what its `Content-Encoding` says.")
}
