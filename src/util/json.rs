//! Reading and writing JSON text.

pub mod decimal;
pub mod equal;
pub mod escape;
pub mod keep;
pub mod members;
pub mod number;
pub mod plain;
pub mod scan;
pub mod serialize;
pub mod write;
