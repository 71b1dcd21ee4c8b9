//! A seeded world: users with devices, devices with tabs, one server, and everything between them
//! going wrong. The engine, its stores' contract and the server's rules are the real ones; time,
//! chance, network, storage and scheduling are the simulation's. One script is one history, always
//! the same.

mod deeds;
pub mod dice;
mod ending;
mod mishaps;
pub mod model;
pub mod network;
pub mod ports;
mod shadow;
pub mod shrink;
pub mod storage;
pub mod story;
pub mod tasks;
mod witness;
