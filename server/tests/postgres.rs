//! The suite on PostgreSQL: one process, and two on partitioned tables behind PgBouncer in transaction
//! mode. Then what only a database of several processes needs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::explicit_write,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![cfg(target_os = "linux")]

mod common;
#[path = "kit/servers.rs"]
#[allow(dead_code)] // The kit needs more of it.
mod servers;
mod suite;

#[path = "postgres/cluster.rs"]
mod cluster;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/partitions.rs"]
mod partitions;
#[path = "postgres/round_trips.rs"]
mod round_trips;
#[path = "postgres/startup.rs"]
mod startup;
#[path = "postgres/storm.rs"]
mod storm;
#[path = "postgres/streams.rs"]
mod streams;
#[path = "postgres/tls.rs"]
mod tls;

mod one_process {
    crate::mount!(crate::cluster::run, crate::cluster::store());
}

mod prepared_statements {
    crate::mount!(crate::cluster::run, crate::cluster::prepared_store());
}

mod two_processes_behind_a_pooler {
    crate::mount!(crate::cluster::run, crate::cluster::two_stores());
}
