//! The settings of one cycle: its options, with all defaults filled in.

use crate::model::config::{Config, Direction, Options, Scope};

/// Rows per page and operations per push, unless set.
pub const DEFAULT_BATCH: usize = 1000;

/// The options of one cycle, with every default filled in.
#[derive(Clone, Debug)]
pub struct Settings {
    pub direction: Direction,
    /// Ignores the cursor.
    pub force_full_sync: bool,
    /// Operations per push and rows per page.
    pub batch_size: usize,
    /// No batch size was set, so pages may grow.
    pub grows: bool,
    /// Pushes deletes, and applies the remote's.
    pub include_deletes: bool,
    /// A partial pull.
    pub scope: Option<Scope>,
    /// The time limit, in milliseconds.
    pub timeout: u64,
    /// Tries even if the browser reports that it is offline.
    pub force: bool,
}

impl Settings {
    /// Returns those of a cycle without options of its own.
    #[must_use]
    pub fn by_default(config: &Config) -> Self {
        Self::of(&config.defaults, config)
    }

    /// Fills in the config's defaults.
    #[must_use]
    pub fn of(options: &Options, config: &Config) -> Self {
        Self {
            direction: options.direction.unwrap_or_default(),
            force_full_sync: options.force_full_sync.unwrap_or(false),
            batch_size: options.batch_size.unwrap_or(DEFAULT_BATCH),
            grows: options.batch_size.is_none(),
            include_deletes: options.include_deletes.unwrap_or(true),
            scope: options.scope.clone(),
            timeout: options.timeout.unwrap_or(config.sync_timeout),
            force: options.force.unwrap_or(false),
        }
    }
}
