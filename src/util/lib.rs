//! General helpers that know nothing about sync.
//!
//! A package of its own, since it is compiled for speed as well as size: much of what the module does in a pull is here.

#![allow(missing_docs)]

// Its files name each other as the other rooms name them.
pub(crate) use crate as util;

pub mod cell;
pub mod collections;
pub mod hash;
pub mod json;
pub mod local_sync;
pub mod queue;
pub mod sse;
pub mod time;
pub mod uuid;
