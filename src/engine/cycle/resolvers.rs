//! Chooses the resolver of a conflict: the call's before the type's before the config's.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::conflict::{Conflict, Resolution};
use crate::model::config::Config;
use crate::model::config::resolver::Builtin;
use crate::model::error::Result;
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::util::collections::vec_map::VecMap;

/// One of the app's own resolvers.
pub trait Resolver {
    /// Decides. The body of a [`Resolution::Merged`] is an entity in the app's form.
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> LocalBoxFuture<'a, Result<Resolution>>;
}

/// A built-in resolver, or one of the app's own.
#[derive(Clone)]
#[allow(missing_debug_implementations)]
pub enum Choice {
    /// A built-in resolver.
    Builtin(Builtin),
    /// One of the app's own.
    Custom(Rc<dyn Resolver>),
}

/// The resolvers of one cycle: the call's before the type's before the config's.
#[derive(Clone, Default)]
#[allow(missing_debug_implementations)]
pub struct Resolvers {
    /// For all types, in this call.
    pub call: Option<Choice>,
    /// The app's own resolvers by entity type.
    pub by_entity: VecMap<Rc<dyn Resolver>>,
    /// The app's own resolver for types that name none.
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
    /// Returns the resolver of an entity type.
    pub(super) fn choice(&self, config: &Config, entity: &str) -> Choice {
        if is_reserved(Table(entity).entity()) {
            return Choice::Builtin(Builtin::Merge);
        }
        if let Some(choice) = &self.call {
            return choice.clone();
        }
        if let Some(custom) = self.by_entity.get(Table(entity).entity()) {
            return Choice::Custom(Rc::clone(custom));
        }
        match (
            config
                .of(entity)
                .and_then(|entity| entity.conflict_resolver),
            &self.fallback,
        ) {
            (None, Some(custom)) => Choice::Custom(Rc::clone(custom)),
            _ => Choice::Builtin(config.resolver_of(entity)),
        }
    }
}
