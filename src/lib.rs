//! datum-sync: offline-first sync for web apps.
//!
//! Reading order: the types ([`entity`], [`operation`], [`protocol`], [`metadata`], [`status`],
//! [`config`], [`error`]), the pure rules ([`replica`], [`conflict`], [`schedule`]), the ports
//! ([`store`], [`remote`], [`host`]), one cycle ([`sync`]), the facade ([`datum`]), and, in
//! browsers, the JavaScript classes (`js`). `ARCHITECTURE.md` draws it.

pub mod cell;
pub mod config;
pub mod digest;
pub mod entity;
pub mod error;
pub mod events;
pub mod feed;
pub mod json;
pub mod members;
pub mod metadata;
pub mod operation;
pub mod protocol;
pub mod small;
pub mod sse;
pub mod status;
pub mod time;
pub mod wait;

pub mod conflict;
pub mod replica;
pub mod schedule;

pub mod host;
pub mod remote;
pub mod store;

pub mod database;
pub mod datum;
pub mod sync;

#[cfg(target_arch = "wasm32")]
pub mod js;
