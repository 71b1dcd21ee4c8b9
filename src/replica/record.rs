//! A commit, and its bytes in the log.
//!
//! ```text
//! "DS" version:u8 0 checksum:u64    XXH3 over everything after it, the lowest byte first
//! list of events                    tag:u8, then the fields in the order of their declaration
//! list of segments                  entity type, body, rows
//!
//! body    0, number of bytes, bytes           short: it lies here
//!         1, number of bytes, checksum:u64    long: it lies in the store, under the commit's key
//!         2, key                              an older segment
//! rows    how many; where there are any: a flag, whether none of them has flags; maybe the last id, where each id
//!         is greater than the one before; number of bytes; the rows
//! row     id, version, flags:u8, length, and where that is not 0 the distance from the end of the
//!         row before; flags are 1 deleted, 2 held, 4 the body stays as it is
//! ```
//!
//! Numbers, texts, lists and what may be missing are written as `codec` says. A reader takes all
//! of a record or nothing: an unknown tag or a byte too many is damage.

use std::rc::Rc;

use crate::conflict::explain::Explained;
use crate::error::{Code, Error, Result};
use crate::operation::Operation;
use crate::replica::codec::{Input, Output};
use crate::replica::receipts::{Receipt, Restored};
use crate::replica::segment::{INLINE_BYTES, checksum};
use crate::replica::state::{CursorState, DeadLetter, Facts, Parked};
use crate::small::ordered::Ordered;
use crate::store::{BODIES_PER_RECORD, BodyId, Seq};

pub mod directory;
mod events;
pub mod packing;

use directory::Directory;

const MAGIC: [u8; 4] = [b'D', b'S', 1, 0];
const HEADER: usize = 12;

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
        marks: Vec<u64>,
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
    Bury {
        /// One for each operation.
        letters: Vec<DeadLetter>,
    },
    /// A dead letter is done with.
    Unbury {
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

/// A commit's bytes, ready for the store.
#[derive(Debug)]
pub struct Encoded {
    /// The record.
    pub record: Rc<[u8]>,
    /// Long bodies, for the store's own keys.
    pub bodies: Vec<(BodyId, Rc<[u8]>)>,
    /// Their checksums.
    pub sums: Vec<u64>,
}

/// The key of a commit's segment.
#[must_use]
pub const fn body_id(seq: Seq, index: usize) -> BodyId {
    seq.saturating_mul(BODIES_PER_RECORD)
        .saturating_add(index as u64)
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
            events::put(&mut out, event);
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
    ) -> Result<(Self, Ordered<Directory>)> {
        decode(record, &|entity| may_wait(entity).then_some(record)).ok_or_else(|| refused(record))
    }
}

fn put_stored(out: &mut Output, len: u64, hash: u64) {
    out.byte(1);
    out.number(len);
    out.raw(&hash.to_le_bytes());
}

fn refused(record: &[u8]) -> Error {
    if is_newer(record) {
        let fix = "This user's data was stored by a newer version of this app; reload the page to get that version.";
        return Error::new(Code::ClientOutdated, fix);
    }
    Error::new(
        Code::Corrupt,
        "A record of the log does not match its checksum or its format.",
    )
}

/// `waits` gives the record again where the rows of a type stay in it.
fn decode<'r>(
    record: &[u8],
    waits: &dyn Fn(&str) -> Option<&'r Rc<[u8]>>,
) -> Option<(Commit, Ordered<Directory>)> {
    let (header, payload) = record.split_at_checked(HEADER)?;
    let (magic, sum) = header.split_at_checked(MAGIC.len())?;
    if magic != MAGIC || sum != checksum(payload).to_le_bytes() {
        return None;
    }
    let mut input = Input(payload);
    let (mut commit, mut late) = (Commit::default(), Ordered::default());
    for _ in 0..input.number()? {
        commit.events.push(events::get(&mut input)?);
    }
    for _ in 0..input.number()? {
        let entity = input.text()?;
        let body = match input.byte()? {
            0 => SegmentBody::New(Rc::from(input.bytes()?)),
            1 => SegmentBody::Stored {
                len: input.small()?,
                hash: u64::from_le_bytes(input.raw(8)?.try_into().ok()?),
            },
            2 => SegmentBody::Kept(input.number()?),
            _ => return None,
        };
        let mut entries = Vec::new();
        match waits(&entity) {
            Some(record) => late.insert(
                commit.segments.len() as u64,
                directory::skip(&mut input, record)?,
            ),
            None => entries = directory::entries(&mut input)?,
        }
        commit.segments.push(SegmentWrite {
            entity,
            entries,
            body,
        });
    }
    input.0.is_empty().then_some((commit, late))
}

/// Whether a record is whole, and of a format that comes after this one. Each format adds its
/// number, less one, to its checksum, so that a flipped bit in the number makes damage, and no
/// newer record.
fn is_newer(record: &[u8]) -> bool {
    let Some(([b'D', b'S', version, 0, sum @ ..], payload)) = record.split_at_checked(HEADER)
    else {
        return false;
    };
    let later = u64::from(version.saturating_sub(MAGIC[2]));
    later > 0 && *sum == checksum(payload).wrapping_add(later).to_le_bytes()
}
