//! What the engine needs of its surroundings, as traits.

pub mod backing;
pub mod host;
pub mod loss_detection;
pub mod memory_store;
pub mod remote;
pub mod store;
