//! Cursors: the position of a pull in every space that the user may read, as opaque text that the
//! client stores.
//!
//! A checksum binds a cursor to the epoch, user and scope that it was issued for. It detects
//! mistakes and is no secret: a forged cursor only leads to other positions of spaces that the user
//! may read. A space is named by the number of the user's membership and not by its id, so a cursor
//! of a thousand spaces is a few kilobytes, and names nothing that is not the user's.

mod bytes;

use std::collections::BTreeMap;

use datum_sync::model::digest::row_hash;

use super::ServerError;
use bytes::{Input, Output, base64, from_base64};

/// The position in one space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// All versions up to this one have been delivered.
    pub after: u64,
    /// The version at which the space began as a snapshot: tombstones up to it are not needed. 0
    /// once the pull is past it.
    pub live_until: u64,
}

/// The position that a cursor holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The revision of the user's list of spaces.
    pub revision: u64,
    /// By the number of the membership; 0 is the user's own space.
    pub places: BTreeMap<u64, Place>,
    /// How many rows were left when the counters of all spaces added up to `counted_at`.
    pub left: u64,
    /// See `left`; 0 if nothing was counted.
    pub counted_at: u64,
    /// The space whose turn is next.
    pub turn: u64,
    /// The version with which that turn ends, if it has begun; else 0.
    pub until: u64,
}

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// The server's epoch.
    pub epoch: &'a str,
    /// The authenticated user.
    pub user: &'a str,
    /// The fingerprint of entity filter and scope.
    pub scope: u64,
}

const FORMAT: u64 = 2;
/// The longest cursor that is read: one of some ten thousand spaces.
const MAX_LENGTH: usize = 1 << 18;

impl Binding<'_> {
    fn epoch_hash(&self) -> u64 {
        row_hash("epoch", self.epoch, 0)
    }

    fn checksum(&self, text: &str) -> u64 {
        row_hash(self.user, text, self.epoch_hash())
    }

    /// Encodes a cursor.
    #[must_use]
    pub fn issue(&self, position: &Position) -> String {
        let mut out = Output::default();
        out.number(FORMAT);
        out.fixed(self.epoch_hash());
        out.fixed(self.scope);
        for number in [
            position.revision,
            position.left,
            position.counted_at,
            position.turn,
            position.until,
        ] {
            out.number(number);
        }
        places(&mut out, &position.places);
        let mut text = base64(&out.0);
        let mut checksum = Output::default();
        checksum.fixed(self.checksum(&text));
        text.push('.');
        text.push_str(&base64(&checksum.0));
        text
    }

    /// Decodes and checks a cursor.
    ///
    /// # Errors
    /// 410 if the client must pull again from the start: the text is not a cursor of this server
    /// and user, or belongs to another epoch or scope.
    pub fn accept(&self, cursor: &str) -> Result<Position, ServerError> {
        let unknown = || {
            ServerError::cursor(
                "cursorExpired",
                "The cursor is not one that this server issued to this user.",
            )
        };
        let read = Read::parse(cursor).ok_or_else(unknown)?;
        if read.epoch != self.epoch_hash() {
            return Err(ServerError::cursor(
                "epochChanged",
                "The server was restored since the cursor was issued.",
            ));
        }
        if read.checksum != self.checksum(read.text) {
            return Err(unknown());
        }
        if read.scope != self.scope {
            return Err(ServerError::cursor(
                "scopeChanged",
                "The cursor was issued for other `entities` or another `scope`.",
            ));
        }
        Ok(read.position)
    }
}

/// Writes places in the order of their numbers, in runs of numbers without a gap: how far the first
/// is from the last run, how many they are, and one or two numbers for each.
fn places(out: &mut Output, places: &BTreeMap<u64, Place>) {
    let mut runs: Vec<(u64, Vec<&Place>)> = Vec::new();
    for (number, place) in places {
        match runs.last_mut() {
            Some((first, run)) if first.saturating_add(count(run)) == *number => run.push(place),
            _ => runs.push((*number, vec![place])),
        }
    }
    let mut next = 0_u64;
    for (first, run) in runs {
        out.number(first.saturating_sub(next));
        out.number(count(&run));
        next = first.saturating_add(count(&run));
        for place in run {
            let starts = place.live_until > place.after;
            out.number(place.after.saturating_mul(2) | u64::from(starts));
            if starts {
                out.number(place.live_until.saturating_sub(place.after));
            }
        }
    }
}

fn count(run: &[&Place]) -> u64 {
    u64::try_from(run.len()).unwrap_or(u64::MAX)
}

/// A cursor as it was written, not checked yet.
struct Read<'a> {
    epoch: u64,
    scope: u64,
    position: Position,
    text: &'a str,
    checksum: u64,
}

impl<'a> Read<'a> {
    fn parse(cursor: &'a str) -> Option<Self> {
        if cursor.len() > MAX_LENGTH {
            return None;
        }
        let (text, checksum) = cursor.rsplit_once('.')?;
        if text.contains('.') {
            return Self::parse_first_format(text, checksum);
        }
        let bytes = from_base64(checksum)?;
        let checksum = u64::from_le_bytes(bytes.try_into().ok()?);
        let bytes = from_base64(text)?;
        let mut input = Input(&bytes);
        if input.number()? != FORMAT {
            return None;
        }
        let (epoch, scope) = (input.fixed()?, input.fixed()?);
        let position = Position {
            revision: input.number()?,
            left: input.number()?,
            counted_at: input.number()?,
            turn: input.number()?,
            until: input.number()?,
            places: read_places(&mut input)?,
        };
        Some(Self {
            epoch,
            scope,
            position,
            text,
            checksum,
        })
    }

    /// Reads a cursor from before there were shared spaces: one place, in hexadecimal digits.
    fn parse_first_format(text: &'a str, checksum: &str) -> Option<Self> {
        let mut parts = text.split('.');
        if parts.next()? != "1" {
            return None;
        }
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (epoch, scope) = (number()?, number()?);
        let place = Place {
            after: number()?,
            live_until: number()?,
        };
        let position = Position {
            places: BTreeMap::from([(0, place)]),
            left: number()?,
            counted_at: number()?,
            ..Position::default()
        };
        parts.next().is_none().then_some(())?;
        Some(Self {
            epoch,
            scope,
            position,
            text,
            checksum: u64::from_str_radix(checksum, 16).ok()?,
        })
    }
}

fn read_places(input: &mut Input<'_>) -> Option<BTreeMap<u64, Place>> {
    let mut places = BTreeMap::new();
    let mut next = 0_u64;
    while !input.0.is_empty() {
        next = next.checked_add(input.number()?)?;
        for _ in 0..input.number()? {
            let after = input.number()?;
            let mut place = Place {
                after: after >> 1,
                live_until: 0,
            };
            if after & 1 == 1 {
                place.live_until = place.after.checked_add(input.number()?)?;
            }
            places.insert(next, place);
            next = next.checked_add(1)?;
        }
    }
    Some(places)
}
