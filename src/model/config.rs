//! Configuration and options. JavaScript has checked them: every value is in range.

use std::rc::Rc;

use crate::model::checked_object::CheckedObject;
use crate::model::config::entity::read_entities;
pub use crate::model::config::entity::{DeleteBehavior, EntityConfig};
use crate::model::config::merge_fields::{Policies, sums};
use crate::model::config::options::DIRECTIONS;
pub use crate::model::config::options::{Direction, Options};
use crate::model::config::relations::Relation;
use crate::model::config::resolver::Builtin;
use crate::model::config::retry::read_retry;
pub use crate::model::config::retry::{Jitter, Retry};
pub use crate::model::config::scope::Scope;
use crate::model::config::storage::Durability;
pub use crate::model::config::storage::Persist;
use crate::model::config::timing::Timing;
use crate::model::schema_field::SchemaField;
use crate::model::space::is_reserved;
use crate::model::table::Table;
use crate::util::collections::vec_map::VecMap;

pub mod entity;
pub mod merge_fields;
pub mod options;
pub mod relations;
pub mod resolver;
pub mod retry;
pub mod scope;
pub mod storage;
pub mod timing;

/// What `synchronize` does while a cycle of the same user is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestStrategy {
    /// Runs after that cycle.
    #[default]
    Sequential,
    /// Skips the call.
    SkipConcurrent,
    /// Returns the result of that cycle.
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

/// What happens to the previous user's operations and the new user's data when the user changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSwitch {
    /// Pushes the previous user's operations first, then switches whether that succeeded or not.
    #[default]
    SyncThenSwitch,
    /// Clears the new user's data on this device and pulls it again.
    ClearAndFetch,
    /// Refuses while the previous user has unsynced operations.
    PromptIfUnsyncedData,
    /// Switches at once.
    KeepLocal,
    /// Moves everything of the previous user to the new one: of a visitor to the account.
    Adopt,
}

impl UserSwitch {
    /// Each value with its name in the config.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("syncThenSwitch", Self::SyncThenSwitch),
        ("clearAndFetch", Self::ClearAndFetch),
        ("promptIfUnsyncedData", Self::PromptIfUnsyncedData),
        ("keepLocal", Self::KeepLocal),
        ("adopt", Self::Adopt),
    ];
}

/// A validated config.
#[derive(Clone, Debug)]
pub struct Config {
    /// The prefix of the databases' names.
    pub name: String,
    /// The entity types.
    pub entities: VecMap<EntityConfig>,
    /// The settings of spaces and members, which every config has.
    reserved: EntityConfig,
    /// How long a cycle may take, in milliseconds.
    pub sync_timeout: u64,
    /// Options for calls that do not set them.
    pub defaults: Options,
    /// The built-in resolver for types that name none.
    pub conflict_resolver: Builtin,
    /// How long the app's own resolver may take for one conflict, in milliseconds.
    pub resolver_timeout: u64,
    /// How failed requests are retried.
    pub retry: Retry,
    /// What a concurrent call of `synchronize` does.
    pub strategy: RequestStrategy,
    /// The strategy of user switches that name none.
    pub user_switch: UserSwitch,
    /// Durability of local writes.
    pub local: Durability,
    /// Durability of pulled rows.
    pub pulled: Durability,
    /// How many bytes of bodies are kept in memory.
    pub memory_budget: u64,
    /// Who asks the browser never to evict the data.
    pub persist: Persist,
    /// The app's schema version.
    pub schema: u32,
    /// The field of each entity that names its version.
    pub schema_field: Option<Rc<SchemaField>>,
    /// Users who never sync.
    pub excluded: Vec<String>,
    /// Listens for the remote's hints.
    pub realtime: bool,
    /// Pushes pending operations when the page is hidden or left.
    pub flush_on_leave: bool,
    /// Asks the service worker to push what a hidden page leaves.
    pub background_sync: bool,
    /// When automatic cycles begin.
    pub timing: Timing,
    /// How many bytes the trace of each user may have; 0 for none.
    pub trace: u64,
}

const DEFAULT_TIMEOUT_MS: u64 = 120_000;

const DEFAULT_RESOLVER_MS: u64 = 30_000;

const DEFAULT_MEMORY_BUDGET: u64 = 67_108_864;

/// The bytes of a trace by default.
const DEFAULT_TRACE: u64 = 8 << 20;

/// Reads `trace`: true, or an object with `maxBytes`.
fn trace_bytes(given: CheckedObject<'_>) -> u64 {
    match given.flag("trace") {
        Some(is_on) => {
            if is_on {
                DEFAULT_TRACE
            } else {
                0
            }
        }
        None => given
            .object("trace")
            .map_or(0, |trace| trace.whole("maxBytes").unwrap_or(DEFAULT_TRACE)),
    }
}

impl Config {
    /// Reads a `DatumConfig` without its functions, adapters and other live objects, which stay in
    /// JavaScript.
    #[must_use]
    pub fn read(given: CheckedObject<'_>) -> Self {
        let mut defaults = given
            .object("defaultSyncOptions")
            .map(Options::read)
            .unwrap_or_default();
        defaults.direction = defaults
            .direction
            .or_else(|| given.choice("defaultSyncDirection", &DIRECTIONS));
        let schema = given.whole("schemaVersion").unwrap_or_default() as u32;
        let durability = |side| given.object("durability")?.choice(side, &DURABILITIES);
        Self {
            name: given.text("name").unwrap_or_else(|| "datum".to_owned()),
            entities: read_entities(given),
            reserved: EntityConfig::default(),
            sync_timeout: given.whole("syncTimeout").unwrap_or(DEFAULT_TIMEOUT_MS),
            defaults,
            conflict_resolver: given
                .choice("defaultConflictResolver", &Builtin::NAMES)
                .unwrap_or_default(),
            resolver_timeout: given
                .whole("resolverTimeout")
                .unwrap_or(DEFAULT_RESOLVER_MS),
            retry: read_retry(given),
            strategy: given
                .choice("syncRequestStrategy", &STRATEGIES)
                .unwrap_or_default(),
            user_switch: given
                .choice("defaultUserSwitchStrategy", &UserSwitch::NAMES)
                .unwrap_or_default(),
            local: durability("local").unwrap_or(Durability::Strict),
            pulled: durability("pulled").unwrap_or(Durability::Relaxed),
            memory_budget: given.whole("memoryBudget").unwrap_or(DEFAULT_MEMORY_BUDGET),
            persist: Persist::read(given).unwrap_or_default(),
            schema,
            schema_field: given.text("schemaField").map(|name| {
                Rc::new(SchemaField {
                    name,
                    version: schema,
                })
            }),
            excluded: given.texts("excludedSyncUserIds").unwrap_or_default(),
            realtime: given.flag("realtime").unwrap_or(false),
            flush_on_leave: given.flag("flushOnLeave").unwrap_or(true),
            background_sync: given.flag("backgroundSync").unwrap_or(false),
            timing: Timing::read(given),
            trace: trace_bytes(given),
        }
    }

    /// Returns the config of the entity type of a table.
    #[must_use]
    pub fn of(&self, table: &str) -> Option<&EntityConfig> {
        match Table(table).entity() {
            entity if is_reserved(entity) => Some(&self.reserved),
            entity => self.entities.get(entity),
        }
    }

    /// Returns the resolver of an entity type for calls that name none.
    #[must_use]
    pub fn resolver_of(&self, entity: &str) -> Builtin {
        self.of(entity)
            .and_then(|config| config.conflict_resolver)
            .unwrap_or(self.conflict_resolver)
    }

    /// Returns the fields of a type that never leave the device.
    #[must_use]
    pub fn local_only(&self, entity: &str) -> Rc<[String]> {
        self.of(entity)
            .map(|config| Rc::clone(&config.local_only))
            .unwrap_or_default()
    }

    /// Returns the fields of each index of a type.
    #[must_use]
    pub fn indexes(&self, entity: &str) -> Rc<[Vec<String>]> {
        self.of(entity)
            .map(|config| Rc::clone(&config.indexes))
            .unwrap_or_default()
    }

    /// Returns the relations of a type.
    #[must_use]
    pub fn relations(&self, entity: &str) -> Rc<[Relation]> {
        self.of(entity)
            .map(|config| relations::read(&config.relations))
            .unwrap_or_default()
    }

    /// Returns true if the delete of an entity of this type may concern others.
    #[must_use]
    pub fn has_delete_rules(&self, entity: &str) -> bool {
        self.of(entity)
            .is_some_and(|config| relations::has_rule(&config.relations))
    }

    /// Returns the merge policies of a type.
    #[must_use]
    pub fn policies(&self, entity: &str) -> Rc<Policies> {
        self.of(entity)
            .map(|config| Rc::clone(&config.merge_fields))
            .unwrap_or_default()
    }

    /// Returns true if any field of a type is merged by `sum`.
    #[must_use]
    pub fn sums(&self, entity: &str) -> bool {
        self.of(entity)
            .is_some_and(|config| sums(&config.merge_fields))
    }

    /// Returns true if rejected writes of a type stay visible.
    #[must_use]
    pub fn keeps(&self, entity: &str) -> bool {
        self.of(entity).is_some_and(|config| config.keeps_rejected)
    }

    /// Returns true if deleted entities of a type keep their body on this device.
    #[must_use]
    pub fn is_soft(&self, entity: &str) -> bool {
        self.of(entity).and_then(|config| config.delete_behavior)
            == Some(DeleteBehavior::SoftDelete)
    }
}
