//! PURE: the fold of the log.

pub mod changes;
pub mod fold;
pub mod growth;
pub mod kept_rejections;
pub mod lazy_rows;
pub mod local_metadata;
pub mod local_only;
pub mod outbox;
pub mod receipts;
pub mod replica;
pub mod rows;
pub mod segment_cache;
