//! Everything that touches the browser.

pub mod adapter;
pub mod channel;
pub mod fractions;
pub mod host;
pub mod http;
pub mod indexeddb;
pub mod leader;
pub mod local_storage;
pub mod locks;
pub mod page;
pub mod remote;
pub mod shared_lock;
pub mod storage;
pub mod timer;
pub mod unload;
