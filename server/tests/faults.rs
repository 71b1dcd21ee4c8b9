//! The binary under faults: what fails for one request, one client or the disk fails nobody else, and
//! nothing that was acknowledged is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![cfg(target_os = "linux")]

mod common;

mod faults {
    mod connections;
    mod disk;
    mod log;
    mod storm;
}
