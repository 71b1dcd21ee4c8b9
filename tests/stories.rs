//! Users with several devices: the real engine on memory stores, the server's own rules, and a clock
//! that the story turns.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

#[path = "stories/auto_sync.rs"]
mod auto_sync;
#[path = "stories/basics.rs"]
mod basics;
#[path = "stories/batches.rs"]
mod batches;
#[path = "stories/conflicts.rs"]
mod conflicts;
#[path = "stories/cycles.rs"]
mod cycles;
#[path = "stories/dead_letters.rs"]
mod dead_letters;
#[path = "stories/feeds.rs"]
mod feeds;
#[path = "stories/kept_rejections.rs"]
mod kept_rejections;
#[path = "stories/local_only.rs"]
mod local_only;
#[path = "stories/local_only_changes.rs"]
mod local_only_changes;
#[path = "stories/logout.rs"]
mod logout;
#[path = "stories/metadata.rs"]
mod metadata;
#[path = "stories/opening.rs"]
mod opening;
#[path = "stories/outbox.rs"]
mod outbox;
#[path = "stories/pauses.rs"]
mod pauses;
#[path = "stories/realtime.rs"]
mod realtime;
#[path = "stories/receipts.rs"]
mod receipts;
#[path = "stories/resolvers.rs"]
mod resolvers;
#[path = "stories/scopes.rs"]
mod scopes;
#[path = "stories/users.rs"]
mod users;
