//! Several tabs of one user on one device.
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

#[path = "tabs/calls.rs"]
mod calls;
#[path = "tabs/compaction_keys.rs"]
mod compaction_keys;
#[path = "tabs/ends.rs"]
mod ends;
#[path = "tabs/leader.rs"]
mod leader;
#[path = "tabs/leaving.rs"]
mod leaving;
#[path = "tabs/locks.rs"]
mod locks;
#[path = "tabs/migrations.rs"]
mod migrations;
#[path = "tabs/roll_call.rs"]
mod roll_call;
#[path = "tabs/salvage.rs"]
mod salvage;
#[path = "tabs/status.rs"]
mod status;
#[path = "tabs/wipes.rs"]
mod wipes;
#[path = "tabs/writes.rs"]
mod writes;
