//! PURE: what a commit is, and its bytes in the log.

pub mod address;
pub mod codec;
pub mod commit;
pub mod directory;
pub mod event_codec;
pub mod facts;
pub mod known_server;
pub mod receipt;
pub mod record;
pub mod salvaged;
pub mod segment;
pub mod segment_writer;
pub mod spaces;
pub mod value_codec;
