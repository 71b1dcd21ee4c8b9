//! PURE: the state of one user, folded from the log.
//!
//! Parts own their state (`rows`, `outbox`, `receipts`, `local_only`, …); `replica` composes them,
//! `fold` applies commits, `views` shows what readers see, `changes` what a commit changed.

pub mod awaited_receipt;
pub mod changes;
pub mod fold;
pub mod growth;
pub mod kept_rejections;
pub mod lazy_rows;
pub mod local_metadata;
pub mod local_only;
pub mod outbox;
pub mod receipts;
pub mod references;
pub mod replica;
pub mod rows;
pub mod segment_cache;
pub mod shedding;
pub mod spaces;
pub mod storage_use;
pub mod sync_states;
pub mod tables;
pub mod touched;
pub mod view;
pub mod views;
