//! The data types that all other modules share.

pub mod checked_object;
pub mod config;
pub mod digest;
pub mod draft;
pub mod entity;
pub mod error;
pub mod limits;
pub mod metadata;
pub mod object_reader;
pub mod operation;
pub mod protocol;
pub mod schema_field;
pub mod space;
pub mod status;
pub mod table;
