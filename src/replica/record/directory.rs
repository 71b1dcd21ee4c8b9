//! The rows of a segment, as they stand in a record: read where they stand, or kept there until somebody asks.

use std::rc::Rc;

use super::Entry;
use crate::replica::codec::{Input, Output};

const DELETED: u8 = 1;
const HELD: u8 = 2;
const RETAIN: u8 = 4;

/// One row, where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The entity's id.
    pub id: &'a str,
    /// The server's version.
    pub version: u64,
    /// Bytes from the body's start.
    pub offset: u32,
    /// Bytes; 0 for none.
    pub len: u32,
    flags: u8,
}

impl Line<'_> {
    /// A tombstone.
    #[must_use]
    pub const fn deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// The tombstone is held.
    #[must_use]
    pub const fn held(&self) -> bool {
        self.flags & HELD != 0
    }

    /// The body that the row has already stays.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.flags & RETAIN != 0
    }

    /// Live, and with a body of its own: nothing that was before matters.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.flags == 0
    }
}

impl Entry {
    /// The row as its parts.
    #[must_use]
    pub fn line(&self) -> Line<'_> {
        let flags = u8::from(self.deleted) | (u8::from(self.held) << 1) | (u8::from(self.retain) << 2);
        Line { id: &self.id, version: self.version, offset: self.offset, len: self.len, flags }
    }
}

/// The rows of a segment, whole and unread.
#[derive(Debug, Clone)]
pub struct Directory {
    record: Rc<[u8]>,
    from: usize,
    /// How many rows.
    pub count: u64,
    /// All of them are plain.
    pub plain: bool,
    /// The first id and the last, where ids ascend.
    pub bounds: Option<(Box<str>, Box<str>)>,
}

impl Directory {
    /// The rows, in the order of the record.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines { input: Input(self.record.get(self.from..).unwrap_or_default()), left: self.count, end: 0 }
    }

    /// The last row with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Line<'_>> {
        match &self.bounds {
            Some((first, last)) if id < &**first || id > &**last => None,
            Some(_) => self.lines().find(|line| line.id == id),
            None => self.lines().filter(|line| line.id == id).last(),
        }
    }
}

/// Rows that are read one by one.
#[derive(Debug)]
pub struct Lines<'a> {
    input: Input<'a>,
    left: u64,
    end: u32,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        self.left = self.left.checked_sub(1)?;
        get(&mut self.input, &mut self.end)
    }
}

pub(super) fn put(out: &mut Output, entries: &[Entry]) {
    out.number(entries.len() as u64);
    let mut end = 0_u32;
    for entry in entries {
        let line = entry.line();
        out.text(line.id);
        out.number(line.version);
        out.byte(line.flags);
        out.number(u64::from(line.len));
        if line.len > 0 {
            out.number(u64::from(line.offset.wrapping_sub(end)));
            end = line.offset.wrapping_add(line.len);
        }
    }
}

fn get<'a>(input: &mut Input<'a>, end: &mut u32) -> Option<Line<'a>> {
    let id = std::str::from_utf8(input.bytes()?).ok()?;
    let (version, flags, len) = (input.number()?, input.byte()?, input.small()?);
    // Only a tombstone can be held: another row that was would be counted twice.
    if flags > 7 || flags & 3 == HELD {
        return None;
    }
    let mut offset = 0;
    if len > 0 {
        offset = end.wrapping_add(input.small()?);
        *end = offset.wrapping_add(len);
    }
    Some(Line { id, version, offset, len, flags })
}

/// Reads all rows.
pub(super) fn entries(input: &mut Input<'_>) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut end = 0;
    for _ in 0..input.number()? {
        let line = get(input, &mut end)?;
        entries.push(Entry {
            id: line.id.to_owned(),
            version: line.version,
            deleted: line.deleted(),
            held: line.held(),
            retain: line.retain(),
            offset: line.offset,
            len: line.len,
        });
    }
    Some(entries)
}

/// Checks all rows, and leaves them where they stand: at the end of what `input` has still to read of this record.
pub(super) fn skip(input: &mut Input<'_>, record: &Rc<[u8]>) -> Option<Directory> {
    let count = input.number()?;
    let from = record.len().checked_sub(input.0.len())?;
    let (mut plain, mut ascend, mut end) = (true, true, 0);
    let (mut first, mut last) = ("", "");
    for at in 0..count {
        let line = get(input, &mut end)?;
        plain &= line.is_plain();
        if at == 0 {
            first = line.id;
        } else {
            ascend &= last < line.id;
        }
        last = line.id;
    }
    let bounds = ascend.then(|| (first.into(), last.into()));
    Some(Directory { record: Rc::clone(record), from, count, plain, bounds })
}
