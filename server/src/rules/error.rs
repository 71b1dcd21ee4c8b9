//! Errors of a whole request: HTTP status, stable code and message. A problem with one operation is
//! a verdict instead.

use std::fmt;

use datum_sync::model::protocol::ErrorBody;

/// A refused or failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The HTTP status.
    pub status: u16,
    /// The stable code that clients branch on.
    pub code: &'static str,
    /// The reason in words; never holds a secret.
    pub message: String,
    /// How long to wait before trying again, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The underlying error, for the log only.
    pub cause: Option<String>,
    /// Whether another transaction was in the way: the same at once may succeed.
    pub contended: bool,
}

impl ServerError {
    /// Creates an error.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after_ms: None,
            cause: None,
            contended: false,
        }
    }

    /// 400: the request breaks the protocol; sending it again does not help.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "badRequest", message)
    }

    /// 409: the request names another user than its token. The message names neither.
    #[must_use]
    pub fn user_mismatch() -> Self {
        Self::new(
            409,
            "userMismatch",
            "`userId` is not the user of the token. Send the token of the user whose data this is.",
        )
    }

    /// 410: the cursor is no longer valid; the client pulls again from the start.
    #[must_use]
    pub fn cursor(code: &'static str, why: &str) -> Self {
        Self::new(410, code, format!("{why} Pull again with `cursor` null."))
    }

    /// 413: the request is too large; the client sends less at once.
    #[must_use]
    pub fn too_large(code: &'static str, what: &str, limit: usize) -> Self {
        Self::new(
            413,
            code,
            format!("{what}; the most is {limit}. Send less at once."),
        )
    }

    /// 426: the app must be updated before it may sync again.
    #[must_use]
    pub fn client_outdated(schema: u32, least: u32) -> Self {
        Self::new(
            426,
            "clientOutdated",
            format!("`schema` is {schema}; this server needs {least} or later. Update the app."),
        )
    }

    /// 500: a fault of the server. The cause goes to the log, not to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(
                500,
                "internal",
                "The server failed to answer; try again later.",
            )
        }
    }

    /// 503: the server is busy.
    pub fn busy(cause: impl fmt::Display) -> Self {
        Self {
            retry_after_ms: Some(1_000),
            cause: Some(cause.to_string()),
            ..Self::new(503, "busy", "The server is busy; try again shortly.")
        }
    }

    /// 503: another transaction was in the way, and trying again did not help.
    pub fn contended(cause: impl fmt::Display) -> Self {
        Self {
            contended: true,
            ..Self::busy(cause)
        }
    }

    /// 503: the database cannot be reached, or is none that may be used at present.
    pub fn unreachable(cause: impl fmt::Display) -> Self {
        Self {
            message: "The server cannot reach its database at present; try again later.".to_owned(),
            ..Self::storage_failed(cause)
        }
    }

    /// 503: the disk is full or fails. What only reads goes on.
    pub fn storage_failed(cause: impl fmt::Display) -> Self {
        Self {
            retry_after_ms: Some(5_000),
            cause: Some(cause.to_string()),
            ..Self::new(
                503,
                "storageFailed",
                "The server cannot store anything at present; try again later.",
            )
        }
    }

    /// Sets how long to wait, in milliseconds.
    #[must_use]
    pub fn after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Returns the body that is sent.
    #[must_use]
    pub fn body(&self, request_id: Option<&str>) -> ErrorBody {
        ErrorBody {
            code: self.code.to_owned(),
            message: self.message.clone(),
            retry_after_ms: self.retry_after_ms,
            request_id: request_id.map(str::to_owned),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.message)?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}
