//! PURE: plans commits against a replica.

use crate::log::address::BodyId;

pub mod checkpoint;
pub mod context;
pub mod decision;
pub mod local_only;
pub mod page;
pub mod planner;
pub mod rejection;
pub mod restore;
pub mod verdicts;
pub mod write;

/// What planning needs before it can go on; the caller fetches it and plans again.
#[derive(Debug)]
pub enum Need {
    /// Segment bodies that are not in memory.
    Bodies(Vec<BodyId>),
    /// Conflicts that a resolver has to decide.
    Decisions(Vec<crate::conflict::Conflict>),
}

/// The outcome of planning.
#[derive(Debug)]
pub enum Plan<T> {
    /// Ready to be appended.
    Ready(T),
    /// Something is missing.
    Needs(Need),
}
