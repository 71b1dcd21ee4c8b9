//! Resolves conflicts: asks their resolver, checks the answer, and commits.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, LocalBoxFuture, select};

use crate::conflict::{Conflict, Decision, Resolution, decide};
use crate::engine::cycle::Cycle;
use crate::engine::cycle::resolvers::{Choice, Resolver};
use crate::log::facts::Parked;
use crate::model::config::resolver::Builtin;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::plan::Decided;
use crate::plan::decision::{DecisionPlanner, merged};
use crate::plan::row_planner::{ConflictPlanner, Decisions, name};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::{push_field, put_text};

/// In how many cycles a failing resolver is asked about a conflict; after that only the app decides
/// it.
const MOST_TRIES: u32 = 3;

/// Returns true if the next cycle asks the resolver again.
pub(crate) fn is_asked_again(parked: &Parked) -> bool {
    (1..MOST_TRIES).contains(&parked.failed)
}

/// Confirms which pending operations of these entities, by [`name`], the remote has, by pushing
/// them. Returns the entities of which that is still unknown.
pub(crate) type Confirm<'f> = &'f dyn Fn(Rc<VecMap<()>>) -> LocalBoxFuture<'f, Result<VecMap<()>>>;

/// The conflicts of one cycle.
pub(crate) struct Resolving<'c, S, R, H>(pub(crate) &'c Cycle<'c, S, R, H>);

impl<S: Store, R: Remote, H: Host> Resolving<'_, S, R, H> {
    /// Commits a plan that may run into conflicts: resolves the undecided ones, and plans again.
    pub(crate) async fn commit_resolving<T, P: ConflictPlanner<Output = Decided<T>>>(
        &self,
        durability: Durability,
        planner: &mut P,
        confirm: Confirm<'_>,
    ) -> Result<T> {
        loop {
            match self.0.db.commit(durability, planner).await? {
                Decided::Done(done) => return Ok(done),
                Decided::Undecided(conflicts) => {
                    self.decide_all(conflicts, planner.decisions(), confirm)
                        .await?;
                }
            }
        }
    }

    /// Adds the answers that `conflicts` need to `decisions`. If a reply of the remote may have
    /// been lost, first confirms what the remote has; otherwise the resolvers decide.
    async fn decide_all(
        &self,
        conflicts: Vec<Conflict>,
        decisions: &mut Decisions,
        confirm: Confirm<'_>,
    ) -> Result<()> {
        let mut unsettled: VecMap<()> = VecMap::default();
        for one in conflicts.iter().filter(|one| one.unsettled) {
            unsettled.insert(&name(&one.entity, &one.entity_id), ());
        }
        if !unsettled.is_empty() {
            let unsettled = Rc::new(unsettled);
            let unknown = confirm(Rc::clone(&unsettled)).await?;
            for (entity, ()) in unsettled.iter() {
                decisions.confirmed_absent.insert(entity, ());
            }
            for conflict in conflicts.iter().filter(|one| one.unsettled) {
                if unknown.contains(&name(&conflict.entity, &conflict.entity_id)) {
                    // A merge could count a number twice. Only the app can tell.
                    decisions.made.insert(&conflict.id, Decision::later());
                }
            }
            return Ok(());
        }
        for conflict in conflicts {
            let decision = self.decide(&conflict).await?;
            decisions.made.insert(&conflict.id, decision);
        }
        Ok(())
    }

    /// Asks again about conflicts that are parked because their resolver failed.
    pub(crate) async fn ask_again(&self) -> Result<()> {
        let waiting: Vec<String> = self.0.db.read(|replica| {
            let failed = replica
                .conflicts()
                .values()
                .filter(|parked| is_asked_again(parked));
            failed.map(|parked| parked.id.clone()).collect()
        });
        for id in waiting {
            let Some(asked) = self.parked(&id, None).await? else {
                continue;
            };
            let choice = self.0.resolvers.choice(self.0.config, &asked.entity);
            if matches!(choice, Choice::Builtin(Builtin::Ask)) || self.is_hung(&choice) {
                continue;
            }
            let decision = self.decide(&asked).await?;
            if let Some(conflict) = self
                .parked(&id, Some((&asked, &decision)))
                .await?
                .filter(|_| decision.resolution != Resolution::Later)
            {
                self.0.report_resolved(&conflict, &decision);
                let mut tally = self.0.tally.borrow_mut();
                tally.conflicts_resolved = tally.conflicts_resolved.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Reads a parked conflict, or commits its decision. Returns `None` if it is no longer parked,
    /// or has changed since the resolver was asked.
    async fn parked(
        &self,
        id: &str,
        decided: Option<(&Conflict, &Decision)>,
    ) -> Result<Option<Conflict>> {
        let mut same = true;
        let mut decide = |now: &Conflict| {
            same = true;
            let (asked, decision) = decided?;
            same = now.local == asked.local && now.remote == asked.remote;
            same.then(|| decision.clone())
        };
        let mut planner = DecisionPlanner {
            id,
            decide: &mut decide,
            context: self.0.db.plan_context(),
            made: None,
        };
        match self.0.db.commit(self.0.config.local, &mut planner).await {
            // Another tab has decided it in the meantime.
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(conflict) => Ok(same.then_some(conflict)),
        }
    }

    /// Resolves one conflict. If the resolver fails, the failure is reported and the conflict is
    /// parked, so that nothing is lost.
    async fn decide(&self, conflict: &Conflict) -> Result<Decision> {
        let now = self.0.host.now_ms();
        let answer = match self.0.resolvers.choice(self.0.config, &conflict.entity) {
            Choice::Builtin(builtin) => decide(
                builtin,
                conflict,
                &self.0.config.policies(&conflict.entity),
                now,
            ),
            choice if self.is_hung(&choice) => Err(Error::new(
                Code::Timeout,
                "The conflict resolver has not answered for another conflict, and was not asked for this one; the next sync asks it.",
            )),
            Choice::Custom(custom) => {
                let answer = self
                    .asked(&custom, conflict)
                    .await
                    .and_then(|resolution| self.checked(conflict, resolution));
                answer.map(|resolution| {
                    Decision::new(
                        conflict,
                        resolution,
                        "function",
                        "The app's resolver decided so.",
                        now,
                    )
                })
            }
        };
        self.0.cancel.check()?;
        Ok(answer.unwrap_or_else(|error| {
            self.0
                .warn(&error.on(&conflict.entity, Some(&conflict.entity_id)));
            Decision::failed()
        }))
    }

    /// Asks one of the app's own resolvers. The cycle keeps some of its time in case the resolver
    /// hangs.
    async fn asked(&self, custom: &Rc<dyn Resolver>, conflict: &Conflict) -> Result<Resolution> {
        let most = self
            .0
            .config
            .resolver_timeout
            .min(self.0.settings.timeout / 2);
        let answer = self.0.cancel.run(async {
            match select(custom.resolve(conflict), pin!(self.0.host.sleep(most))).await {
                Either::Left((answer, _)) => answer.map(Some),
                Either::Right(_) => Ok(None),
            }
        });
        answer.await?.ok_or_else(|| {
            self.0.timed_out_resolvers.borrow_mut().push(thin(custom));
            let fix = "let it answer { take: \"later\" } where somebody has to be asked, or raise `resolverTimeout`.";
            Error::new(Code::Timeout, format!("The conflict resolver has not answered for {most} ms; the conflict is parked. {fix}"))
        })
    }

    /// Returns true if the resolver has timed out in this cycle.
    fn is_hung(&self, choice: &Choice) -> bool {
        matches!(choice, Choice::Custom(custom) if self.0.timed_out_resolvers.borrow().contains(&thin(custom)))
    }

    fn checked(&self, conflict: &Conflict, resolution: Resolution) -> Result<Resolution> {
        let Resolution::Merged(given) = &resolution else {
            return Ok(resolution);
        };
        let now = self
            .0
            .host
            .now_ms()
            .saturating_add_signed(self.0.db.read(|replica| replica.facts().clock_offset));
        merged(
            conflict,
            given,
            now,
            &self.0.config.local_only(&conflict.entity),
        )
    }
}

/// Writes the members of the event `conflictResolved`.
pub fn put_resolved(out: &mut String, conflict: &Conflict, decision: &Decision, taken: &str) {
    push_field(out, "conflict", &conflict.to_json());
    put_text(out, "taken", taken);
    push_field(out, "explanation", &decision.explanation);
}

/// Returns a resolver's identity.
fn thin(resolver: &Rc<dyn Resolver>) -> *const () {
    Rc::as_ptr(resolver).cast()
}
