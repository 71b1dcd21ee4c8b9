//! Reading a request's body within its limit, after decompression.

use axum::body::Body;
use http_body_util::BodyExt as _;

use crate::rules::ServerError;

/// How many times the limit is read and thrown away before the connection is given up. A browser
/// that is still sending when the answer comes sees a network error instead of 413, and would send
/// the same again.
const PATIENCE: usize = 4;

/// The whole body.
///
/// # Errors
/// 413 `bodyTooLarge`, 408 for one that stops arriving, 400 for one that cannot be decompressed.
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
            if size > limit.saturating_mul(PATIENCE) {
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
