//! Everything that calls the browser: the ports on IndexedDB, `fetch`, Web Locks and channels, and
//! the interop that they share.

pub mod adapter;
pub mod channel;
pub mod fractions;
pub mod host;
pub mod http;
pub mod indexeddb;
pub mod interop;
pub mod leader;
pub mod local_storage;
pub mod locks;
pub mod page;
pub mod parts;
pub mod remote;
pub mod shared_lock;
pub mod storage;
pub mod thrown;
pub mod timer;
