//! Configuration and options, checked once at the border: afterwards every value is in range.

use std::rc::Rc;

use crate::conflict::policy::sums;
use crate::model::config::merge_fields::Policies;
use crate::model::config::resolver::Builtin;
use crate::model::config::storage::Durability;
pub use crate::model::config::storage::Persist;
pub use crate::model::config::timing::{Jitter, Retry};
use crate::model::config::timing::{Timing, read_retry};
use crate::model::entity::{OWN_FIELDS, check_name};
use crate::model::error::Result;
use crate::model::limits::{MAX_BATCH, MAX_VERSION};
use crate::model::object_reader::ObjectReader;
use crate::model::operation::Parent;
use crate::util::collections::vec_map::VecMap;

pub mod merge_fields;
pub mod relations;
pub mod resolver;
pub mod storage;
pub mod timing;

/// In which order a cycle pushes and pulls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

const DIRECTIONS: [(&str, Direction); 4] = [
    ("pushThenPull", Direction::PushThenPull),
    ("pullThenPush", Direction::PullThenPush),
    ("pushOnly", Direction::PushOnly),
    ("pullOnly", Direction::PullOnly),
];

impl Direction {
    /// Whether it pushes.
    #[must_use]
    pub const fn pushes(self) -> bool {
        !matches!(self, Self::PullOnly)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        DIRECTIONS
            .iter()
            .find(|(_, direction)| *direction == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether it pulls.
    #[must_use]
    pub const fn pulls(self) -> bool {
        !matches!(self, Self::PushOnly)
    }
}

/// What a call of `synchronize` does while a cycle of that user is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestStrategy {
    /// Runs after it.
    #[default]
    Sequential,
    /// Is skipped.
    SkipConcurrent,
    /// Gets its result.
    JoinInFlight,
}

const STRATEGIES: [(&str, RequestStrategy); 3] = [
    ("sequential", RequestStrategy::Sequential),
    ("skipConcurrent", RequestStrategy::SkipConcurrent),
    ("joinInFlight", RequestStrategy::JoinInFlight),
];

const DURABILITIES: [(&str, Durability); 2] = [
    ("strict", Durability::Strict),
    ("relaxed", Durability::Relaxed),
];

/// What becomes of the previous user's operations, or of the new user's data, when the user
/// changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSwitch {
    /// Pushes the previous user's operations first; the switch follows in any case.
    #[default]
    SyncThenSwitch,
    /// Clears the new user's data on this device and pulls it afresh.
    ClearAndFetch,
    /// Refuses while the previous user has unsynced operations.
    PromptIfUnsyncedData,
    /// Just switches.
    KeepLocal,
}

impl UserSwitch {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("syncThenSwitch", Self::SyncThenSwitch),
        ("clearAndFetch", Self::ClearAndFetch),
        ("promptIfUnsyncedData", Self::PromptIfUnsyncedData),
        ("keepLocal", Self::KeepLocal),
    ];
}

/// What a delete leaves on this device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteBehavior {
    /// The body stays, readable under `includeDeleted`.
    SoftDelete,
    /// Only the tombstone.
    #[default]
    HardDelete,
}

impl DeleteBehavior {
    /// Each with its name.
    pub const NAMES: [(&'static str, Self); 2] = [
        ("softDelete", Self::SoftDelete),
        ("hardDelete", Self::HardDelete),
    ];
}

/// The config of one entity type, without its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityConfig {
    /// Who decides conflicts of this type, where it is a built-in resolver.
    pub conflict_resolver: Option<Builtin>,
    /// What a delete leaves here.
    pub delete_behavior: Option<DeleteBehavior>,
    /// Top-level fields that never leave the device.
    pub local_only: Rc<[String]>,
    /// How fields are merged that both sides changed, by path.
    pub merge_fields: Rc<Policies>,
    /// The types that its foreign keys name.
    pub parents: Rc<[Parent]>,
    /// What was refused stays visible here until the app has dealt with it.
    pub keeps_rejected: bool,
}

/// A checked config.
#[derive(Clone, Debug)]
pub struct Config {
    /// The prefix of the databases' names.
    pub name: String,
    /// The entity types.
    pub entities: VecMap<EntityConfig>,
    /// Milliseconds.
    pub sync_timeout: u64,
    /// Options of a cycle that gives none.
    pub defaults: Options,
    /// The built-in resolver where the type names none.
    pub conflict_resolver: Builtin,
    /// How long an app's own resolver may take for one conflict, in milliseconds.
    pub resolver_timeout: u64,
    /// How a request that may succeed later is tried again.
    pub retry: Retry,
    /// What a second call of `synchronize` does.
    pub strategy: RequestStrategy,
    /// What a switch of users does where the call names no strategy.
    pub user_switch: UserSwitch,
    /// Durability of local writes.
    pub local: Durability,
    /// Durability of pulled rows.
    pub pulled: Durability,
    /// Bytes of bodies to keep in memory.
    pub memory_budget: u64,
    /// Who asks the browser never to evict what is stored.
    pub persist: Persist,
    /// The app's schema version.
    pub schema: u32,
    /// Users that never sync.
    pub excluded: Vec<String>,
    /// Listen for hints.
    pub realtime: bool,
    /// Send what waits when the page is hidden or left.
    pub flush_on_leave: bool,
    /// Ask the service worker to send what a hidden page leaves.
    pub background_sync: bool,
    /// When cycles begin by themselves.
    pub timing: Timing,
}

const DEFAULT_TIMEOUT_MS: u64 = 120_000;

const DEFAULT_RESOLVER_MS: u64 = 30_000;

const DEFAULT_MEMORY_BUDGET: u64 = 67_108_864;

const DAY_MS: u64 = 86_400_000;

impl Config {
    /// Reads `DatumConfig` without functions, adapters and other live objects, which the JavaScript
    /// layer takes out before.
    ///
    /// # Errors
    /// The reader's code ([`crate::model::error::Code::InvalidConfig`]), naming the field and the
    /// fix.
    pub fn read(mut given: ObjectReader<'_>) -> Result<Self> {
        let name = given.text("name").unwrap_or_else(|| "datum".to_owned());
        is_name(&given, "name", "is no name: ", &name);
        if name.as_bytes().contains(&b'/') {
            given.reject::<()>("name", "must not contain `/`, which separates the name from the user in the databases' names.");
        }
        let entities = read_entities(&mut given);
        let mut defaults = match given.object("defaultSyncOptions") {
            Some(mut options) => Options::read_part(&mut options),
            None => Options::default(),
        };
        defaults.direction = defaults
            .direction
            .or(given.choice("defaultSyncDirection", &DIRECTIONS));
        let (mut local, mut pulled) = (None, None);
        if let Some(mut durability) = given.object("durability") {
            local = durability.choice("local", &DURABILITIES);
            pulled = durability.choice("pulled", &DURABILITIES);
            durability.reject_unknown();
        }
        let config = Self {
            name,
            entities,
            sync_timeout: given.whole_or("syncTimeout", 1, DAY_MS, DEFAULT_TIMEOUT_MS),
            defaults,
            conflict_resolver: given
                .choice("defaultConflictResolver", &Builtin::NAMES)
                .unwrap_or_default(),
            resolver_timeout: given.whole_or("resolverTimeout", 1, DAY_MS, DEFAULT_RESOLVER_MS),
            retry: read_retry(&mut given),
            strategy: given
                .choice("syncRequestStrategy", &STRATEGIES)
                .unwrap_or_default(),
            user_switch: given
                .choice("defaultUserSwitchStrategy", &UserSwitch::NAMES)
                .unwrap_or_default(),
            local: local.unwrap_or(Durability::Strict),
            pulled: pulled.unwrap_or(Durability::Relaxed),
            memory_budget: given.whole_or("memoryBudget", 0, MAX_VERSION, DEFAULT_MEMORY_BUDGET),
            persist: Persist::read(&mut given).unwrap_or_default(),
            schema: given
                .whole("schemaVersion", 0, u64::from(u32::MAX))
                .map_or(0, |version| version as u32),
            excluded: given.texts("excludedSyncUserIds").unwrap_or_default(),
            realtime: given.flag("realtime").unwrap_or(false),
            flush_on_leave: given.flag("flushOnLeave").unwrap_or(true),
            background_sync: given.flag("backgroundSync").unwrap_or(false),
            timing: Timing::read(&mut given),
        };
        given.finish()?;
        Ok(config)
    }

    /// The resolver of an entity type, where the call names none.
    #[must_use]
    pub fn resolver_of(&self, entity: &str) -> Builtin {
        self.entities
            .get(entity)
            .and_then(|config| config.conflict_resolver)
            .unwrap_or(self.conflict_resolver)
    }

    /// The fields of a type that never leave the device.
    #[must_use]
    pub fn local_only(&self, entity: &str) -> Rc<[String]> {
        self.entities
            .get(entity)
            .map(|config| Rc::clone(&config.local_only))
            .unwrap_or_default()
    }

    /// How the fields of a type are merged.
    #[must_use]
    pub fn policies(&self, entity: &str) -> Rc<Policies> {
        self.entities
            .get(entity)
            .map(|config| Rc::clone(&config.merge_fields))
            .unwrap_or_default()
    }

    /// Whether a field of a type is summed.
    #[must_use]
    pub fn sums(&self, entity: &str) -> bool {
        self.entities
            .get(entity)
            .is_some_and(|config| sums(&config.merge_fields))
    }

    /// Whether refused writes of a type stay visible.
    #[must_use]
    pub fn keeps(&self, entity: &str) -> bool {
        self.entities
            .get(entity)
            .is_some_and(|config| config.keeps_rejected)
    }

    /// Whether deleted entities of a type keep their body here.
    #[must_use]
    pub fn is_soft(&self, entity: &str) -> bool {
        self.entities
            .get(entity)
            .and_then(|config| config.delete_behavior)
            == Some(DeleteBehavior::SoftDelete)
    }
}

/// `SyncScope` of the public surface: a partial pull with a cursor of its own.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Between the types stands what no name can have, so that different scopes have different
    /// cursors.
    #[must_use]
    pub fn cursor_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let query = self
                .query
                .as_ref()
                .map(crate::util::json::serialize::to_string)
                .unwrap_or_default();
            [
                &self.entities.as_deref().unwrap_or_default().join("\n"),
                "?",
                &query,
            ]
            .concat()
        })
    }
}

/// `SyncOptions`, checked, without functions and signals; what is absent comes from the config.
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

impl Options {
    /// Reads `SyncOptions` without what only lives in JavaScript.
    ///
    /// # Errors
    /// The reader's code, naming the field and the fix.
    pub fn read(mut given: ObjectReader<'_>) -> Result<Self> {
        let options = Self::read_part(&mut given);
        given.check()?;
        Ok(options)
    }

    /// The same, where the whole that these are a part of says what was wrong.
    fn read_part(given: &mut ObjectReader<'_>) -> Self {
        let timeout = given.number("timeout");
        if timeout.is_some_and(|ms| ms <= 0.0) {
            given.reject::<()>(
                "timeout",
                "must be a number of milliseconds greater than 0.",
            );
        }
        let options = Self {
            direction: given.choice("direction", &DIRECTIONS),
            force_full_sync: given.flag("forceFullSync"),
            batch_size: given
                .whole("overrideBatchSize", 1, MAX_BATCH as u64)
                .map(|size| size as usize),
            include_deletes: given.flag("includeDeletes"),
            resolve_conflicts: given.flag("resolveConflicts"),
            conflict_resolver: given.choice("conflictResolver", &Builtin::NAMES),
            timeout: timeout.map(|ms| ms.ceil() as u64),
            scope: given.object("scope").map(read_scope),
            force: given.flag("force"),
        };
        given.reject_unknown();
        options
    }

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

fn read_entities(given: &mut ObjectReader<'_>) -> VecMap<EntityConfig> {
    let mut entities = VecMap::default();
    if let Some(mut types) = given.object("entities") {
        for name in types.names() {
            is_name(&types, name, "is no name for an entity type: ", name);
            let mut config = EntityConfig::default();
            if let Some(mut entity) = types.object(name) {
                config.conflict_resolver = entity.choice("conflictResolver", &Builtin::NAMES);
                config.delete_behavior = entity.choice("deleteBehavior", &DeleteBehavior::NAMES);
                config.local_only = read_local_only(&mut entity);
                config.merge_fields = merge_fields::read(&mut entity, &config.local_only);
                config.parents = relations::read_parents(&mut entity);
                config.keeps_rejected = entity
                    .choice("onRejected", &[("revert", false), ("keepLocal", true)])
                    .unwrap_or_default();
                entity.reject_unknown();
            }
            entities.insert(name, config);
        }
    }
    if entities.is_empty() {
        given.reject::<()>(
            "entities",
            "must name at least one entity type, such as { tasks: {} }.",
        );
    }
    for (name, config) in entities.iter() {
        if let Some(parent) = config
            .parents
            .iter()
            .find(|parent| !entities.contains(&parent.entity))
        {
            let problem = format!(
                "of `{name}` has a relation to `{}`, which is no entity type of this config.",
                parent.entity
            );
            given.reject::<()>("entities", &problem);
        }
    }
    entities
}

fn read_local_only(entity: &mut ObjectReader<'_>) -> Rc<[String]> {
    let names = entity.texts("localOnly").unwrap_or_default();
    for name in &names {
        if name.is_empty() {
            entity.reject::<()>(
                "localOnly",
                "has an empty name; give the names of top-level fields.",
            );
        }
        if OWN_FIELDS.contains(&name.as_str()) {
            entity.reject::<()>(
                "localOnly",
                &format!(
                    "names `{name}`, which the engine owns and the server needs; leave it out."
                ),
            );
        }
    }
    Rc::from(names)
}

fn read_scope(mut given: ObjectReader<'_>) -> Scope {
    let scope = Scope {
        entities: given.texts("entities"),
        query: given.value("query").cloned(),
        name: given.text("name"),
    };
    if scope.name.as_deref() == Some("") {
        given.reject::<()>("name", "must not be empty.");
    }
    if scope.entities.as_ref().is_some_and(Vec::is_empty) {
        given.reject::<()>(
            "entities",
            "must name at least one entity type; leave it out for all.",
        );
    }
    for entity in scope.entities.iter().flatten() {
        is_name(
            &given,
            "entities",
            "has no name of an entity type: ",
            entity,
        );
    }
    given.reject_unknown();
    scope
}

fn is_name(given: &ObjectReader<'_>, member: &str, problem: &str, name: &str) {
    if let Err(error) = check_name(name) {
        given.reject::<()>(member, &[problem, error.message()].concat());
    }
}
