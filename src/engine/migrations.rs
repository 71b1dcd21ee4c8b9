//! The app's schema: its version, and the app's own functions that bring stored entities there.

use std::fmt;
use std::rc::Rc;

use crate::engine::events::{EventHub, Topic};
use crate::model::config::Config;
use crate::model::error::{Error, Result};
use crate::util::json::write::put;

/// The app's migrations. They are called while nothing else of the user's database runs.
pub trait Migrations {
    /// Returns the earliest version that can be migrated.
    fn first(&self) -> u32;

    /// Checks that there is a way from this version to the app's.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::Migration`], naming the version that is missing.
    fn check(&self, from: u32) -> Result<()>;

    /// Returns true if entities of a type change on the way from a version.
    fn changes(&self, entity: &str, from: u32) -> bool;

    /// Brings entities of one type from a version to the app's. Gets them as the text of a JSON
    /// array; returns the body of each, in their order, as the text of an object without the fields
    /// that the engine owns.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::Migration`], naming the entity.
    fn migrate(&self, entity: &str, from: u32, entities: &str) -> Result<Vec<String>>;

    /// Hears that a migration has failed.
    fn failed(&self, error: &Error);
}

/// The app's schema, for one database.
#[derive(Clone)]
pub struct AppSchema {
    pub config: Rc<Config>,
    /// Without any, data of an earlier version is taken as it is.
    pub migrations: Option<Rc<dyn Migrations>>,
    /// Hears how far a migration is.
    pub events: Rc<EventHub>,
}

impl fmt::Debug for AppSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppSchema({})", self.version())
    }
}

impl AppSchema {
    /// The app's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.config.schema
    }

    /// Tells the app how many rows of how many were migrated, from a version.
    pub fn tell(&self, user_id: &str, now: u64, (from, done, total): (u32, u64, u64)) {
        let topic = Topic::MigrationProgress;
        self.events.tell(topic, user_id, None, now, &mut |out| {
            put(out, "from", &from);
            put(out, "to", &self.version());
            put(out, "done", &done);
            put(out, "total", &total);
        });
    }
}
