//! The reference remote of datum-sync: sync protocol version 1.
//!
//! | module | what it does |
//! |---|---|
//! | [`rules`] | decides everything that the protocol promises, without IO, clock or randomness: time is an argument, rows come from a [`rules::store::Store`] |
//! | [`service`] | maps a method and a path to a rule |
//! | [`memory`] | the store in memory, which defines what a store must do |
//! | [`memory_server`] | the whole remote as one synchronous call, for tests of clients |
//! | [`sqlite`] | the store on SQLite: its schema and statements, and with the feature `http` the store on disk |
//! | [`postgres`] | the store of several processes; it needs the feature `http` |
//! | [`http`], [`cli`], [`log`] | the HTTP server, the command line and its log; they need it too |
//!
//! `PROTOCOL.md` beside this crate is the normative text.

#[cfg(feature = "http")]
pub mod cli;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod log;
pub mod memory;
pub mod memory_server;
#[cfg(feature = "http")]
pub mod postgres;
pub mod rules;
pub mod service;
mod sql_stores;
pub mod sqlite;

pub use memory::MemoryStore;
pub use memory_server::MemoryServer;
pub use rules::{Config, ServerError};
pub use service::{Reply, Service};
