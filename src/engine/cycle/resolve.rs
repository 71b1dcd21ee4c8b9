//! Who decides a conflict, and how the answer is checked.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, LocalBoxFuture, select};

use crate::conflict::{Conflict, Decision, Resolution, decide};
use crate::engine::cycle::Cycle;
use crate::engine::events::Topic;
use crate::model::config::Config;
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

/// The app's own resolver.
pub trait Resolver {
    /// Decides. The body of a [`Resolution::Merged`] is an entity as the app gives it.
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> LocalBoxFuture<'a, Result<Resolution>>;
}

/// A resolver by name, or the app's own.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub enum Choice {
    /// By name.
    Builtin(Builtin),
    /// The app's own.
    Custom(Rc<dyn Resolver>),
}

/// Who decides in one cycle: the call's choice before the type's before the config's.
#[derive(Clone, Default)]
#[allow(missing_debug_implementations)]
pub struct Resolvers {
    /// For every type, in this call.
    pub call: Option<Choice>,
    /// By entity type: the app's own ones.
    pub by_entity: VecMap<Rc<dyn Resolver>>,
    /// For types that name none: the app's own.
    pub fallback: Option<Rc<dyn Resolver>>,
}

impl std::fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolvers")
            .field("by_entity", &self.by_entity.len())
            .finish_non_exhaustive()
    }
}

impl Resolvers {
    fn choice(&self, config: &Config, entity: &str) -> Choice {
        if let Some(choice) = &self.call {
            return choice.clone();
        }
        if let Some(custom) = self.by_entity.get(entity) {
            return Choice::Custom(Rc::clone(custom));
        }
        match (
            config
                .entities
                .get(entity)
                .and_then(|entity| entity.conflict_resolver),
            &self.fallback,
        ) {
            (None, Some(custom)) => Choice::Custom(Rc::clone(custom)),
            _ => Choice::Builtin(config.resolver_of(entity)),
        }
    }
}

/// A conflict whose resolver fails is shown to it in so many cycles; then it waits for the app
/// alone.
const MOST_TRIES: u32 = 3;

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Commits a plan that may meet conflicts: has the undecided ones decided, and plans again.
    pub(crate) async fn commit_resolving<T, P: ConflictPlanner<Output = Decided<T>>>(
        &self,
        durability: Durability,
        planner: &mut P,
    ) -> Result<T> {
        loop {
            match self.db.commit(durability, planner).await? {
                Decided::Done(done) => return Ok(done),
                Decided::Undecided(conflicts) => {
                    self.decide_all(conflicts, planner.decisions()).await?;
                }
            }
        }
    }

    /// Adds what `conflicts` need to `decisions`: the resolvers' answers, or, while the remote may
    /// have applied what it did not answer, its word that it has not.
    async fn decide_all(&self, conflicts: Vec<Conflict>, decisions: &mut Decisions) -> Result<()> {
        let mut unsettled: VecMap<()> = VecMap::default();
        for one in conflicts.iter().filter(|one| one.unsettled) {
            unsettled.insert(&name(&one.entity, &one.entity_id), ());
        }
        if !unsettled.is_empty() {
            self.push_only(&unsettled).await?;
            for (entity, ()) in unsettled {
                decisions.confirmed_absent.insert(&entity, ());
            }
            return Ok(());
        }
        for conflict in conflicts {
            let decision = self.decide(&conflict).await?;
            decisions.made.insert(&conflict.id, decision);
        }
        Ok(())
    }

    /// Asks once more about conflicts that wait because their resolver failed.
    pub(crate) async fn ask_again(&self) -> Result<()> {
        let waiting: Vec<String> = self.db.read(|replica| {
            let failed = replica
                .conflicts()
                .values()
                .filter(|parked| (1..MOST_TRIES).contains(&parked.failed));
            failed.map(|parked| parked.id.clone()).collect()
        });
        for id in waiting {
            let Some(asked) = self.parked(&id, None).await? else {
                continue;
            };
            let choice = self.resolvers.choice(self.config, &asked.entity);
            if matches!(choice, Choice::Builtin(Builtin::Ask)) || self.is_hung(&choice) {
                continue;
            }
            let decision = self.decide(&asked).await?;
            if let Some(conflict) = self
                .parked(&id, Some((&asked, &decision)))
                .await?
                .filter(|_| decision.resolution != Resolution::Later)
            {
                self.tell_resolved(&conflict, &decision);
                let mut tally = self.tally.borrow_mut();
                tally.conflicts_resolved = tally.conflicts_resolved.saturating_add(1);
            }
        }
        Ok(())
    }

    /// A conflict that waits, and what is decided of it; none where it does not wait any more, or
    /// not as it was when it was asked about.
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
            context: self.db.plan_context(),
        };
        match self.db.commit(self.config.local, &mut planner).await {
            // Decided in another tab meanwhile.
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(conflict) => Ok(same.then_some(conflict)),
        }
    }

    /// Has one conflict decided. A resolver that fails decides nothing: the conflict is parked, so
    /// that nothing is lost, and the failure is shown.
    async fn decide(&self, conflict: &Conflict) -> Result<Decision> {
        let now = self.host.now_ms();
        let answer = match self.resolvers.choice(self.config, &conflict.entity) {
            Choice::Builtin(builtin) => decide(
                builtin,
                conflict,
                &self.config.policies(&conflict.entity),
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
        self.cancel.check()?;
        Ok(answer.unwrap_or_else(|error| {
            self.warn(&error.on(&conflict.entity, Some(&conflict.entity_id)));
            Decision::failed()
        }))
    }

    /// What an app's own resolver answers in time. One that hangs must leave the cycle time for
    /// everything else.
    async fn asked(&self, custom: &Rc<dyn Resolver>, conflict: &Conflict) -> Result<Resolution> {
        let most = self.config.resolver_timeout.min(self.settings.timeout / 2);
        let answer = self.cancel.run(async {
            match select(custom.resolve(conflict), pin!(self.host.sleep(most))).await {
                Either::Left((answer, _)) => answer.map(Some),
                Either::Right(_) => Ok(None),
            }
        });
        answer.await?.ok_or_else(|| {
            self.timed_out_resolvers.borrow_mut().push(thin(custom));
            let fix = "let it answer { take: \"later\" } where somebody has to be asked, or raise `resolverTimeout`.";
            Error::new(Code::Timeout, format!("The conflict resolver has not answered for {most} ms; the conflict is parked. {fix}"))
        })
    }

    /// Whether the resolver has left a conflict of this cycle without an answer.
    fn is_hung(&self, choice: &Choice) -> bool {
        matches!(choice, Choice::Custom(custom) if self.timed_out_resolvers.borrow().contains(&thin(custom)))
    }

    fn checked(&self, conflict: &Conflict, resolution: Resolution) -> Result<Resolution> {
        let Resolution::Merged(given) = &resolution else {
            return Ok(resolution);
        };
        let now = self
            .host
            .now_ms()
            .saturating_add_signed(self.db.read(|replica| replica.facts().clock_offset));
        merged(
            (&conflict.entity, &conflict.entity_id),
            given,
            now,
            &self.config.local_only(&conflict.entity),
        )
    }

    fn tell_resolved(&self, conflict: &Conflict, decision: &Decision) {
        if let Some(taken) = decision.resolution.taken() {
            self.tell(
                Topic::ConflictResolved,
                Some(&conflict.entity),
                &mut |out| put_resolved(out, conflict, decision, taken),
            );
        }
    }

    /// Counts what became of conflicts, and tells of it.
    pub(crate) fn count_conflicts(&self, resolved: &[(Conflict, Decision)]) {
        let mut tally = self.tally.borrow_mut();
        for (conflict, decision) in resolved {
            self.tell(
                Topic::ConflictDetected,
                Some(&conflict.entity),
                &mut |out| push_field(out, "conflict", &conflict.to_json()),
            );
            self.tell_resolved(conflict, decision);
            tally.conflicts_detected = tally.conflicts_detected.saturating_add(1);
            if decision.resolution != Resolution::Later {
                tally.conflicts_resolved = tally.conflicts_resolved.saturating_add(1);
            }
            let entity = tally.entities.entry(&conflict.entity);
            entity.conflicts = entity.conflicts.saturating_add(1);
        }
    }
}

/// The members of the event that tells of a conflict that has ended.
pub fn put_resolved(out: &mut String, conflict: &Conflict, decision: &Decision, taken: &str) {
    push_field(out, "conflict", &conflict.to_json());
    put_text(out, "taken", taken);
    push_field(out, "explanation", &decision.explanation);
}

/// By what a resolver is known again.
fn thin(resolver: &Rc<dyn Resolver>) -> *const () {
    Rc::as_ptr(resolver).cast()
}
