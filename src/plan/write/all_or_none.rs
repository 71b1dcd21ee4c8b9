//! Writes that belong together: if one is refused, none is made.

use crate::model::error::Result;
use crate::plan::context::PlanContext;
use crate::plan::trace::{Described, describe};
use crate::plan::write::groups::{Group, Written};
use crate::plan::write::plan_writes;
use crate::plan::{Plan, Planned, Planner};
use crate::state::replica::Replica;

/// Plans groups of local writes, in order, all or none.
#[derive(Debug)]
pub struct AllOrNone<'a> {
    pub groups: &'a [Group],
    /// Time and ids.
    pub context: PlanContext,
}

impl Planner for AllOrNone<'_> {
    type Output = Vec<Written>;

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<Vec<Written>>>> {
        let planned = match plan_writes(replica, self.groups, &self.context) {
            Plan::Needs(bodies) => return Ok(Plan::Needs(bodies)),
            Plan::Ready(planned) => planned,
        };
        let mut written = Vec::new();
        for outcome in planned.output {
            written.extend(outcome?);
        }
        Ok(Plan::Ready(Planned::new(planned.commit, written)))
    }

    fn describe(&self) -> Option<Described> {
        Some(describe::writes("allOrNone", self.groups, &self.context))
    }
}
