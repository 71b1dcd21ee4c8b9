//! The suite on SQLite, and what only a store on disk can get wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod common;
mod suite;

mount!(crate::common::run, crate::common::empty_store());
