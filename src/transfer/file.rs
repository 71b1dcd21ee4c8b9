//! What a file has: its header, rows, pending operations, conflicts and dead letters.

use std::rc::Rc;

use crate::log::facts::{DeadLetter, Parked};
use crate::log::known_server::KnownServer;
use crate::model::operation::Operation;
use crate::model::space::Joined;

/// The name in the first line, by which a file is recognised.
pub const NAME: &str = "datum-sync";

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// The longest line, in bytes: an operation of the largest entity with its past has room.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The first line: whose data it is, and which server's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileHeader {
    pub user_id: String,
    /// `schemaVersion` of the app that exported.
    pub schema: u32,
    /// When it was exported, in milliseconds since 1970.
    pub created_at: u64,
    pub server: KnownServer,
    /// The epoch that the versions belong to.
    pub epoch: Option<String>,
    /// The user's shared spaces, as far as the device knew them.
    pub spaces: Vec<Joined>,
    /// The entity types, those of spaces themselves apart.
    pub entities: Vec<String>,
    /// How many lines follow, the last one apart.
    pub lines: u64,
}

/// A row of a file, or the local-only fields of an entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileRow {
    /// The table's name.
    pub entity: String,
    pub id: String,
    pub version: u64,
    pub deleted: bool,
    /// The tombstone waits for a cycle that includes deletes.
    pub held: bool,
    pub body: Option<Rc<str>>,
}

/// A file that was read to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserFile {
    pub header: FileHeader,
    /// In order of table and id, each once.
    pub rows: Vec<FileRow>,
    /// Fields that never leave the device, in the same order.
    pub local_only: Vec<FileRow>,
    /// In the order of the outbox.
    pub operations: Vec<Operation>,
    pub conflicts: Vec<Parked>,
    pub dead_letters: Vec<DeadLetter>,
}
