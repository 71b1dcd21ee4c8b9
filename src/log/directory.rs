//! The rows of a segment, as they stand in a record: read where they stand, or kept there until
//! somebody asks.

use std::rc::Rc;

use crate::log::codec::{Input, Output};
use crate::log::commit::Entry;

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

/// The rows of a segment, whole and unread: what is said before them is believed, as the record's
/// checksum says that it is what was written.
#[derive(Debug, Clone)]
pub struct Directory {
    record: Rc<[u8]>,
    from: usize,
    to: usize,
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
        Lines {
            input: Input(self.record.get(self.from..self.to).unwrap_or_default()),
            left: self.count,
            end: 0,
        }
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

impl Lines<'_> {
    /// Whether these were all, and each could be read. To be asked at the end.
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
    // Only a tombstone can be held: another row that was would be counted twice.
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

/// What is said before the rows (how many, whether all are plain, the last id where they ascend),
/// and the rows.
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
    // Room is made for as many as are said to be here before any is read: each has four bytes at
    // least.
    (count <= rows.len() as u64 / 4).then_some((count, plain, last, rows))
}

/// Reads all rows, and checks what is said before them.
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

/// Leaves all rows where they stand: at the end of what `input` has still to read of this record.
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
