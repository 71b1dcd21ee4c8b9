//! datum-sync: offline-first sync for web apps.
//!
//! An app reads and writes its entities on the device, in IndexedDB, online or not. The engine
//! pushes those writes to the app's backend and pulls what others wrote. The package exports it as
//! the class `Datum`; the modules below are its parts, and each uses only those listed before it:
//! [`util`], [`model`], [`conflict`], [`schedule`] and [`query`], [`log`], [`transfer`], [`state`], [`plan`],
//! [`ports`], [`engine`], then `web` and `js`, which exist in the browser only.
//!
//! The database is one append-only [`log`], and the [`state`] in memory is its fold. Every
//! change goes through three steps:
//!
//! 1. [`plan`]: a pure function reads the state and returns a [`log::commit::Commit`].
//! 2. append: [`ports::store::Store`] writes that commit at the next sequence number, or finds that
//!    another tab took the number. Then the engine reads what that tab wrote and plans again.
//! 3. fold: [`state::fold`] applies the commit to the state once it is durable.
//!
//! # One write
//!
//! `datum.manager("tasks").create(draft)` in JavaScript arrives in [`engine::entities`].
//! [`model::draft::parse_draft`] checks the draft and builds the body to store. [`plan::write`]
//! makes one commit of the row and its [`model::operation::Operation`], which it coalesces with one
//! that is still pending. [`engine::database`] appends the commit together with every other write
//! that was queued before the append began, folds it and resolves the promise. The write is durable
//! now, and pending: it is in the [`state::outbox`].
//!
//! [`schedule::Schedule`] makes a cycle due a second later. [`engine::cycle`] sends a
//! [`model::protocol::PushRequest`] of the pending operations and gets a verdict for each.
//! [`plan::verdicts`] turns the verdicts into a commit: an applied operation leaves the outbox, a
//! rejected one becomes a dead letter, and a conflict goes to its resolver.
//!
//! # One pull
//!
//! [`engine::cycle::pull`] asks the [`ports::remote`] for the changes after its cursor.
//! [`model::protocol::PageReader`] reads the reply as slices of its bytes, and [`plan::page`]
//! compares each row with the state. A row without a pending operation is written; one with a
//! pending operation is a [`conflict::Conflict`] if both sides changed the same fields, which
//! [`conflict::decide`] or the app's own resolver settles. Rows and cursor are one commit, so an
//! interrupted pull resumes where it stopped. After the fold, [`engine::watch`] notifies the app's
//! queries.
//!
//! # Glossary
//!
//! - **operation**: a local write that the remote has not confirmed; the **outbox** holds them in
//!   order.
//! - **verdict**: the remote's answer to an operation: applied, conflict, rejected or retry.
//! - **dead letter**: a rejected operation, kept until the app has dealt with it.
//! - **receipt**: the recorded outcome of an operation, for callers that wait for it.
//! - **cursor**: the position of the last pull, opaque to the client.
//! - **cycle**: one synchronisation of a user: push and pull, in either order.
//! - **base**: the row that an operation was made on; the third side of a three-way merge.
//! - **parked**: a conflict that waits for the app's decision.
//! - **segment**: many rows of the log as one value in IndexedDB; **checkpoint**: the folded state.
//! - **tombstone**: the record that a deleted row leaves behind.
//! - **digest**: an order-independent hash of all rows, compared with the server's.
//! - **epoch**: the identity of the server's history; it changes when a backup is restored.

// The public surface is that of the npm package, and documented in its types. The modules are
// public for the tests in `tests/`.
#![allow(missing_docs)]

pub use datum_sync_util as util;

pub mod model;

pub mod conflict;
pub mod query;
pub mod schedule;

pub mod log;
pub mod plan;
pub mod state;
pub mod transfer;

pub mod ports;

pub mod engine;

#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod js;
#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod web;
