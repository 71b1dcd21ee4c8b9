//! The remotes in real browsers: HTTP, the app's adapter, and the stream of hints.
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

#[path = "browser/adapter.rs"]
mod adapter;
#[path = "browser/http.rs"]
mod http;
#[path = "browser/http_auth.rs"]
mod http_auth;
#[path = "browser/http_errors.rs"]
mod http_errors;
#[path = "browser/stream.rs"]
mod stream;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
