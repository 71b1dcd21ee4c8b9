//! One part at a time, without an engine: formats, rules and parsers.
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

#[path = "unit/config.rs"]
mod config;
#[path = "unit/json_scan.rs"]
mod json_scan;
#[path = "unit/json_scan_random.rs"]
mod json_scan_random;
#[path = "unit/merge_policies.rs"]
mod merge_policies;
#[path = "unit/record.rs"]
mod record;
#[path = "unit/schedule.rs"]
mod schedule;
#[path = "unit/sse.rs"]
mod sse;
#[path = "unit/store_memory.rs"]
mod store_memory;
