//! To be written.

pub mod convert;
