//! The HTTP server, without a socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod common;

mod http {
    mod access;
    mod answers;
    mod limits;
    mod waiting;
}
