//! Who decides conflicts: the call's choice before the type's before the config's.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::conflict::{Conflict, Resolution};
use crate::model::config::Config;
use crate::model::config::resolver::Builtin;
use crate::model::error::Result;
use crate::util::collections::vec_map::VecMap;

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
    /// Returns who decides for an entity type.
    pub(super) fn choice(&self, config: &Config, entity: &str) -> Choice {
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
