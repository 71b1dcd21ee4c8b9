//! A commit, and its bytes in the log.
//!
//! ```text
//! "DS" version:u8 0 checksum:u64          over everything after it
//! varint length, JSON: [Event]            what happened, without bodies
//! varint length, bytes                    the operations' bodies, in the order of the events
//! varint count, segments                  directory, then the body where it is short
//! ```

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::operation::Operation;
use crate::replica::segment::{INLINE_BYTES, checksum};
use crate::replica::state::{CursorState, DeadLetter, Facts, Parked};
use crate::store::{BODIES_PER_RECORD, BodyId, Seq};

const MAGIC: [u8; 4] = [b'D', b'S', 1, 0];
const HEADER: usize = 12;

/// All that happened at once.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Rows, by entity type; applied before the events.
    pub segments: Vec<SegmentWrite>,
    /// What else happened, in order.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "e")]
pub enum Event {
    /// An operation joins the outbox, in the place of the first one that it replaces.
    Queue {
        /// The operation; its body lies outside the JSON.
        op: Operation,
        /// Bytes of its body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        len: Option<u32>,
        /// Operations whose effect it carries.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaces: Vec<String>,
    },
    /// Operations leave the outbox: cancelled out, or given up for the remote's row.
    Dequeue {
        /// Which.
        ops: Vec<String>,
    },
    /// The remote has an operation's effect.
    #[serde(rename_all = "camelCase")]
    Applied {
        /// The operation.
        op_id: String,
        /// The row's version now.
        version: u64,
        /// The row came with the verdict and stands in a segment of this commit.
        #[serde(default, skip_serializing_if = "is_false")]
        with_row: bool,
    },
    /// An operation is now made against another version of the row.
    #[serde(rename_all = "camelCase")]
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The state starts here; what came before is superseded.
    Checkpoint {
        /// Segments that live rows still point into.
        kept: Vec<KeptSegment>,
        /// What was lost to damage, and whether it has come again.
        damage: Damage,
    },
}

/// Stored bytes that could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptSegment {
    /// Its key.
    pub id: BodyId,
    /// Bytes.
    pub len: u32,
    /// Checksum.
    pub hash: u64,
}

/// The rows of one entity type in one commit.
#[derive(Debug, Clone, Default)]
pub struct SegmentWrite {
    /// The entity type.
    pub entity: String,
    /// The directory.
    pub entries: Vec<Entry>,
    /// Where the bodies lie.
    pub body: SegmentBody,
}

/// The body of a segment in a commit.
#[derive(Debug, Clone)]
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
}

/// The key of a commit's segment.
#[must_use]
pub const fn body_id(seq: Seq, index: usize) -> BodyId {
    seq.saturating_mul(BODIES_PER_RECORD).saturating_add(index as u64)
}

impl Commit {
    /// Nothing happened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.events.is_empty()
    }

    /// Takes an operation into the commit.
    pub fn queue(&mut self, op: Operation, replaces: Vec<String>) {
        let len = op.body.as_ref().map(|body| u32::try_from(body.len()).unwrap_or(u32::MAX));
        self.events.push(Event::Queue { op, len, replaces });
    }

    /// The bytes.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where the events cannot be written as JSON, which no value of theirs allows.
    pub fn encode(&self, seq: Seq) -> Result<Encoded> {
        let json = serde_json::to_vec(&self.events)
            .map_err(|cause| Error::new(Code::Corrupt, "A commit could not be written.").caused_by(cause))?;
        let mut out = Vec::with_capacity(json.len().saturating_add(256));
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        put_bytes(&mut out, &json);
        let bodies = self.events.iter().filter_map(|event| match event {
            Event::Queue { op, .. } => op.body.as_deref(),
            _ => None,
        });
        let total = bodies.clone().fold(0_usize, |sum, body| sum.saturating_add(body.len()));
        put_varint(&mut out, total as u64);
        for body in bodies {
            out.extend_from_slice(body.as_bytes());
        }
        let mut external = Vec::new();
        put_varint(&mut out, self.segments.len() as u64);
        for (index, segment) in self.segments.iter().enumerate() {
            put_bytes(&mut out, segment.entity.as_bytes());
            match &segment.body {
                SegmentBody::New(bytes) if bytes.len() > INLINE_BYTES => {
                    out.push(1);
                    put_varint(&mut out, bytes.len() as u64);
                    out.extend_from_slice(&checksum(bytes).to_le_bytes());
                    external.push((body_id(seq, index), Rc::clone(bytes)));
                }
                SegmentBody::New(bytes) => {
                    out.push(0);
                    put_bytes(&mut out, bytes);
                }
                SegmentBody::Stored { len, hash } => {
                    out.push(1);
                    put_varint(&mut out, u64::from(*len));
                    out.extend_from_slice(&hash.to_le_bytes());
                }
                SegmentBody::Kept(id) => {
                    out.push(2);
                    put_varint(&mut out, *id);
                }
            }
            put_varint(&mut out, segment.entries.len() as u64);
            let mut end = 0_u32;
            for entry in &segment.entries {
                put_bytes(&mut out, entry.id.as_bytes());
                put_varint(&mut out, entry.version);
                out.push(u8::from(entry.deleted) | (u8::from(entry.held) << 1) | (u8::from(entry.retain) << 2));
                put_varint(&mut out, u64::from(entry.len));
                if entry.len > 0 {
                    put_varint(&mut out, u64::from(entry.offset.wrapping_sub(end)));
                    end = entry.offset.wrapping_add(entry.len);
                }
            }
        }
        let sum = checksum(out.get(HEADER..).unwrap_or_default()).to_le_bytes();
        if let Some(place) = out.get_mut(4..HEADER) {
            place.copy_from_slice(&sum);
        }
        Ok(Encoded { record: Rc::from(out), bodies: external })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Code::Corrupt`] where the bytes are not what was written.
    pub fn decode(record: &[u8]) -> Result<Self> {
        decode(record).ok_or_else(|| Error::new(Code::Corrupt, "A record of the log does not match its checksum or its format."))
    }
}

fn decode(record: &[u8]) -> Option<Commit> {
    let (header, payload) = record.split_at_checked(HEADER)?;
    if header.get(..4)? != MAGIC || header.get(4..)? != checksum(payload).to_le_bytes() {
        return None;
    }
    let mut input = Input(payload);
    let mut events: Vec<Event> = serde_json::from_slice(input.bytes()?).ok()?;
    let mut bodies = Input(input.bytes()?);
    for event in &mut events {
        if let Event::Queue { op, len: Some(len), .. } = event {
            op.body = Some(Rc::from(std::str::from_utf8(bodies.take(*len as usize)?).ok()?));
        }
    }
    let count = input.varint()?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let entity = input.text()?.to_owned();
        let body = match input.take(1)? {
            [0] => SegmentBody::New(Rc::from(input.bytes()?)),
            [1] => {
                let len = u32::try_from(input.varint()?).ok()?;
                SegmentBody::Stored { len, hash: u64::from_le_bytes(input.take(8)?.try_into().ok()?) }
            }
            [2] => SegmentBody::Kept(input.varint()?),
            _ => return None,
        };
        let rows = input.varint()?;
        let mut entries = Vec::with_capacity(usize::try_from(rows).ok()?.min(input.0.len()));
        let mut end = 0_u32;
        for _ in 0..rows {
            let id = input.text()?.to_owned();
            let version = input.varint()?;
            let flags = *input.take(1)?.first()?;
            let len = u32::try_from(input.varint()?).ok()?;
            let mut offset = 0;
            if len > 0 {
                offset = end.wrapping_add(u32::try_from(input.varint()?).ok()?);
                end = offset.wrapping_add(len);
            }
            entries.push(Entry { id, version, deleted: flags & 1 != 0, held: flags & 2 != 0, retain: flags & 4 != 0, offset, len });
        }
        segments.push(SegmentWrite { entity, entries, body });
    }
    input.0.is_empty().then_some(Commit { segments, events })
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The shape that serde asks for.
const fn is_false(value: &bool) -> bool {
    !*value
}
