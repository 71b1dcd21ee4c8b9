//! The exported classes in real browsers, used as an app uses them.
#![cfg(target_arch = "wasm32")]
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

#[path = "browser/client.rs"]
mod client;
#[path = "browser/errors.rs"]
mod errors;
#[path = "browser/feeds.rs"]
mod feeds;
#[path = "browser/merge.rs"]
mod merge;
#[path = "browser/middleware.rs"]
mod middleware;
#[path = "browser/receipts.rs"]
mod receipts;
#[path = "browser/spaces.rs"]
mod spaces;
#[path = "browser/users.rs"]
mod users;
#[path = "browser/values.rs"]
mod values;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
