//! Who decides a conflict, and how the answer is checked.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::config::Config;
use crate::conflict::{Builtin, Conflict, Resolution, decide};
use crate::entity::{parse_draft, push_field, put_text};
use crate::error::Result;
use crate::events::Topic;
use crate::host::Host;
use crate::remote::Remote;
use crate::replica::device::split;
use crate::replica::incoming::Decisions;
use crate::small::Small;
use crate::store::Store;
use crate::sync::Cycle;

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
    pub by_entity: Small<Rc<dyn Resolver>>,
    /// For types that name none: the app's own.
    pub fallback: Option<Rc<dyn Resolver>>,
}

impl std::fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolvers").field("by_entity", &self.by_entity.len()).finish_non_exhaustive()
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
        match (config.entities.get(entity).and_then(|entity| entity.conflict_resolver), &self.fallback) {
            (None, Some(custom)) => Choice::Custom(Rc::clone(custom)),
            _ => Choice::Builtin(config.resolver_of(entity)),
        }
    }
}

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Has conflicts decided, and adds the answers to `decisions`. A resolver that fails decides
    /// nothing: the conflict is parked, so that nothing is lost, and the failure is shown.
    pub(crate) async fn ask(&self, conflicts: Vec<Conflict>, decisions: &mut Decisions) -> Result<()> {
        for conflict in conflicts {
            let answer = match self.resolvers.choice(self.config, &conflict.entity) {
                Choice::Builtin(builtin) => decide(builtin, &conflict),
                Choice::Custom(custom) => {
                    self.cancel.run(custom.resolve(&conflict)).await.and_then(|resolution| self.checked(&conflict.entity, resolution))
                }
            };
            self.cancel.check()?;
            let resolution = answer.unwrap_or_else(|error| {
                self.warn(&error.on(&conflict.entity, Some(&conflict.entity_id)));
                Resolution::Later
            });
            decisions.insert(&conflict.id, resolution);
        }
        Ok(())
    }

    fn checked(&self, entity_type: &str, resolution: Resolution) -> Result<Resolution> {
        match resolution {
            Resolution::Merged(entity) => {
                let now = self.host.now_ms().saturating_add_signed(self.db.with(|replica| replica.facts().clock_offset));
                let draft = parse_draft(&entity, &crate::time::format(now), None)?;
                let (body, _) = split(&draft.body, &self.config.local_only(entity_type))?;
                Ok(Resolution::Merged(Rc::from(body)))
            }
            other => Ok(other),
        }
    }

    fn tell_conflict(&self, conflict: &Conflict, resolution: &Resolution) {
        let entity = Some(conflict.entity.as_str());
        self.tell(Topic::ConflictDetected, entity, &mut |out| push_field(out, "conflict", &conflict.to_json()));
        let Some(taken) = resolution.taken() else { return };
        self.tell(Topic::ConflictResolved, entity, &mut |out| {
            push_field(out, "conflict", &conflict.to_json());
            put_text(out, "taken", taken);
        });
    }

    /// Counts what became of conflicts, and tells of it.
    pub(crate) fn count_conflicts(&self, resolved: &[(Conflict, Resolution)]) {
        let mut tally = self.tally.borrow_mut();
        for (conflict, resolution) in resolved {
            self.tell_conflict(conflict, resolution);
            tally.conflicts_detected = tally.conflicts_detected.saturating_add(1);
            if *resolution != Resolution::Later {
                tally.conflicts_resolved = tally.conflicts_resolved.saturating_add(1);
            }
            let entity = tally.entities.entry(&conflict.entity);
            entity.conflicts = entity.conflicts.saturating_add(1);
        }
    }
}
