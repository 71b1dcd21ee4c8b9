//! Checks of the repository itself: layers, names in documents, allocations, the fuzzers' seeds.
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

#[path = "guards/allocations.rs"]
mod allocations;
#[path = "guards/fuzz_seeds.rs"]
mod fuzz_seeds;
#[path = "guards/layering.rs"]
mod layering;
