//! The reference remote of datum-sync: sync protocol version 1.
//!
//! [`rules`] decides everything that the protocol promises and knows no IO, no clock and no
//! randomness: time is an argument, and rows come from a [`rules::store::Store`]. [`service`] maps a
//! method and a path to a rule. [`memory`] is the store that defines what is correct, and
//! [`MemoryServer`] the whole remote as one synchronous call, for tests of clients.
//!
//! `PROTOCOL.md` beside this crate is the normative text.

pub mod facade;
pub mod memory;
pub mod rules;
pub mod service;

pub use facade::MemoryServer;
pub use memory::MemoryStore;
pub use rules::{Config, ServerError};
pub use service::{Reply, Service};
