//! `SyncOptions` and the direction of a cycle.

use crate::model::checked_object::CheckedObject;
use crate::model::config::resolver::Builtin;
use crate::model::config::scope::Scope;

/// What a cycle does, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Push, then pull.
    #[default]
    PushThenPull,
    /// Pull, then push, so that a sign-in shows the remote's data first.
    PullThenPush,
    PushOnly,
    PullOnly,
}

pub(super) const DIRECTIONS: [(&str, Direction); 4] = [
    ("pushThenPull", Direction::PushThenPull),
    ("pullThenPush", Direction::PullThenPush),
    ("pushOnly", Direction::PushOnly),
    ("pullOnly", Direction::PullOnly),
];

impl Direction {
    #[must_use]
    pub const fn pushes(self) -> bool {
        !matches!(self, Self::PullOnly)
    }

    /// Returns its name in the config.
    #[must_use]
    pub fn name(self) -> &'static str {
        DIRECTIONS
            .iter()
            .find(|(_, direction)| *direction == self)
            .map_or("", |(name, _)| name)
    }

    #[must_use]
    pub const fn pulls(self) -> bool {
        !matches!(self, Self::PushOnly)
    }
}

/// `SyncOptions` of the public surface, validated, without functions and signals. The config
/// supplies what is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub direction: Option<Direction>,
    /// Ignores the cursor.
    pub force_full_sync: Option<bool>,
    /// Operations per push and rows per page.
    pub batch_size: Option<usize>,
    /// Pushes deletes and applies the remote's.
    pub include_deletes: Option<bool>,
    /// Resolves conflicts; otherwise they are parked.
    pub resolve_conflicts: Option<bool>,
    /// The resolver, if it is a built-in one.
    pub conflict_resolver: Option<Builtin>,
    /// How long the cycle may take, in milliseconds.
    pub timeout: Option<u64>,
    /// A partial pull.
    pub scope: Option<Scope>,
    /// Tries even if the browser reports that it is offline.
    pub force: Option<bool>,
    /// The engine itself begins the cycle, and not the app.
    pub automatic: bool,
}

impl Options {
    /// Reads `SyncOptions` without its live objects.
    #[must_use]
    pub fn read(given: CheckedObject<'_>) -> Self {
        Self {
            direction: given.choice("direction", &DIRECTIONS),
            force_full_sync: given.flag("forceFullSync"),
            batch_size: given.whole("overrideBatchSize").map(|size| size as usize),
            include_deletes: given.flag("includeDeletes"),
            resolve_conflicts: given.flag("resolveConflicts"),
            conflict_resolver: given.choice("conflictResolver", &Builtin::NAMES),
            timeout: given.number("timeout").map(|ms| ms.ceil() as u64),
            scope: given.object("scope").map(Scope::read),
            force: given.flag("force"),
            automatic: false,
        }
    }

    /// Fills in missing options from `defaults`.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        Self {
            direction: self.direction.or(defaults.direction),
            force_full_sync: self.force_full_sync.or(defaults.force_full_sync),
            batch_size: self.batch_size.or(defaults.batch_size),
            include_deletes: self.include_deletes.or(defaults.include_deletes),
            resolve_conflicts: self.resolve_conflicts.or(defaults.resolve_conflicts),
            conflict_resolver: self.conflict_resolver.or(defaults.conflict_resolver),
            timeout: self.timeout.or(defaults.timeout),
            scope: self.scope.or_else(|| defaults.scope.clone()),
            force: self.force.or(defaults.force),
            automatic: self.automatic,
        }
    }
}
