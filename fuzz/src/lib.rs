//! What must hold of everything that the engine reads, whoever wrote it: one function for each kind
//! of text or bytes, which panics where it does not hold.
//!
//! The programs in `targets/` hand them what libFuzzer thinks up; `tests/fuzzed.rs` hands them the
//! seeds and what was found before, so that every test run has them. Nothing here may depend on who
//! calls.

pub mod config;
pub mod entity;
pub mod log;
pub mod record;
pub mod replies;
pub mod scan;
pub mod sse;

/// A property: it panics where the bytes break it.
pub type Property = fn(&[u8]);

/// Every target with its property, by the name of its program and of its folder of seeds.
pub const TARGETS: [(&str, Property); 7] = [
    ("config", config::holds),
    ("entity", entity::holds),
    ("log", log::holds),
    ("record", record::holds),
    ("replies", replies::holds),
    ("scan", scan::holds),
    ("sse", sse::holds),
];
