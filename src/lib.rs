//! datum-sync: offline-first sync for web apps.

pub mod util;

pub mod model;

pub mod conflict;
pub mod schedule;

pub mod log;
pub mod plan;
pub mod state;

pub mod ports;

pub mod engine;

#[cfg(target_arch = "wasm32")]
pub mod js;
#[cfg(target_arch = "wasm32")]
pub mod web;
