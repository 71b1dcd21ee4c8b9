//! The engine's interfaces to storage, network and environment, as traits.

pub mod backing;
pub mod host;
pub mod loss_detection;
pub mod memory_store;
pub mod remote;
pub mod store;
