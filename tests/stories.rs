//! Users with several devices: the real engine on memory stores, the server's own rules, virtual
//! time.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

#[allow(dead_code)] // The unit tests of queries use all of it.
#[path = "unit/query_dice.rs"]
mod query_dice;
#[allow(dead_code)] // The unit tests of queries use all of it.
#[path = "unit/query_reference.rs"]
mod query_reference;
#[allow(dead_code)] // The unit tests of queries use all of it.
#[path = "unit/query_support.rs"]
mod query_support;

#[path = "stories/activity.rs"]
mod activity;
#[path = "stories/adoption.rs"]
mod adoption;
#[path = "stories/auto_sync.rs"]
mod auto_sync;
#[path = "stories/basics.rs"]
mod basics;
#[path = "stories/batches.rs"]
mod batches;
#[path = "stories/conflicts.rs"]
mod conflicts;
#[path = "stories/custom_metadata.rs"]
mod custom_metadata;
#[path = "stories/cycles.rs"]
mod cycles;
#[path = "stories/dead_letters.rs"]
mod dead_letters;
#[path = "stories/deletions.rs"]
mod deletions;
#[path = "stories/discards.rs"]
mod discards;
#[path = "stories/explain_operation.rs"]
mod explain_operation;
#[path = "stories/explain_sync.rs"]
mod explain_sync;
#[path = "stories/feeds.rs"]
mod feeds;
#[path = "stories/group_commit.rs"]
mod group_commit;
#[path = "stories/in_flight.rs"]
mod in_flight;
#[path = "stories/kept_rejections.rs"]
mod kept_rejections;
#[path = "stories/local_only.rs"]
mod local_only;
#[path = "stories/local_only_config.rs"]
mod local_only_config;
#[path = "stories/local_only_remote.rs"]
mod local_only_remote;
#[path = "stories/logout.rs"]
mod logout;
#[path = "stories/many_rows.rs"]
mod many_rows;
#[path = "stories/metadata.rs"]
mod metadata;
#[path = "stories/migrations.rs"]
mod migrations;
#[path = "stories/migrations_arrival.rs"]
mod migrations_arrival;
#[path = "stories/migrations_refused.rs"]
mod migrations_refused;
#[path = "stories/moved_bodies.rs"]
mod moved_bodies;
#[path = "stories/opening.rs"]
mod opening;
#[path = "stories/other_server.rs"]
mod other_server;
#[path = "stories/outbox_blocked.rs"]
mod outbox_blocked;
#[path = "stories/outbox_order.rs"]
mod outbox_order;
#[path = "stories/outbox_support.rs"]
mod outbox_support;
#[path = "stories/pauses.rs"]
mod pauses;
#[path = "stories/pulls.rs"]
mod pulls;
#[path = "stories/queries.rs"]
mod queries;
#[path = "stories/queries_change.rs"]
mod queries_change;
#[path = "stories/queries_live.rs"]
mod queries_live;
#[path = "stories/queries_state.rs"]
mod queries_state;
#[path = "stories/realtime.rs"]
mod realtime;
#[path = "stories/receipts.rs"]
mod receipts;
#[path = "stories/relation_support.rs"]
mod relation_support;
#[path = "stories/relations.rs"]
mod relations;
#[path = "stories/relations_deletes.rs"]
mod relations_deletes;
#[path = "stories/relations_live.rs"]
mod relations_live;
#[path = "stories/resolvers.rs"]
mod resolvers;
#[path = "stories/retries.rs"]
mod retries;
#[path = "stories/same_address.rs"]
mod same_address;
#[path = "stories/scopes.rs"]
mod scopes;
#[path = "stories/spaces_adopted.rs"]
mod spaces_adopted;
#[path = "stories/spaces_chains.rs"]
mod spaces_chains;
#[path = "stories/spaces_forgotten.rs"]
mod spaces_forgotten;
#[path = "stories/spaces_found.rs"]
mod spaces_found;
#[path = "stories/spaces_input.rs"]
mod spaces_input;
#[path = "stories/spaces_lacking.rs"]
mod spaces_lacking;
#[path = "stories/spaces_letters.rs"]
mod spaces_letters;
#[path = "stories/spaces_managed.rs"]
mod spaces_managed;
#[path = "stories/spaces_moved.rs"]
mod spaces_moved;
#[path = "stories/spaces_pulled.rs"]
mod spaces_pulled;
#[path = "stories/spaces_random.rs"]
mod spaces_random;
#[path = "stories/spaces_refused.rs"]
mod spaces_refused;
#[path = "stories/spaces_restored.rs"]
mod spaces_restored;
#[path = "stories/spaces_shown.rs"]
mod spaces_shown;
#[path = "stories/spaces_written.rs"]
mod spaces_written;
#[path = "stories/storage_use.rs"]
mod storage_use;
#[path = "stories/summed_fields.rs"]
mod summed_fields;
#[path = "stories/traces.rs"]
mod traces;
#[path = "stories/traces_bounded.rs"]
mod traces_bounded;
#[path = "stories/traces_kinds.rs"]
mod traces_kinds;
#[path = "stories/traces_replanned.rs"]
mod traces_replanned;
#[path = "stories/transfer.rs"]
mod transfer;
#[path = "stories/transfer_files.rs"]
mod transfer_files;
#[path = "stories/transfer_random.rs"]
mod transfer_random;
#[path = "stories/transfer_support.rs"]
mod transfer_support;
#[path = "stories/transfer_waits.rs"]
mod transfer_waits;
#[path = "stories/unchanged.rs"]
mod unchanged;
#[path = "stories/user_support.rs"]
mod user_support;
#[path = "stories/user_switch.rs"]
mod user_switch;
#[path = "stories/user_switch_races.rs"]
mod user_switch_races;
#[path = "stories/users.rs"]
mod users;
