//! Checks of the repository itself: layers, names in documents, allocations, the fuzzers' seeds.
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

#[path = "guards/allocations.rs"]
mod allocations;
#[path = "guards/checks.rs"]
mod checks;
#[path = "guards/fuzz_seeds.rs"]
mod fuzz_seeds;
#[path = "guards/layering.rs"]
mod layering;
#[path = "guards/names.rs"]
mod names;
#[path = "guards/package.rs"]
mod package;
#[path = "guards/shipped.rs"]
mod shipped;
#[path = "guards/sources.rs"]
mod sources;
#[path = "guards/tests_index.rs"]
mod tests_index;
#[path = "guards/type_texts.rs"]
mod type_texts;
#[path = "guards/types_in_step.rs"]
mod types_in_step;
