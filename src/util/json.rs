//! Reading and writing JSON text.

pub mod escape;
pub mod number;
pub mod plain;
pub mod scan;
pub mod serialize;
pub mod write;
