//! A commit: the rows and events that become durable together. Data only; `record` has its
//! bytes.

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::log::address::{BodyId, Seq};
use crate::log::facts::{CursorState, DeadLetter, Facts, Parked};
use crate::log::known_server::KnownServer;
use crate::log::receipt::{Receipt, Restored};
use crate::log::salvaged::Salvaged;
use crate::log::spaces::SpaceEvent;
use crate::model::operation::Operation;

/// What one append makes durable, all or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Rows, by entity type; applied before the events.
    pub segments: Vec<SegmentWrite>,
    /// Everything else, in order.
    pub events: Vec<Event>,
}

/// One change of the state other than a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An operation joins the outbox, in the slot of the first one that it replaces.
    Queue {
        op: Operation,
        /// Operations whose effect it carries.
        replaces: Vec<String>,
    },
    /// Operations leave the outbox: they cancelled each other out, or the remote's row won.
    Dequeue { ops: Vec<String> },
    /// The remote applied an operation.
    Applied {
        op_id: String,
        /// The row's version now.
        version: u64,
        /// The row came with the verdict and is in a segment of this commit.
        with_row: bool,
        /// When this device received the verdict, in milliseconds since 1970.
        at: u64,
        /// Hashes of the values that it set and replaced, for its receipt.
        field_hashes: Vec<u64>,
    },
    /// An operation gets another base version.
    Rebase {
        op_id: String,
        /// `None` if the row is gone, so that an edit has to create it again.
        version: Option<u64>,
    },
    /// A cursor moved past the rows of this commit.
    Cursor {
        /// Empty for the main scope.
        scope: String,
        state: CursorState,
    },
    /// The next pull of a scope starts from the beginning.
    ResetCursor { scope: String },
    /// A full pull ended: rows that it did not confirm are gone.
    Sweep {
        /// Removes rows last confirmed at or before this record.
        before: Seq,
        /// Only rows of these entity types; `None` for all.
        entities: Option<Vec<String>>,
    },
    /// The next pull starts from the beginning: rows were damaged, or the digests differ.
    NeedFullPull,
    /// Held tombstones take effect.
    ReleaseDeletes,
    /// A conflict waits for the app's decision.
    Park { conflict: Parked },
    /// A conflict is decided.
    Unpark { id: String },
    /// The remote rejected operations for good: they leave the outbox and wait for the app.
    DeadLetters { dead_letters: Vec<DeadLetter> },
    /// The app discarded or retried a dead letter.
    Revive { id: String },
    /// Replaces the facts of past cycles.
    Facts { facts: Box<Facts> },
    /// A segment cannot be read: its rows are removed, and the next pull brings them again.
    Quarantine { body: BodyId },
    /// How the last operation of an entity ended, if no other event of the commit implies it.
    Receipt {
        entity: String,
        id: String,
        receipt: Receipt,
    },
    /// The remote's first known epoch, or a new one because the remote was restored.
    Epoch {
        epoch: String,
        /// The writes that the remote may have forgotten; `None` for the first epoch.
        restored: Option<Restored>,
    },
    /// The server that the database belongs to; without a name, the next one that answers.
    Server { server: KnownServer },
    /// Writes that a restored remote has forgotten were queued again.
    Offered {
        /// How many operations of this commit.
        count: u64,
        /// The full pull after the restore is complete.
        done: bool,
    },
    /// The state starts here; earlier records are superseded.
    Checkpoint {
        /// Older segments that live rows still point into.
        kept: Vec<KeptSegment>,
        damage: Damage,
    },
    /// A conflict was decided.
    Explained { what: Explained },
    /// Something about spaces.
    Space { what: SpaceEvent },
    /// The log is about to be removed and takes no more records, or it stays after all.
    Ended { ended: bool },
    /// Everything that was ever saved into this log from a lost one.
    Salvaged { what: Salvaged },
    /// The version of the app's schema that everything in the log has from now on.
    Schema { version: u32 },
}

/// Stored bytes that could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// The number of records and segments that were quarantined.
    pub quarantined: u64,
    /// The next pull starts from the beginning.
    pub needs_full_pull: bool,
}

impl Damage {
    /// Counts one more unreadable record or segment.
    pub fn quarantine(&mut self) {
        self.quarantined = self.quarantined.saturating_add(1);
        self.needs_full_pull = true;
    }
}

/// An older segment that a checkpoint still refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSegment {
    pub id: BodyId,
    pub len: u32,
    pub hash: u64,
}

/// The rows of one entity type in one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentWrite {
    /// The entity type; local-only fields have a prefix before it.
    pub entity: String,
    pub entries: Vec<Entry>,
    pub body: SegmentBody,
}

/// The bytes that a segment's entries point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentBody {
    /// New bytes.
    New(Rc<[u8]>),
    /// Bytes in the store, under the key of this commit and segment.
    Stored { len: u32, hash: u64 },
    /// An older segment, kept by a checkpoint.
    Kept(BodyId),
}

impl Default for SegmentBody {
    fn default() -> Self {
        Self::New(Rc::from([]))
    }
}

/// One row of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub version: u64,
    /// The row is a tombstone.
    pub deleted: bool,
    /// The tombstone waits for a cycle that includes deletes.
    pub held: bool,
    /// The row keeps its present body.
    pub retain: bool,
    /// Offset in the segment's body, in bytes.
    pub offset: u32,
    /// Length in bytes; 0 for no body.
    pub len: u32,
}

impl Commit {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.events.is_empty()
    }

    /// Returns the version of the app's schema that the commit states.
    #[must_use]
    pub fn schema(&self) -> Option<u32> {
        self.events.iter().find_map(|event| match event {
            Event::Schema { version } => Some(*version),
            _ => None,
        })
    }

    /// Queues an operation in the slot of the first of `replaces`.
    pub fn queue(&mut self, op: Operation, replaces: Vec<String>) {
        self.events.push(Event::Queue { op, replaces });
    }
}
