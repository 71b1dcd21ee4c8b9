//! The SQL kit (`server/sql/kit`) in a PostgreSQL of its own, behind the real PostgREST: the protocol's
//! conversations, tables of an app, faults, and histories by chance against the rules of this crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::explicit_write,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::string_slice,
    missing_docs
)]
#![cfg(target_os = "linux")]

mod kit {
    mod app;
    mod attaching;
    #[path = "../common/conversation.rs"]
    mod conversation;
    mod conversations;
    mod costs;
    mod cursors;
    mod faults;
    mod histories;
    mod input;
    mod locale;
    mod operating;
    mod postgrest;
    mod project;
    mod replica;
    mod servers;
    mod sessions;
    mod spaces;
    mod statements;
    mod storm;
    mod types;
    mod verdicts;
    mod world;
}
