//! The reference remote of datum-sync: sync protocol version 1.
//!
//! [`rules`] decides everything that the protocol promises and knows no IO, no clock and no
//! randomness: time is an argument, and rows come from a [`rules::store::Store`]. [`service`] maps
//! a method and a path to a rule. [`memory`] is the store that defines what is correct, and
//! [`MemoryServer`] the whole remote as one synchronous call, for tests of clients.
//!
//! With the feature `http`: [`sqlite`] is the store on disk, [`http`] the carrier, and [`cli`] the
//! command line of the binary.
//!
//! `PROTOCOL.md` beside this crate is the normative text.

#[cfg(feature = "http")]
pub mod cli;
pub mod facade;
#[cfg(feature = "http")]
pub mod http;
pub mod memory;
pub mod rules;
pub mod service;
#[cfg(feature = "http")]
pub mod sqlite;

pub use facade::MemoryServer;
pub use memory::MemoryStore;
pub use rules::{Config, ServerError};
pub use service::{Reply, Service};
