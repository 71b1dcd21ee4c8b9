//! Clock, locks and page lifecycle in a window of a real browser.
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

#[path = "browser/host.rs"]
mod host;
#[path = "browser/leader.rs"]
mod leader;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
