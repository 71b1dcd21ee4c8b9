//! VecMap helpers that know nothing of sync.

pub mod cell;
pub mod collections;
pub mod json;
pub mod local_sync;
pub mod queue;
pub mod sse;
pub mod time;
pub mod uuid;
