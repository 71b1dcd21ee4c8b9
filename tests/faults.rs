//! The engine while something fails: networks, storage, servers and clocks.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

#[path = "faults/clocks.rs"]
mod clocks;
#[path = "faults/corrupt.rs"]
mod corrupt;
#[path = "faults/first_epoch.rs"]
mod first_epoch;
#[path = "faults/interrupted_pull.rs"]
mod interrupted_pull;
#[path = "faults/late_verdicts.rs"]
mod late_verdicts;
#[path = "faults/log_loss.rs"]
mod log_loss;
#[path = "faults/misbehaving_server.rs"]
mod misbehaving_server;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/restored_server.rs"]
mod restored_server;
#[path = "faults/restored_server_bases.rs"]
mod restored_server_bases;
#[path = "faults/restored_server_faults.rs"]
mod restored_server_faults;
#[path = "faults/storage_full.rs"]
mod storage_full;
#[path = "faults/storage_loss.rs"]
mod storage_loss;
#[path = "faults/wipe.rs"]
mod wipe;
