//! IndexedDB in real browsers.
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

#[path = "browser/app_database.rs"]
mod app_database;
#[path = "browser/connection.rs"]
mod connection;
#[path = "browser/indexeddb.rs"]
mod indexeddb;
#[path = "browser/storage_failures.rs"]
mod storage_failures;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
