//! The engine while something fails: networks, storage, servers and clocks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

#[path = "faults/corrupt.rs"]
mod corrupt;
#[path = "faults/late_replies.rs"]
mod late_replies;
#[path = "faults/log_loss.rs"]
mod log_loss;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/restored_server.rs"]
mod restored_server;
#[path = "faults/restored_server_faults.rs"]
mod restored_server_faults;
#[path = "faults/storage_loss.rs"]
mod storage_loss;
#[path = "faults/wipe.rs"]
mod wipe;
