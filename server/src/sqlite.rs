//! The store on SQLite: the schema and the statements of a transaction, over whatever runs them. [`file`](mod@file)
//! is that of this server; an app's own process in Node has its own connection.
//!
//! It must behave like [`crate::memory`]; one test suite runs on both.

#[cfg(feature = "http")]
pub mod backup;
pub mod connection;
#[cfg(feature = "http")]
pub mod file;
#[cfg(feature = "http")]
mod group;
mod schema;
mod transaction;

use std::fmt::Display;

use crate::rules::ServerError;

#[cfg(feature = "http")]
pub use file::SqliteStore;
pub use schema::migrate;
pub use transaction::SqliteTx;

fn corrupt(cause: impl Display) -> ServerError {
    ServerError::internal(format!("the database holds an invalid value: {cause}"))
}

/// Returns the error that a primary or extended result code of SQLite stands for. Busy is temporary; so is a disk
/// that is full or fails, as far as the request is concerned. Every other failure is for the operator.
pub fn failure(code: Option<u32>, cause: impl Display) -> ServerError {
    // The low byte of the extended codes.
    match code.map(|code| code & 0xff) {
        // SQLITE_BUSY and SQLITE_LOCKED.
        Some(5 | 6) => ServerError::busy(cause),
        // SQLITE_NOMEM, READONLY, IOERR, FULL and CANTOPEN.
        Some(7 | 8 | 10 | 13 | 14) => ServerError::storage_failed(cause),
        _ => ServerError::internal(cause),
    }
}
