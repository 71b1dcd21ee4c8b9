//! PURE: plans commits against a replica. Planning reads the replica, the time and the random bytes
//! that it is given, and nothing else: the same arguments give the same plan.
//!
//! A plan is made against one head of the log. If another tab appends first, the database plans
//! again on the newer head, so a planner may be called several times before its commit lands.

use crate::conflict::Conflict;
use crate::log::address::{BodyId, Superseded};
use crate::log::commit::Commit;
use crate::model::error::Result;
use crate::plan::trace::Described;
use crate::state::replica::Replica;

pub mod adoption;
pub mod cascade;
pub mod checkpoint;
pub mod context;
pub mod decision;
pub mod export;
mod hand_over;
pub mod import;
pub mod local_only;
pub(crate) mod membership;
pub mod migration;
pub mod move_server;
pub mod page;
pub mod rejection;
pub mod remote_row;
pub mod restore;
pub mod retry;
pub mod row_planner;
pub mod salvage;
pub mod trace;
pub mod verdicts;
pub mod write;

/// Plans one commit.
pub trait Planner {
    /// What the plan returns besides the commit. The caller gets the output of the plan that was
    /// appended.
    type Output;

    /// Plans against this head. An empty commit appends nothing; the caller still gets its output.
    ///
    /// # Errors
    /// Fails with the reason why no plan can be made; nothing is written then.
    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Self::Output>>>;

    /// Describes what the planner was given, for a trace. Called after a plan. `None` if its commit is
    /// taken as it is.
    fn describe(&self) -> Option<Described> {
        None
    }
}

/// The outcome of planning.
#[derive(Debug)]
pub enum Plan<T> {
    /// Ready to be appended.
    Ready(T),
    /// These segment bodies must be fetched first; then planning starts over.
    Needs(Vec<BodyId>),
}

/// A commit to append, with the planner's output.
#[derive(Debug)]
pub struct Planned<T> {
    pub commit: Commit,
    /// The records and bodies that it supersedes, if it is a checkpoint.
    pub superseded: Option<Superseded>,
    /// The planner's output.
    pub output: T,
}

impl<T> Planned<T> {
    /// Wraps a commit that supersedes nothing.
    pub const fn new(commit: Commit, output: T) -> Self {
        Self {
            commit,
            superseded: None,
            output,
        }
    }

    /// Returns a plan that appends nothing.
    pub fn nothing(output: T) -> Self {
        Self::new(Commit::default(), output)
    }
}

impl<T> Plan<T> {
    /// Maps the plan if it is ready.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Plan<U> {
        match self {
            Self::Ready(ready) => Plan::Ready(change(ready)),
            Self::Needs(bodies) => Plan::Needs(bodies),
        }
    }
}

/// The output of a plan that may meet conflicts.
#[derive(Debug)]
pub enum Decided<T> {
    /// Every conflict was decided.
    Done(T),
    /// Nothing is appended until these are decided.
    Undecided(Vec<Conflict>),
}
