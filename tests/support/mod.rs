//! What several test files share.
#![allow(dead_code, unused_macros, unused_imports, missing_docs)]

pub mod store_suite;
#[cfg(not(target_arch = "wasm32"))]
pub mod world;
