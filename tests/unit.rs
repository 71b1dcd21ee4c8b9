//! One part at a time, without an engine: formats, rules and parsers.
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

#[path = "unit/checkpoint_steps.rs"]
mod checkpoint_steps;
#[path = "unit/config.rs"]
mod config;
#[path = "unit/json_equal.rs"]
mod json_equal;
#[path = "unit/json_scan.rs"]
mod json_scan;
#[path = "unit/json_scan_random.rs"]
mod json_scan_random;
#[path = "unit/merge_objects.rs"]
mod merge_objects;
#[path = "unit/merge_policies.rs"]
mod merge_policies;
#[path = "unit/merge_properties.rs"]
mod merge_properties;
#[path = "unit/merge_support.rs"]
mod merge_support;
#[path = "unit/query_dice.rs"]
mod query_dice;
#[path = "unit/query_errors.rs"]
mod query_errors;
#[path = "unit/query_filters.rs"]
mod query_filters;
#[path = "unit/query_index.rs"]
mod query_index;
#[path = "unit/query_live.rs"]
mod query_live;
#[path = "unit/query_pattern.rs"]
mod query_pattern;
#[path = "unit/query_random.rs"]
mod query_random;
#[path = "unit/query_reference.rs"]
mod query_reference;
#[path = "unit/query_support.rs"]
mod query_support;
#[path = "unit/record.rs"]
mod record;
#[path = "unit/record_damage.rs"]
mod record_damage;
#[path = "unit/record_samples.rs"]
mod record_samples;
#[path = "unit/remote_metadata.rs"]
mod remote_metadata;
#[path = "unit/row_hashes.rs"]
mod row_hashes;
#[path = "unit/schedule.rs"]
mod schedule;
#[path = "unit/schedule_retries.rs"]
mod schedule_retries;
#[path = "unit/schedule_support.rs"]
mod schedule_support;
#[path = "unit/space_facts.rs"]
mod space_facts;
#[path = "unit/space_pages.rs"]
mod space_pages;
#[path = "unit/space_tables.rs"]
mod space_tables;
#[path = "unit/space_verdicts.rs"]
mod space_verdicts;
#[path = "unit/sse.rs"]
mod sse;
#[path = "unit/store_memory.rs"]
mod store_memory;
