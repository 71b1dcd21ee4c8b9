//! What an error of PostgreSQL means for the request.

use std::fmt::Display;

use crate::rules::ServerError;

/// Maps an error by the code that PostgreSQL gives it. What another transaction caused may succeed at
/// once, what the state of the database causes may succeed later, and every other failure is for the
/// operator.
pub(super) fn failed(error: sqlx::Error) -> ServerError {
    use sqlx::Error;
    let code = match &error {
        Error::Database(cause) => cause.code().unwrap_or_default().into_owned(),
        Error::PoolTimedOut => return ServerError::busy(error),
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed => return ServerError::unreachable(error),
        _ => return ServerError::internal(error),
    };
    let (class, _) = code.split_at_checked(2).unwrap_or_default();
    match (class, code.as_str()) {
        // Serialisation failures and deadlocks.
        ("40", _) => ServerError::contended(error),
        // A lock that was not had in time, a statement that took too long, and a transaction that
        // stood still.
        (_, "55P03" | "57014" | "25P03" | "25P04") => ServerError::busy(error),
        // The disk is full, and other failures of the system.
        (_, "53100") | ("58", _) => ServerError::storage_failed(error),
        // Too many connections, or too little memory.
        ("53", _) => ServerError::busy(error),
        // Connections that ended, a server that stops or starts, a replica, and what keeps a new
        // connection out.
        ("08" | "57" | "28", _) | (_, "25006" | "3D000") => ServerError::unreachable(error),
        // Text with U+0000.
        (_, "22021" | "22P05") => {
            ServerError::bad_request("The request has text with U+0000, which cannot be stored.")
        }
        _ => ServerError::internal(error),
    }
}

/// An error about a stored value that this server never writes.
pub(super) fn corrupt(cause: impl Display) -> ServerError {
    ServerError::internal(format!("the database holds an invalid value: {cause}"))
}
