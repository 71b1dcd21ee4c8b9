//! Answers: one JSON shape for every error, whichever layer raised it, and the headers of every
//! answer.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use datum_sync::model::protocol::PREFIX;

use crate::rules::ServerError;
use crate::service::Reply;

/// The header with the request's id, which the log has too.
pub const REQUEST_ID: &str = "x-request-id";

/// An error answer. [`finish`] writes its body, which has the request's id.
#[derive(Clone, Debug)]
pub struct Refused(pub ServerError);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.0.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ServerError> for Refused {
    fn from(error: ServerError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// Generates request ids: increasing, and distinct from those of other runs of the server.
#[derive(Debug)]
pub struct RequestIds {
    run: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Creates a generator whose ids begin with `run`.
    #[must_use]
    pub fn new(run: String) -> Self {
        Self {
            run,
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        format!(
            "{}-{:x}",
            self.run,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// The outermost layer: gives the request an id, writes the body of an error, sets the headers, and
/// logs one line.
pub async fn finish(
    State(ids): State<std::sync::Arc<RequestIds>>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.next();
    let started = std::time::Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let is_protocol = path.starts_with(PREFIX) || path.starts_with("/dev/");
    let refused = response.extensions_mut().remove::<Refused>();
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && (is_protocol || refused.is_some()) {
        let error = refused.map_or_else(|| from_status(response.status()), |refused| refused.0);
        if let Some(cause) = &error.cause {
            tracing::error!(request = %id, code = error.code, %cause, "failed");
        }
        response = write(&error, &id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    // `no-transform` keeps proxies from buffering a stream in order to compress it.
    let cache = if is_protocol {
        "no-store, no-transform"
    } else {
        "no-cache"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if is_protocol {
        headers.append(header::VARY, HeaderValue::from_static("authorization"));
    }
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(request = %id, %method, %path, status = response.status().as_u16(), took_ms, "answered");
    response
}

/// Converts an error that another layer answered.
fn from_status(status: StatusCode) -> ServerError {
    let (code, message) = match status.as_u16() {
        404 => (
            "notFound",
            "There is nothing at this path; the protocol lives under /sync/v1.",
        ),
        405 => ("methodNotAllowed", "This path does not answer this method."),
        408 => ("timeout", "The request took too long to arrive."),
        413 => ("bodyTooLarge", "The body is too large; send less at once."),
        415 => ("unsupportedEncoding", "The body may be plain or gzip."),
        400..=499 => ("badRequest", "The request cannot be answered."),
        _ => ("internal", "The server failed to answer; try again later."),
    };
    ServerError::new(status.as_u16(), code, message)
}

fn write(error: &ServerError, id: &str) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&error.body(Some(id))).unwrap_or_default();
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(body),
    )
        .into_response();
    let headers = response.headers_mut();
    if let Some(ms) = error.retry_after_ms {
        // In whole seconds, rounded up; the body has the exact time.
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = if error.code == "tokenExpired" {
            "Bearer error=\"invalid_token\", error_description=\"expired\""
        } else {
            "Bearer"
        };
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        );
    }
    response
}
