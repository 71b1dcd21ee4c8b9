//! The app's schema: its version, and the app's own functions that bring stored entities there.

use std::fmt;
use std::rc::Rc;

use crate::model::error::{Error, Result};
use crate::model::schema_field::SchemaField;

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

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationProgress {
    pub from: u32,
    pub to: u32,
    /// Rows that were migrated.
    pub done: u64,
    /// All rows, as counted at the beginning.
    pub total: u64,
}

/// Returns the fields of an entity type that never leave the device.
type LocalOnlyNames = Rc<dyn Fn(&str) -> Rc<[String]>>;

/// The app's schema, for one database.
#[derive(Clone, Default)]
pub struct AppSchema {
    pub version: u32,
    /// The fields of a type that never leave the device.
    pub local_only: Option<LocalOnlyNames>,
    /// The field of each entity that names its version on the server.
    pub field: Option<SchemaField>,
    /// Without any, data of an earlier version is taken as it is.
    pub migrations: Option<Rc<dyn Migrations>>,
    /// Hears how far a migration is.
    pub on_progress: Option<Rc<dyn Fn(MigrationProgress)>>,
}

impl fmt::Debug for AppSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppSchema({})", self.version)
    }
}

impl AppSchema {
    /// Returns the fields of a type that never leave the device.
    #[must_use]
    pub fn local_only(&self, entity: &str) -> Rc<[String]> {
        (self.local_only.as_ref()).map_or_else(Rc::default, |names| names(entity))
    }
}
