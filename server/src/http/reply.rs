//! Answers: one JSON shape for every error, whoever raised it, and the headers that every answer
//! has.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use datum_sync::model::protocol::PREFIX;

use crate::rules::ServerError;
use crate::service::Reply;

/// The header that names a request in the log.
pub const REQUEST_ID: &str = "x-request-id";

/// A refusal on its way out; its body is written last, when the request's id is at hand.
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

/// Makes ids for requests: unlike those of other runs of the server, and in order within one.
#[derive(Debug)]
pub struct RequestIds {
    run: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with the run's own mark.
    #[must_use]
    pub fn new(run: String) -> Self {
        Self {
            run,
            next: AtomicU64::new(1),
        }
    }

    fn make(&self) -> String {
        format!(
            "{}-{:x}",
            self.run,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// The outermost step: names the request, writes the error's body, sets the headers, and logs one
/// line.
pub async fn finish(
    State(ids): State<std::sync::Arc<RequestIds>>,
    request: Request,
    next: Next,
) -> Response {
    let id = ids.make();
    let started = std::time::Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let of_protocol = path.starts_with(PREFIX) || path.starts_with("/dev/");
    let refused = response.extensions_mut().remove::<Refused>();
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if failed && (of_protocol || refused.is_some()) {
        let error = refused.map_or_else(|| foreign(response.status()), |refused| refused.0);
        if let Some(cause) = &error.cause {
            tracing::error!(request = %id, code = error.code, %cause, "failed");
        }
        response = write(&error, &id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    // `no-transform` keeps proxies from collecting a stream in order to compress it.
    let cache = if of_protocol {
        "no-store, no-transform"
    } else {
        "no-cache"
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if of_protocol {
        headers.append(header::VARY, HeaderValue::from_static("authorization"));
    }
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(request = %id, %method, %path, status = response.status().as_u16(), took_ms, "answered");
    response
}

/// What a layer below refused in its own words.
fn foreign(status: StatusCode) -> ServerError {
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
        // Whole seconds, rounded up; the body has the exact time.
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
