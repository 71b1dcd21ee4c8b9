//! The directory of a segment: its rows, encoded in a record. They are either decoded or stay
//! encoded and are searched in place.

use std::rc::Rc;

use crate::log::codec::{Input, Output};
use crate::log::commit::Entry;

const DELETED: u8 = 1;

const HELD: u8 = 2;

const RETAIN: u8 = 4;

/// One row, borrowed from its record.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub id: &'a str,
    pub version: u64,
    /// Offset in the segment's body, in bytes.
    pub offset: u32,
    /// Length in bytes; 0 for no body.
    pub len: u32,
    flags: u8,
}

impl Line<'_> {
    /// The row is a tombstone.
    #[must_use]
    pub const fn deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// The tombstone waits for a cycle that includes deletes.
    #[must_use]
    pub const fn held(&self) -> bool {
        self.flags & HELD != 0
    }

    /// The row keeps its present body.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.flags & RETAIN != 0
    }

    /// The row is live and has a body of its own, so that earlier rows do not matter.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.flags == 0
    }
}

impl Entry {
    #[must_use]
    pub fn line(&self) -> Line<'_> {
        let flags =
            u8::from(self.deleted) | (u8::from(self.held) << 1) | (u8::from(self.retain) << 2);
        Line {
            id: &self.id,
            version: self.version,
            offset: self.offset,
            len: self.len,
            flags,
        }
    }
}

/// The encoded rows of a segment. The header before them is trusted, because the record's checksum
/// was verified.
#[derive(Debug, Clone)]
pub struct Directory {
    record: Rc<[u8]>,
    from: usize,
    to: usize,
    pub count: u64,
    /// All rows are [plain](Line::is_plain).
    pub plain: bool,
    /// The first and the last id, if ids strictly ascend.
    pub bounds: Option<(Box<str>, Box<str>)>,
}

impl Directory {
    /// The rows, in the order of the record.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            input: Input(self.record.get(self.from..self.to).unwrap_or_default()),
            left: self.count,
            end: 0,
        }
    }

    /// Returns the last row with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Line<'_>> {
        match &self.bounds {
            Some((first, last)) if id < &**first || id > &**last => None,
            Some(_) => self.lines().find(|line| line.id == id),
            None => self.lines().filter(|line| line.id == id).last(),
        }
    }
}

/// Decodes rows one by one.
#[derive(Debug)]
pub struct Lines<'a> {
    input: Input<'a>,
    left: u64,
    end: u32,
}

impl Lines<'_> {
    /// Returns true if every row was read without damage. Ask at the end of the iteration.
    #[must_use]
    pub const fn were_all(&self) -> bool {
        self.left == 0 && self.input.0.is_empty()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let left = self.left.checked_sub(1)?;
        let line = get(&mut self.input, &mut self.end)?;
        self.left = left;
        Some(line)
    }
}

pub(super) fn put(out: &mut Output, entries: &[Entry]) {
    out.number(entries.len() as u64);
    let Some(last) = entries.last() else { return };
    let ascend = entries.is_sorted_by(|a, b| a.id < b.id);
    out.flag(entries.iter().all(|entry| entry.line().is_plain()));
    out.maybe_text(ascend.then_some(&last.id));
    let mut rows = Output::default();
    let mut end = 0_u32;
    for entry in entries {
        let line = entry.line();
        rows.text(line.id);
        rows.number(line.version);
        rows.byte(line.flags);
        rows.number(u64::from(line.len));
        if line.len > 0 {
            rows.number(u64::from(line.offset.wrapping_sub(end)));
            end = line.offset.wrapping_add(line.len);
        }
    }
    out.bytes(&rows.0);
}

fn get<'a>(input: &mut Input<'a>, end: &mut u32) -> Option<Line<'a>> {
    let id = std::str::from_utf8(input.bytes()?).ok()?;
    let (version, flags, len) = (input.number()?, input.byte()?, input.small()?);
    // Only a tombstone can be held: another held row would be counted twice.
    if flags > 7 || flags & 3 == HELD {
        return None;
    }
    let mut offset = 0;
    if len > 0 {
        offset = end.wrapping_add(input.small()?);
        *end = offset.wrapping_add(len);
    }
    Some(Line {
        id,
        version,
        offset,
        len,
        flags,
    })
}

/// Reads the header (row count, whether all rows are plain, the last id if ids ascend) and the
/// bytes of the rows.
fn head<'a>(input: &mut Input<'a>) -> Option<(u64, bool, Option<&'a str>, &'a [u8])> {
    let count = input.number()?;
    if count == 0 {
        return Some((0, true, None, &[]));
    }
    let plain = input.flag()?;
    let last = if input.flag()? {
        Some(std::str::from_utf8(input.bytes()?).ok()?)
    } else {
        None
    };
    let rows = input.bytes()?;
    // A row has at least four bytes: a greater count is damage, and is rejected before anything is
    // allocated by it.
    (count <= rows.len() as u64 / 4).then_some((count, plain, last, rows))
}

/// Decodes all rows, and checks the header against them.
pub(super) fn entries(input: &mut Input<'_>) -> Option<Vec<Entry>> {
    let (count, plain, last, rows) = head(input)?;
    let mut lines = Lines {
        input: Input(rows),
        left: count,
        end: 0,
    };
    let (mut entries, mut all_plain, mut ascend) = (Vec::<Entry>::new(), true, true);
    for line in &mut lines {
        all_plain &= line.is_plain();
        ascend &= entries.last().is_none_or(|before| *before.id < *line.id);
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
    let end = entries.last().filter(|_| ascend).map(|entry| &*entry.id);
    (lines.were_all() && all_plain == plain && end == last).then_some(entries)
}

/// Skips the rows, which stay encoded in `record`. `input` must be the unread end of that record.
pub(super) fn skip(input: &mut Input<'_>, record: &Rc<[u8]>) -> Option<Directory> {
    let (count, plain, last, rows) = head(input)?;
    let to = record.len().checked_sub(input.0.len())?;
    let mut directory = Directory {
        record: Rc::clone(record),
        from: to.checked_sub(rows.len())?,
        to,
        count,
        plain,
        bounds: None,
    };
    if let Some(last) = last {
        let first = directory.lines().next()?.id.into();
        directory.bounds = Some((first, last.into()));
    }
    Some(directory)
}
