//! Planners of any type.

use crate::log::address::Superseded;
use crate::log::commit::Commit;
use crate::model::error::Result;
use crate::plan::trace::Described;
use crate::plan::{Plan, Planner};
use crate::state::replica::Replica;

/// A plan: a commit, and what it supersedes.
pub(super) type AnyPlan = Plan<(Commit, Option<Superseded>)>;

/// A planner that keeps its output until its plan is appended. The commit loop uses planners
/// through this trait, so that it is compiled once and not once for each.
pub(super) trait AnyPlanner {
    /// See [`Planner::plan`].
    fn plan(&mut self, replica: &Replica) -> Result<AnyPlan>;

    /// See [`Planner::describe`].
    fn describe(&self) -> Option<Described>;
}

/// A planner with its output.
pub(super) struct Planning<'a, P: Planner> {
    planner: &'a mut P,
    pub(super) output: Option<P::Output>,
}

impl<'a, P: Planner> Planning<'a, P> {
    pub(super) const fn new(planner: &'a mut P) -> Self {
        Self {
            planner,
            output: None,
        }
    }
}

impl<P: Planner> AnyPlanner for Planning<'_, P> {
    fn plan(&mut self, replica: &Replica) -> Result<AnyPlan> {
        let plan = self.planner.plan(replica)?;
        Ok(plan.map(|planned| {
            self.output = Some(planned.output);
            (planned.commit, planned.superseded)
        }))
    }

    fn describe(&self) -> Option<Described> {
        self.planner.describe()
    }
}
