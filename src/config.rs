//! Configuration and options, checked once at the border: afterwards every value is in range.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::conflict::Builtin;
use crate::entity::check_name;
use crate::error::{Code, Error, Result};
use crate::protocol::MAX_BATCH;
use crate::store::Durability;

/// In which order a cycle pushes and pulls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Push, then pull.
    #[default]
    PushThenPull,
    /// Pull, then push: a sign-in sees the remote's data first.
    PullThenPush,
    /// Push only.
    PushOnly,
    /// Pull only.
    PullOnly,
}

impl Direction {
    /// Whether it pushes.
    #[must_use]
    pub const fn pushes(self) -> bool {
        !matches!(self, Self::PullOnly)
    }

    /// Whether it pulls.
    #[must_use]
    pub const fn pulls(self) -> bool {
        !matches!(self, Self::PushOnly)
    }
}

/// What a call of `synchronize` does while a cycle of that user is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestStrategy {
    /// Runs after it.
    #[default]
    Sequential,
    /// Is skipped.
    SkipConcurrent,
    /// Gets its result.
    JoinInFlight,
}

/// What a delete leaves on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeleteBehavior {
    /// The body stays, readable under `includeDeleted`.
    SoftDelete,
    /// Only the tombstone.
    #[default]
    HardDelete,
}

/// The config of one entity type, as the app gives it and without its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EntityConfig {
    /// Who decides conflicts of this type, where it is a built-in resolver.
    pub conflict_resolver: Option<Builtin>,
    /// What a delete leaves here.
    pub delete_behavior: Option<DeleteBehavior>,
}

/// How long which commits must be durable for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DurabilityConfig {
    /// Local writes; default strict.
    pub local: Option<DurabilityName>,
    /// Pulled rows; default relaxed.
    pub pulled: Option<DurabilityName>,
}

/// As [`Durability`], by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DurabilityName {
    /// Flushed to the disk.
    Strict,
    /// Handed to the operating system.
    Relaxed,
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Strict => Self::Strict,
            DurabilityName::Relaxed => Self::Relaxed,
        }
    }
}

/// `DatumConfig.retry` as the app gives it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RawRetry {
    /// Tries of one request within a cycle.
    pub max_attempts: Option<f64>,
    /// The first delay, in milliseconds.
    pub initial: Option<f64>,
    /// By how much each delay is longer.
    pub factor: Option<f64>,
    /// The longest delay, in milliseconds.
    pub max: Option<f64>,
    /// How delays are spread.
    pub jitter: Option<Jitter>,
}

/// How delays are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Jitter {
    /// Anywhere between nothing and the delay: clients that failed together do not come back together.
    #[default]
    Full,
    /// The delay itself.
    None,
}

/// How a request that may succeed later is tried again within a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Tries, the first one included.
    pub max_attempts: u32,
    /// The first delay, in milliseconds.
    pub initial: u64,
    /// By how much each delay is longer.
    pub factor: f64,
    /// The longest delay, in milliseconds.
    pub max: u64,
    /// How delays are spread.
    pub jitter: Jitter,
}

impl RawRetry {
    fn check(self) -> Result<Retry> {
        let factor = self.factor.unwrap_or(2.0);
        if !(1.0..=100.0).contains(&factor) {
            return Err(invalid("`retry.factor` must be a number from 1 to 100."));
        }
        Ok(Retry {
            max_attempts: u32::try_from(whole("retry.maxAttempts", self.max_attempts.unwrap_or(3.0), 1.0, 100.0)?).unwrap_or(1),
            initial: whole("retry.initial", self.initial.unwrap_or(500.0), 0.0, 3_600_000.0)?,
            factor,
            max: whole("retry.max", self.max.unwrap_or(60_000.0), 0.0, 86_400_000.0)?,
            jitter: self.jitter.unwrap_or_default(),
        })
    }
}

/// The config as the app gives it, without functions, adapters and other live objects, which the
/// JavaScript layer takes out before.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RawConfig {
    /// The prefix of the databases' names.
    pub name: Option<String>,
    /// The entity types.
    pub entities: BTreeMap<String, EntityConfig>,
    /// The current user to begin with, where it is a value.
    pub initial_user_id: Option<String>,
    /// Milliseconds.
    pub sync_timeout: Option<f64>,
    /// The direction of a cycle that names none.
    pub default_sync_direction: Option<Direction>,
    /// Options of a cycle that gives none.
    pub default_sync_options: Option<RawOptions>,
    /// The resolver, where it is a built-in one.
    pub default_conflict_resolver: Option<Builtin>,
    /// How a request that may succeed later is tried again.
    pub retry: RawRetry,
    /// What a second call of `synchronize` does.
    pub sync_request_strategy: Option<RequestStrategy>,
    /// Durability.
    pub durability: DurabilityConfig,
    /// Bytes of bodies to keep in memory.
    pub memory_budget: Option<f64>,
    /// The app's schema version, which goes with every request.
    pub schema_version: Option<f64>,
    /// Users that never sync.
    pub excluded_sync_user_ids: Vec<String>,
}

/// A checked config.
#[derive(Clone, Debug)]
pub struct Config {
    /// The prefix of the databases' names.
    pub name: String,
    /// The entity types.
    pub entities: BTreeMap<String, EntityConfig>,
    /// Milliseconds.
    pub sync_timeout: u64,
    /// Options of a cycle that gives none.
    pub defaults: Options,
    /// The built-in resolver where the type names none.
    pub conflict_resolver: Builtin,
    /// How a request that may succeed later is tried again.
    pub retry: Retry,
    /// What a second call of `synchronize` does.
    pub strategy: RequestStrategy,
    /// Durability of local writes.
    pub local: Durability,
    /// Durability of pulled rows.
    pub pulled: Durability,
    /// Bytes of bodies to keep in memory.
    pub memory_budget: u64,
    /// The app's schema version.
    pub schema: u32,
    /// Users that never sync.
    pub excluded: Vec<String>,
}

const DEFAULT_TIMEOUT_MS: f64 = 120_000.0;
const DEFAULT_MEMORY_BUDGET: f64 = 67_108_864.0;

impl RawConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Code::InvalidConfig`] naming the field and the fix.
    pub fn check(self) -> Result<Config> {
        let name = self.name.unwrap_or_else(|| "datum".to_owned());
        check_name(&name).map_err(|e| invalid(format!("`name`: {}", e.message())))?;
        if name.contains('/') {
            return Err(invalid("`name` must not contain `/`: it separates the name from the user in the databases' names."));
        }
        if self.entities.is_empty() {
            return Err(invalid("`entities` must name at least one entity type, such as { tasks: {} }."));
        }
        for entity in self.entities.keys() {
            check_name(entity).map_err(|e| invalid(format!("`entities`: {}", e.message())))?;
        }
        let mut defaults =
            self.default_sync_options.unwrap_or_default().check().map_err(|e| invalid(format!("`defaultSyncOptions`: {}", e.message())))?;
        defaults.direction = defaults.direction.or(self.default_sync_direction);
        Ok(Config {
            name,
            entities: self.entities,
            sync_timeout: whole("syncTimeout", self.sync_timeout.unwrap_or(DEFAULT_TIMEOUT_MS), 1.0, 86_400_000.0)?,
            defaults,
            conflict_resolver: self.default_conflict_resolver.unwrap_or_default(),
            retry: self.retry.check()?,
            strategy: self.sync_request_strategy.unwrap_or_default(),
            local: self.durability.local.map_or(Durability::Strict, Into::into),
            pulled: self.durability.pulled.map_or(Durability::Relaxed, Into::into),
            memory_budget: whole("memoryBudget", self.memory_budget.unwrap_or(DEFAULT_MEMORY_BUDGET), 0.0, 9e15)?,
            schema: u32::try_from(whole("schemaVersion", self.schema_version.unwrap_or(0.0), 0.0, 4e9)?).unwrap_or(u32::MAX),
            excluded: self.excluded_sync_user_ids,
        })
    }
}

impl Config {
    /// The resolver of an entity type, where the call names none.
    #[must_use]
    pub fn resolver_of(&self, entity: &str) -> Builtin {
        self.entities.get(entity).and_then(|config| config.conflict_resolver).unwrap_or(self.conflict_resolver)
    }

    /// Whether deleted entities of a type keep their body here.
    #[must_use]
    pub fn is_soft(&self, entity: &str) -> bool {
        self.entities.get(entity).and_then(|config| config.delete_behavior) == Some(DeleteBehavior::SoftDelete)
    }
}

/// `SyncScope` of the public surface: a partial pull with a cursor of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scope {
    /// Only these entity types.
    pub entities: Option<Vec<String>>,
    /// What the remote shall select by, in its own words.
    pub query: Option<serde_json::Value>,
    /// The cursor's name; by default, made of the other two.
    pub name: Option<String>,
}

impl Scope {
    /// The name under which its cursor is kept; never empty, which is the main cursor's name.
    #[must_use]
    pub fn cursor_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let query = self.query.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{}?{query}", self.entities.as_deref().unwrap_or_default().join(","))
        })
    }
}

/// `SyncOptions` as the app gives them, without functions and signals.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RawOptions {
    /// The direction.
    pub direction: Option<Direction>,
    /// Ignore the cursor.
    pub force_full_sync: Option<bool>,
    /// Operations per push and rows per page.
    pub override_batch_size: Option<f64>,
    /// Push deletes, and show the remote's.
    pub include_deletes: Option<bool>,
    /// Resolve conflicts; otherwise park them.
    pub resolve_conflicts: Option<bool>,
    /// The resolver, where it is a built-in one.
    pub conflict_resolver: Option<Builtin>,
    /// Milliseconds.
    pub timeout: Option<f64>,
    /// A partial pull.
    pub scope: Option<Scope>,
    /// Try even when the browser says offline.
    pub force: Option<bool>,
}

/// Checked options; what is absent comes from the config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The direction.
    pub direction: Option<Direction>,
    /// Ignore the cursor.
    pub force_full_sync: Option<bool>,
    /// Operations per push and rows per page.
    pub batch_size: Option<usize>,
    /// Push deletes, and show the remote's.
    pub include_deletes: Option<bool>,
    /// Resolve conflicts; otherwise park them.
    pub resolve_conflicts: Option<bool>,
    /// The resolver, where it is a built-in one.
    pub conflict_resolver: Option<Builtin>,
    /// Milliseconds.
    pub timeout: Option<u64>,
    /// A partial pull.
    pub scope: Option<Scope>,
    /// Try even when the browser says offline.
    pub force: Option<bool>,
}

impl RawOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] naming the field and the fix.
    pub fn check(self) -> Result<Options> {
        let batch_size = match self.override_batch_size {
            None => None,
            Some(size) if size.fract() == 0.0 && size >= 1.0 && size <= MAX_BATCH as f64 => Some(size as usize),
            Some(_) => {
                return Err(Error::new(
                    Code::InvalidArgument,
                    format!("`overrideBatchSize` must be a whole number from 1 to {MAX_BATCH}."),
                ));
            }
        };
        let timeout = match self.timeout {
            None => None,
            Some(ms) if ms.is_finite() && ms > 0.0 => Some(ms.ceil() as u64),
            Some(_) => return Err(Error::new(Code::InvalidArgument, "`timeout` must be a number of milliseconds greater than 0.")),
        };
        if let Some(scope) = &self.scope {
            if scope.name.as_deref() == Some("") {
                return Err(Error::new(Code::InvalidArgument, "`scope.name` must not be empty."));
            }
            for entity in scope.entities.iter().flatten() {
                check_name(entity).map_err(|e| Error::new(Code::InvalidArgument, format!("`scope.entities`: {}", e.message())))?;
            }
        }
        Ok(Options {
            direction: self.direction,
            force_full_sync: self.force_full_sync,
            batch_size,
            include_deletes: self.include_deletes,
            resolve_conflicts: self.resolve_conflicts,
            conflict_resolver: self.conflict_resolver,
            timeout,
            scope: self.scope,
            force: self.force,
        })
    }
}

impl Options {
    /// These options, with what is absent taken from others.
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
        }
    }
}

fn whole(field: &str, value: f64, least: f64, most: f64) -> Result<u64> {
    if value.is_finite() && value.fract() == 0.0 && value >= least && value <= most {
        return Ok(value as u64);
    }
    Err(invalid(format!("`{field}` must be a whole number from {least} to {most}.")))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidConfig, message)
}
