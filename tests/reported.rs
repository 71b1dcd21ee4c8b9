//! Bugs that users of other sync engines reported, each with a test that this engine does not have
//! it.
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

#[path = "reported/environment.rs"]
mod environment;
#[path = "reported/lost_writes.rs"]
mod lost_writes;
#[path = "reported/networks.rs"]
mod networks;
#[path = "reported/stale_rows.rs"]
mod stale_rows;
#[path = "reported/stuck.rs"]
mod stuck;
#[path = "reported/untouched.rs"]
mod untouched;
#[path = "reported/users_and_tabs.rs"]
mod users_and_tabs;
