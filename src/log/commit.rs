//! TODO

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::log::address::{BodyId, Seq, body_id};
use crate::log::codec::Output;
use crate::log::directory::Directory;
use crate::log::facts::{CursorState, DeadLetter, Facts, Parked};
use crate::log::receipt::{Receipt, Restored};
use crate::log::record::{Encoded, HEADER, MAGIC, decode, put_stored, refused};
use crate::log::segment::{INLINE_BYTES, checksum};
use crate::log::{directory, event_codec};
use crate::model::error::Result;
use crate::model::operation::Operation;
use crate::util::collections::seq_map::SeqMap;

/// All that happened at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Rows, by entity type; applied before the events.
    pub segments: Vec<SegmentWrite>,
    /// What else happened, in order.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An operation joins the outbox, in the place of the first one that it replaces.
    Queue {
        /// The operation.
        op: Operation,
        /// Operations whose effect it carries.
        replaces: Vec<String>,
    },
    /// Operations leave the outbox: cancelled out, or given up for the remote's row.
    Dequeue {
        /// Which.
        ops: Vec<String>,
    },
    /// The remote has an operation's effect.
    Applied {
        /// The operation.
        op_id: String,
        /// The row's version now.
        version: u64,
        /// The row came with the verdict and stands in a segment of this commit.
        with_row: bool,
        /// When this device heard of it, in milliseconds since 1970.
        at: u64,
        /// Marks of the values that it put and replaced, for its receipt.
        field_hashes: Vec<u64>,
    },
    /// An operation is now made against another version of the row.
    Rebase {
        /// The operation.
        op_id: String,
        /// The version; none where the row is gone, so that an edit has to make it anew.
        version: Option<u64>,
    },
    /// A cursor moved, with the rows of this commit.
    Cursor {
        /// The scope; empty for the main one.
        scope: String,
        /// Where it stands now.
        state: CursorState,
    },
    /// A scope starts afresh.
    ResetCursor {
        /// The scope.
        scope: String,
    },
    /// The end of a full pull: rows that it did not see are gone.
    Sweep {
        /// Rows last confirmed at or before this record go.
        before: Seq,
        /// Only these entity types; none for all.
        entities: Option<Vec<String>>,
    },
    /// The next pull starts afresh: rows were lost to damage, or the digests have drifted.
    NeedFullPull,
    /// Held tombstones become visible.
    ReleaseDeletes,
    /// A conflict waits for the app.
    Park {
        /// The conflict.
        conflict: Parked,
    },
    /// A conflict is decided.
    Unpark {
        /// Which.
        id: String,
    },
    /// Operations will never be accepted: they leave the outbox and are kept for the app.
    DeadLetters {
        /// One for each operation.
        letters: Vec<DeadLetter>,
    },
    /// A dead letter is done with.
    Revive {
        /// Which.
        id: String,
    },
    /// What past cycles left behind.
    Facts {
        /// All of it.
        facts: Box<Facts>,
    },
    /// A segment cannot be read: its rows go, and come again with the next pull.
    Quarantine {
        /// Which.
        body: BodyId,
    },
    /// How the last operation of an entity ended, where no other event of the commit says it.
    Receipt {
        /// The entity type.
        entity: String,
        /// The entity's id.
        id: String,
        /// All of it.
        receipt: Receipt,
    },
    /// The remote's epoch, heard for the first time; or another one, since it was restored.
    Epoch {
        /// The epoch.
        epoch: String,
        /// What was forgotten; none for the first epoch.
        restored: Option<Restored>,
    },
    /// What a restored remote has forgotten was queued again.
    Offered {
        /// So many operations of this commit.
        count: u64,
        /// Everything has been pulled afresh.
        done: bool,
    },
    /// The state starts here; what came before is superseded.
    Checkpoint {
        /// Segments that live rows still point into.
        kept: Vec<KeptSegment>,
        /// What was lost to damage, and whether it has come again.
        damage: Damage,
    },
    /// A conflict was decided.
    Explained {
        /// Why the entity is what it is.
        what: Explained,
    },
}

/// Stored bytes that could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Records and segments that were set aside.
    pub quarantined: u64,
    /// The next pull starts afresh.
    pub needs_full_pull: bool,
}

impl Damage {
    /// Sets one more aside.
    pub fn quarantine(&mut self) {
        self.quarantined = self.quarantined.saturating_add(1);
        self.needs_full_pull = true;
    }
}

/// A segment that a checkpoint keeps where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSegment {
    /// Its key.
    pub id: BodyId,
    /// Bytes.
    pub len: u32,
    /// Checksum.
    pub hash: u64,
}

/// The rows of one entity type in one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentWrite {
    /// The entity type.
    pub entity: String,
    /// The directory.
    pub entries: Vec<Entry>,
    /// Where the bodies lie.
    pub body: SegmentBody,
}

/// The body of a segment in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentBody {
    /// New bytes.
    New(Rc<[u8]>),
    /// Bytes that lie in the store under the commit's own key, described by length and checksum.
    Stored {
        /// Bytes.
        len: u32,
        /// Checksum.
        hash: u64,
    },
    /// An older segment, which a checkpoint's directory points into.
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
    /// The entity's id.
    pub id: String,
    /// The server's version.
    pub version: u64,
    /// A tombstone.
    pub deleted: bool,
    /// The tombstone is held.
    pub held: bool,
    /// The body that the row has already stays.
    pub retain: bool,
    /// Bytes from the body's start.
    pub offset: u32,
    /// Bytes; 0 for none.
    pub len: u32,
}

impl Commit {
    /// Nothing happened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.events.is_empty()
    }

    /// Takes an operation into the commit.
    pub fn queue(&mut self, op: Operation, replaces: Vec<String>) {
        self.events.push(Event::Queue { op, replaces });
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self, seq: Seq) -> Encoded {
        let mut out = Output::default();
        out.raw(&MAGIC);
        out.raw(&[0; 8]);
        out.number(self.events.len() as u64);
        for event in &self.events {
            event_codec::put(&mut out, event);
        }
        let (mut bodies, mut sums) = (Vec::new(), Vec::new());
        out.number(self.segments.len() as u64);
        for (index, segment) in self.segments.iter().enumerate() {
            out.text(&segment.entity);
            match &segment.body {
                SegmentBody::New(bytes) if bytes.len() > INLINE_BYTES => {
                    let sum = checksum(bytes);
                    put_stored(&mut out, bytes.len() as u64, sum);
                    sums.push(sum);
                    bodies.push((body_id(seq, index), Rc::clone(bytes)));
                }
                SegmentBody::New(bytes) => {
                    out.byte(0);
                    out.bytes(bytes);
                }
                SegmentBody::Stored { len, hash } => put_stored(&mut out, u64::from(*len), *hash),
                SegmentBody::Kept(id) => {
                    out.byte(2);
                    out.number(*id);
                }
            }
            directory::put(&mut out, &segment.entries);
        }
        let mut record = out.0;
        let sum = checksum(record.get(HEADER..).unwrap_or_default()).to_le_bytes();
        if let Some(place) = record.get_mut(MAGIC.len()..HEADER) {
            place.copy_from_slice(&sum);
        }
        Encoded {
            record: Rc::from(record),
            bodies,
            sums,
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where the bytes are not what was written; [`Code::ClientOutdated`] where a
    /// later version of this engine wrote them.
    pub fn decode(record: &[u8]) -> Result<Self> {
        decode(record, &|_| None)
            .map(|(commit, _)| commit)
            .ok_or_else(|| refused(record))
    }

    /// The same, with the rows of segments left where they are, as far as `may_wait` says so of
    /// their type: these segments have no entries, but a directory under their index.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn skim(
        record: &Rc<[u8]>,
        may_wait: &dyn Fn(&str) -> bool,
    ) -> Result<(Self, SeqMap<Directory>)> {
        decode(record, &|entity| may_wait(entity).then_some(record)).ok_or_else(|| refused(record))
    }
}
