//! A JSON scanner: validates text in one pass and returns slices of it.
//!
//! Replies, bodies and options are all read through it; derived readers for their types would be
//! larger than everything else that reads. It follows RFC 8259 and accepts nothing that
//! `JSON.parse` refuses. Skipping a value uses no stack, however deep it is; a tree has at most
//! 128 levels.

use std::borrow::Cow;
use std::fmt;

pub use crate::util::json::scan::strings::has_lone_surrogate_name;
pub(super) use crate::util::json::scan::strings::{HALF, half};
pub use crate::util::json::scan::tree::{parse, tree};

mod strings;
mod tree;

/// A syntax error and its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanError {
    what: &'static str,
    at: usize,
}

impl ScanError {
    /// Returns true if this text of `len` bytes is the beginning of a valid one, as far as it goes.
    #[must_use]
    pub const fn is_cut(&self, len: usize) -> bool {
        self.at >= len
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

type ScanResult<T> = Result<T, ScanError>;

/// Converts bytes to text.
///
/// # Errors
/// Fails if they are not UTF-8.
pub fn utf8(bytes: &[u8]) -> ScanResult<&str> {
    std::str::from_utf8(bytes).map_err(|wrong| ScanError {
        what: "this is not UTF-8",
        at: match wrong.error_len() {
            Some(_) => wrong.valid_up_to(),
            // The last character is cut.
            None => bytes.len(),
        },
    })
}

/// Returns the members of an object in order, each with the text of its value.
///
/// # Errors
/// Fails if the text is not an object.
pub fn object(json: &str) -> ScanResult<Vec<(Cow<'_, str>, &str)>> {
    let mut scan = Scan::new(json);
    // Room for most objects: a vector that grows is copied.
    let mut members = Vec::with_capacity(16);
    scan.members(&mut members)?;
    scan.end()?;
    Ok(members)
}

/// Returns the text of each value of an array, in order.
///
/// # Errors
/// Fails if the text is not an array.
pub fn array(json: &str) -> ScanResult<Vec<&str>> {
    let mut scan = Scan::new(json);
    let mut items = Vec::new();
    if scan.open(b'[', b']')? {
        loop {
            items.push(scan.value()?);
            if !scan.more(b']')? {
                break;
            }
        }
    }
    scan.end()?;
    Ok(items)
}

/// Decodes a JSON string; `None` if the text is not one.
#[must_use]
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    let mut scan = Scan::new(json);
    scan.peek().filter(|byte| *byte == b'"')?;
    let text = scan.string().ok()?;
    scan.end().ok().map(|()| text)
}

/// A position in a JSON text. It only ever stops at ASCII bytes, so every slice ends between
/// characters.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The closing bytes of the objects and arrays that are open in a skipped value.
    closers: Vec<u8>,
}

impl<'a> Scan<'a> {
    /// Starts at the beginning of a text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            closers: Vec::new(),
        }
    }

    /// Reads an object and appends its members in order, each with the text of its value.
    ///
    /// # Errors
    /// Fails if no object starts here.
    pub fn members(&mut self, members: &mut Vec<(Cow<'a, str>, &'a str)>) -> ScanResult<()> {
        let mut more = self.open(b'{', b'}')?;
        while more {
            self.quote()?;
            let key = self.name()?;
            self.colon()?;
            members.push((key, self.value()?));
            more = self.more(b'}')?;
        }
        Ok(())
    }

    const fn wrong<T>(&self, what: &'static str) -> ScanResult<T> {
        Err(ScanError { what, at: self.at })
    }

    /// Returns the current byte; 0, which is never valid JSON, at the end.
    fn here(&self) -> u8 {
        self.text
            .as_bytes()
            .get(self.at)
            .copied()
            .unwrap_or_default()
    }

    const fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Skips white space and returns the next byte.
    pub fn peek(&mut self) -> Option<u8> {
        while matches!(self.here(), b' ' | b'\n' | b'\r' | b'\t') {
            self.step();
        }
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Checks that the text ends here.
    ///
    /// # Errors
    /// Fails if anything but white space follows.
    pub fn end(&mut self) -> ScanResult<()> {
        if self.peek().is_some() {
            self.wrong("something follows the value")
        } else {
            Ok(())
        }
    }

    /// Enters an object or array, given its first and last byte; returns false if it is empty.
    ///
    /// # Errors
    /// Fails if it does not start here.
    pub fn open(&mut self, first: u8, last: u8) -> ScanResult<bool> {
        if self.peek() != Some(first) {
            return self.wrong(if first == b'{' {
                "an object is expected"
            } else {
                "an array is expected"
            });
        }
        self.step();
        let empty = self.peek() == Some(last);
        if empty {
            self.step();
        }
        Ok(!empty)
    }

    /// Moves past a comma, or past the end of an object or array; returns false at the end.
    ///
    /// # Errors
    /// Fails if neither is here.
    pub fn more(&mut self, last: u8) -> ScanResult<bool> {
        let next = self.peek();
        if next != Some(b',') && next != Some(last) {
            return self.wrong("a comma or the end of the object or array is expected");
        }
        self.step();
        Ok(next == Some(b','))
    }

    /// Reads the name of a member and the colon after it.
    ///
    /// # Errors
    /// Fails if they are not here.
    pub fn key(&mut self) -> ScanResult<Cow<'a, str>> {
        self.quote()?;
        let key = self.string()?;
        self.colon()?;
        Ok(key)
    }

    fn quote(&mut self) -> ScanResult<()> {
        if self.peek() == Some(b'"') {
            Ok(())
        } else {
            self.wrong("the name of a member is expected")
        }
    }

    fn colon(&mut self) -> ScanResult<()> {
        if self.peek() != Some(b':') {
            return self.wrong("a colon is expected");
        }
        self.step();
        Ok(())
    }

    /// Skips a value and returns its text.
    ///
    /// # Errors
    /// Fails if it is not valid JSON.
    pub fn value(&mut self) -> ScanResult<&'a str> {
        self.peek();
        let start = self.at;
        self.closers.clear();
        loop {
            let first = self.here();
            if first == b'{' || first == b'[' {
                let last = if first == b'{' { b'}' } else { b']' };
                if self.open(first, last)? {
                    self.closers.push(last);
                    self.skip_key(last)?;
                    continue;
                }
            } else {
                self.scalar(first)?;
            }
            loop {
                let Some(last) = self.closers.last().copied() else {
                    return Ok(self.since(start));
                };
                if self.more(last)? {
                    self.skip_key(last)?;
                    break;
                }
                self.closers.pop();
            }
        }
    }

    fn skip_key(&mut self, last: u8) -> ScanResult<()> {
        if last == b'}' {
            self.quote()?;
            self.skip_string()?;
            self.colon()?;
        }
        self.peek();
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> ScanResult<()> {
        match first {
            b'"' => self.skip_string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let Some(word) = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| rest.starts_with(word))
                else {
                    if ["true", "false", "null"]
                        .iter()
                        .any(|word| word.starts_with(rest))
                    {
                        self.at = self.text.len();
                    }
                    return self.wrong("a value is expected");
                };
                self.at = self.at.saturating_add(word.len());
                Ok(())
            }
        }
    }

    fn number(&mut self) -> ScanResult<&'a str> {
        let start = self.at;
        if self.here() == b'-' {
            self.step();
        }
        if self.here() == b'0' {
            self.step();
        } else {
            self.digits()?;
        }
        if self.here() == b'.' {
            self.step();
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.step();
            if matches!(self.here(), b'+' | b'-') {
                self.step();
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> ScanResult<()> {
        if !self.here().is_ascii_digit() {
            return self.wrong("a digit is expected");
        }
        while self.here().is_ascii_digit() {
            self.step();
        }
        Ok(())
    }
}
