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

use crate::log::address::BodyId;
use crate::log::codec::{Input, Output};
use crate::log::commit::{Commit, SegmentBody, SegmentWrite};
use crate::log::directory::Directory;
use crate::log::segment::checksum;
use crate::log::{directory, event_codec};
use crate::model::error::{Code, Error};
use crate::util::collections::seq_map::SeqMap;

pub(crate) const MAGIC: [u8; 4] = [b'D', b'S', 1, 0];

pub(crate) const HEADER: usize = 12;

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

pub(crate) fn put_stored(out: &mut Output, len: u64, hash: u64) {
    out.byte(1);
    out.number(len);
    out.raw(&hash.to_le_bytes());
}

pub(crate) fn refused(record: &[u8]) -> Error {
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
pub(crate) fn decode<'r>(
    record: &[u8],
    waits: &dyn Fn(&str) -> Option<&'r Rc<[u8]>>,
) -> Option<(Commit, SeqMap<Directory>)> {
    let (header, payload) = record.split_at_checked(HEADER)?;
    let (magic, sum) = header.split_at_checked(MAGIC.len())?;
    if magic != MAGIC || sum != checksum(payload).to_le_bytes() {
        return None;
    }
    let mut input = Input(payload);
    let (mut commit, mut late) = (Commit::default(), SeqMap::default());
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
