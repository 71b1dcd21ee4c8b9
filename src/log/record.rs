//! A commit's bytes in the log.
//!
//! ```text
//! "DS" version:u8 0 checksum:u64    XXH64 of everything after it, little-endian
//! list of events                    tag:u8, then the fields in the order of their declaration
//! list of segments                  entity type, body, rows
//!
//! body    0, number of bytes, bytes           short: inside the record
//!         1, number of bytes, checksum:u64    long: in the store, under the commit's key
//!         2, key                              an older segment
//! rows    count; if not 0: a flag, set if no row has flags; the last id, if ids strictly ascend;
//!         number of bytes; the rows
//! row     id, version, flags:u8, length, and if the length is not 0 the distance from the end of
//!         the row before; flags: 1 deleted, 2 held, 4 the row keeps its body
//! ```
//!
//! `codec` defines numbers, texts, lists and optional values. A record decodes as a whole
//! or not at all: an unknown tag or a trailing byte counts as damage.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq, body_id};
use crate::log::codec::{Input, Output};
use crate::log::commit::{Commit, SegmentBody, SegmentWrite};
use crate::log::directory::Directory;
use crate::log::segment::{INLINE_BYTES, checksum};
use crate::log::{directory, event_codec};
use crate::model::error::{Code, Error, Result};
use crate::util::collections::seq_map::SeqMap;

const MAGIC: [u8; 4] = [b'D', b'S', 1, 0];

const HEADER: usize = 12;

/// How many bytes are encoded at once: some ten thousand rows, or a page with its bodies.
const STEP_BYTES: usize = 1024 * 1024;

/// A commit's bytes, ready for the store.
#[derive(Debug)]
pub struct Encoded {
    pub record: Rc<[u8]>,
    /// Long bodies, with their keys in the store.
    pub bodies: Vec<(BodyId, Rc<[u8]>)>,
    /// The checksums of `bodies`.
    pub sums: Vec<u64>,
}

/// Encodes a commit some bytes at a time, so that a long one does not keep a page from everything
/// else.
#[derive(Debug)]
pub struct Encoder {
    seq: Seq,
    out: Output,
    next: NextPart,
    bodies: Vec<(BodyId, Rc<[u8]>)>,
    sums: Vec<u64>,
}

/// The part of a commit that is encoded next.
#[derive(Clone, Copy, Debug)]
enum NextPart {
    Event(usize),
    Segment(usize),
}

impl Encoder {
    /// Begins the record at `seq`.
    #[must_use]
    pub fn new(seq: Seq, commit: &Commit) -> Self {
        let mut out = Output::default();
        out.raw(&MAGIC);
        out.raw(&[0; 8]);
        out.number(commit.events.len() as u64);
        Self {
            seq,
            out,
            next: NextPart::Event(0),
            bodies: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Encodes about [`STEP_BYTES`] of the commit, bodies included. Returns true if there is more.
    pub fn step(&mut self, commit: &Commit) -> bool {
        let (limit, mut body_bytes) = (self.out.0.len().saturating_add(STEP_BYTES), 0_usize);
        while self.out.0.len().saturating_add(body_bytes) < limit {
            self.next = match self.next {
                NextPart::Event(index) => match commit.events.get(index) {
                    Some(event) => {
                        event_codec::put(&mut self.out, event);
                        NextPart::Event(index.saturating_add(1))
                    }
                    None => {
                        self.out.number(commit.segments.len() as u64);
                        NextPart::Segment(0)
                    }
                },
                NextPart::Segment(index) => {
                    let Some(segment) = commit.segments.get(index) else {
                        return false;
                    };
                    body_bytes = body_bytes.saturating_add(self.segment(index, segment));
                    NextPart::Segment(index.saturating_add(1))
                }
            };
        }
        true
    }

    /// Encodes a segment. Returns the length of a body that is stored beside the record.
    fn segment(&mut self, index: usize, segment: &SegmentWrite) -> usize {
        let out = &mut self.out;
        let mut stored = 0;
        out.text(&segment.entity);
        match &segment.body {
            SegmentBody::New(bytes) if bytes.len() > INLINE_BYTES => {
                let sum = checksum(bytes);
                put_stored(out, bytes.len() as u64, sum);
                self.sums.push(sum);
                self.bodies
                    .push((body_id(self.seq, index), Rc::clone(bytes)));
                stored = bytes.len();
            }
            SegmentBody::New(bytes) => {
                out.byte(0);
                out.bytes(bytes);
            }
            SegmentBody::Stored { len, hash } => put_stored(out, u64::from(*len), *hash),
            SegmentBody::Kept(id) => {
                out.byte(2);
                out.number(*id);
            }
        }
        directory::put(out, &segment.entries);
        stored
    }

    /// Returns the bytes, once everything is encoded.
    #[must_use]
    pub fn finish(self) -> Encoded {
        let mut record = self.out.0;
        let sum = checksum(record.get(HEADER..).unwrap_or_default()).to_le_bytes();
        if let Some(header) = record.get_mut(MAGIC.len()..HEADER) {
            header.copy_from_slice(&sum);
        }
        Encoded {
            record: Rc::from(record),
            bodies: self.bodies,
            sums: self.sums,
        }
    }
}

impl Commit {
    /// Encodes the commit as the record at `seq`.
    #[must_use]
    pub fn encode(&self, seq: Seq) -> Encoded {
        let mut encoder = Encoder::new(seq, self);
        while encoder.step(self) {}
        encoder.finish()
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// Fails with [`Code::Corrupt`] if the bytes are damaged; [`Code::ClientOutdated`] if a later
    /// version of the engine wrote them.
    pub fn decode(record: &[u8]) -> Result<Self> {
        decode(record, &|_| None)
            .map(|(commit, _)| commit)
            .ok_or_else(|| refused(record))
    }

    /// Decodes a record, but leaves rows encoded if `may_defer` allows it for their entity type.
    /// Such a segment has no entries; its [`Directory`] is returned under the segment's index.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn skim(
        record: &Rc<[u8]>,
        may_defer: &dyn Fn(&str) -> bool,
    ) -> Result<(Self, SeqMap<Directory>)> {
        decode(record, &|entity| may_defer(entity).then_some(record)).ok_or_else(|| refused(record))
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

/// `deferred` returns the record again if the rows of a type stay encoded in it.
fn decode<'r>(
    record: &[u8],
    deferred: &dyn Fn(&str) -> Option<&'r Rc<[u8]>>,
) -> Option<(Commit, SeqMap<Directory>)> {
    let (header, payload) = record.split_at_checked(HEADER)?;
    let (magic, sum) = header.split_at_checked(MAGIC.len())?;
    if magic != MAGIC || sum != checksum(payload).to_le_bytes() {
        return None;
    }
    let mut input = Input(payload);
    let (mut commit, mut directories) = (Commit::default(), SeqMap::default());
    for _ in 0..input.number()? {
        commit.events.push(event_codec::get(&mut input)?);
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
        match deferred(&entity) {
            Some(record) => directories.insert(
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
    input.0.is_empty().then_some((commit, directories))
}

/// Returns true for an intact record of a later format. Each format adds its number, less one, to
/// the checksum, so that a flipped bit in the number reads as damage and not as a newer format.
fn is_newer(record: &[u8]) -> bool {
    let Some(([b'D', b'S', version, 0, sum @ ..], payload)) = record.split_at_checked(HEADER)
    else {
        return false;
    };
    let later = u64::from(version.saturating_sub(MAGIC[2]));
    later > 0 && *sum == checksum(payload).wrapping_add(later).to_le_bytes()
}
