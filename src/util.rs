//! General helpers that know nothing about sync.

pub mod cell;
pub mod collections;
pub mod hash;
pub mod json;
pub mod local_sync;
pub mod queue;
pub mod sse;
pub mod time;
pub mod uuid;
