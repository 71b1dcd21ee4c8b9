//! Properties of everything that the engine reads: one function for each kind of text or bytes,
//! which panics if the input breaks the property.
//!
//! The programs in `fuzz_targets/` call them with inputs of libFuzzer; `tests/guards/fuzz_seeds.rs` calls them
//! with the seeds and with inputs found before, on every test run.

pub mod config;
pub mod entity;
pub mod log;
pub mod query;
pub mod record;
pub mod replies;
pub mod scan;
pub mod sse;
pub mod trace;
pub mod transfer;

/// A property. It panics if the bytes break it.
pub type Property = fn(&[u8]);

/// The targets and their properties. Program and seed folder have the target's name.
pub const TARGETS: [(&str, Property); 10] = [
    ("config", config::holds),
    ("entity", entity::holds),
    ("log", log::holds),
    ("query", query::holds),
    ("record", record::holds),
    ("replies", replies::holds),
    ("scan", scan::holds),
    ("sse", sse::holds),
    ("trace", trace::holds),
    ("transfer", transfer::holds),
];
