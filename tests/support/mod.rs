//! What several test files share.
#![allow(dead_code, unused_macros, unused_imports, missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing
)]
#![allow(clippy::arithmetic_side_effects, clippy::string_slice)]

#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(target_arch = "wasm32")]
pub mod client;
#[cfg(not(target_arch = "wasm32"))]
pub mod clock;
#[cfg(not(target_arch = "wasm32"))]
pub mod disk;
#[cfg(target_arch = "wasm32")]
pub mod host_stories;
#[cfg(target_arch = "wasm32")]
pub mod indexeddb;
#[cfg(not(target_arch = "wasm32"))]
pub mod live;
#[cfg(not(target_arch = "wasm32"))]
pub mod lives;
#[cfg(target_arch = "wasm32")]
pub mod remotes;
#[cfg(not(target_arch = "wasm32"))]
pub mod restored;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulation;
pub mod store_suite;
#[cfg(not(target_arch = "wasm32"))]
pub mod waiting;
#[cfg(not(target_arch = "wasm32"))]
pub mod wire;
#[cfg(not(target_arch = "wasm32"))]
pub mod world;
