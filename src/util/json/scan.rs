//! JSON text, read where it stands: checked in one pass, and given back as slices of itself.
//!
//! Replies, bodies and options all come in through here. Derived readers for their types would be
//! more code than everything else that reads. It follows RFC 8259 and takes nothing that
//! `JSON.parse` refuses; depth costs no stack where a value is only passed over, and is bounded
//! where a tree is built.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::util::json::plain::plain;

/// The value of a JSON text.
///
/// # Errors
/// What the parser says.
pub fn parse(json: &[u8]) -> Result<Value, Wrong> {
    tree(utf8(json)?)
}

/// How deep a tree may be that is built in memory.
const MAX_DEPTH: u32 = 128;

/// What is wrong with a text, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    what: &'static str,
    at: usize,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

type Result<T, E = Wrong> = std::result::Result<T, E>;

/// The text of bytes that arrived.
///
/// # Errors
/// Where they are not UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|wrong| Wrong {
        what: "this is not UTF-8",
        at: wrong.valid_up_to(),
    })
}

/// The members of an object, with the text of their values, in order.
///
/// # Errors
/// Where the text is not an object.
pub fn object(json: &str) -> Result<Vec<(Cow<'_, str>, &str)>> {
    let mut scan = Scan::new(json);
    // As many as most have: a list that grows is copied.
    let mut members = Vec::with_capacity(16);
    scan.members(&mut members)?;
    scan.end()?;
    Ok(members)
}

/// The texts of an array's values, in order.
///
/// # Errors
/// Where the text is not an array.
pub fn array(json: &str) -> Result<Vec<&str>> {
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

/// The value of a text, as a tree.
///
/// # Errors
/// Where the text is not JSON, or deeper than 128 levels.
pub fn tree(json: &str) -> Result<Value> {
    let mut scan = Scan::new(json);
    let value = scan.tree(MAX_DEPTH)?;
    scan.end()?;
    Ok(value)
}

/// What the text of a JSON string says; none where it is no string.
#[must_use]
pub fn text(json: &str) -> Option<Cow<'_, str>> {
    let mut scan = Scan::new(json);
    scan.peek().filter(|byte| *byte == b'"')?;
    let text = scan.string().ok()?;
    scan.end().ok().map(|()| text)
}

/// A place in a text. All that is looked at is ASCII, so that every slice ends between characters.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// What is open in a value that is passed over, by the byte that closes it.
    closers: Vec<u8>,
}

impl<'a> Scan<'a> {
    /// The start of a text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            closers: Vec::new(),
        }
    }

    /// Reads an object: its members, with the text of their values, in order.
    ///
    /// # Errors
    /// Where there is no object here.
    pub fn members(&mut self, members: &mut Vec<(Cow<'a, str>, &'a str)>) -> Result<()> {
        let mut more = self.open(b'{', b'}')?;
        while more {
            let key = self.key()?;
            members.push((key, self.value()?));
            more = self.more(b'}')?;
        }
        Ok(())
    }

    const fn wrong<T>(&self, what: &'static str) -> Result<T> {
        Err(Wrong { what, at: self.at })
    }

    /// The byte here; 0, which no JSON has, at the end.
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

    /// The next byte that is not white space.
    pub fn peek(&mut self) -> Option<u8> {
        while matches!(self.here(), b' ' | b'\n' | b'\r' | b'\t') {
            self.step();
        }
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }
    /// Refuses what follows.
    ///
    /// # Errors
    /// Where anything but white space does.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_some() {
            self.wrong("something follows the value")
        } else {
            Ok(())
        }
    }

    /// Begins an object or array by its first and last byte; false where it is empty.
    ///
    /// # Errors
    /// Where it does not begin here.
    pub fn open(&mut self, first: u8, last: u8) -> Result<bool> {
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

    /// Goes on in an object or array; false where it ends.
    ///
    /// # Errors
    /// Where it does neither.
    pub fn more(&mut self, last: u8) -> Result<bool> {
        let next = self.peek();
        if next != Some(b',') && next != Some(last) {
            return self.wrong("a comma or the end of the object or array is expected");
        }
        self.step();
        Ok(next == Some(b','))
    }

    /// The name of a member, and the colon after it.
    ///
    /// # Errors
    /// Where they are not here.
    pub fn key(&mut self) -> Result<Cow<'a, str>> {
        self.quote()?;
        let key = self.string()?;
        self.colon()?;
        Ok(key)
    }

    fn quote(&mut self) -> Result<()> {
        if self.peek() == Some(b'"') {
            Ok(())
        } else {
            self.wrong("the name of a member is expected")
        }
    }

    fn colon(&mut self) -> Result<()> {
        if self.peek() != Some(b':') {
            return self.wrong("a colon is expected");
        }
        self.step();
        Ok(())
    }

    /// Passes over a value and gives its text.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn value(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        self.closers.clear();
        loop {
            let first = self.here();
            if first == b'{' || first == b'[' {
                let last = if first == b'{' { b'}' } else { b']' };
                if self.open(first, last)? {
                    self.closers.push(last);
                    self.pass_key(last)?;
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
                    self.pass_key(last)?;
                    break;
                }
                self.closers.pop();
            }
        }
    }

    fn pass_key(&mut self, last: u8) -> Result<()> {
        if last == b'}' {
            self.quote()?;
            self.pass_string()?;
            self.colon()?;
        }
        self.peek();
        Ok(())
    }

    fn scalar(&mut self, first: u8) -> Result<()> {
        match first {
            b'"' => self.pass_string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let Some(word) = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| rest.starts_with(word))
                else {
                    return self.wrong("a value is expected");
                };
                self.at = self.at.saturating_add(word.len());
                Ok(())
            }
        }
    }

    fn tree(&mut self, depth: u32) -> Result<Value> {
        let Some(deeper) = depth.checked_sub(1) else {
            return self.wrong("too many levels");
        };
        let first = self.peek().unwrap_or_default();
        Ok(match first {
            b'{' => {
                let mut map = Map::new();
                let mut more = self.open(b'{', b'}')?;
                while more {
                    let key = self.key()?.into_owned();
                    map.insert(key, self.tree(deeper)?);
                    more = self.more(b'}')?;
                }
                Value::Object(map)
            }
            b'[' => {
                let mut items = Vec::new();
                let mut more = self.open(b'[', b']')?;
                while more {
                    items.push(self.tree(deeper)?);
                    more = self.more(b']')?;
                }
                Value::Array(items)
            }
            b'"' => Value::String(self.string()?.into_owned()),
            b'-' | b'0'..=b'9' => match crate::util::json::number::number(self.number()?) {
                Some(number) => Value::Number(number),
                None => return self.wrong("a number is too large"),
            },
            _ => {
                self.scalar(first)?;
                match first {
                    b't' => Value::Bool(true),
                    b'f' => Value::Bool(false),
                    _ => Value::Null,
                }
            }
        })
    }

    fn number(&mut self) -> Result<&'a str> {
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

    fn digits(&mut self) -> Result<()> {
        if !self.here().is_ascii_digit() {
            return self.wrong("a digit is expected");
        }
        while self.here().is_ascii_digit() {
            self.step();
        }
        Ok(())
    }

    fn pass_plain(&mut self) {
        self.at = self.at.saturating_add(plain(
            self.text.as_bytes().get(self.at..).unwrap_or_default(),
        ));
    }

    /// Passes over a string; true where it has escapes.
    fn pass_string(&mut self) -> Result<bool> {
        self.step();
        let mut escapes = false;
        loop {
            self.pass_plain();
            match self.here() {
                b'"' => {
                    self.step();
                    return Ok(escapes);
                }
                b'\\' => {
                    escapes = true;
                    self.step();
                    match self.here() {
                        b'u' => {
                            self.step();
                            self.unit()?;
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.step(),
                        _ => return self.wrong("an unknown escape"),
                    }
                }
                0..=0x1f => return self.wrong("a string has a control character or no end"),
                _ => self.step(),
            }
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32> {
        let mut unit = 0_u32;
        for _ in 0..4 {
            let Some(digit) = char::from(self.here()).to_digit(16) else {
                return self.wrong("four hexadecimal digits are expected");
            };
            unit = (unit << 4) | digit;
            self.step();
        }
        Ok(unit)
    }

    fn string(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at.saturating_add(1);
        if !self.pass_string()? {
            let end = self.at.saturating_sub(1);
            return Ok(Cow::Borrowed(self.text.get(start..end).unwrap_or_default()));
        }
        self.at = start;
        let mut out = String::new();
        loop {
            let begin = self.at;
            while !matches!(self.here(), b'"' | b'\\') {
                self.step();
            }
            out.push_str(self.since(begin));
            let quote = self.here() == b'"';
            self.step();
            if quote {
                return Ok(Cow::Owned(out));
            }
            let escape = self.here();
            self.step();
            out.push(match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.character()?,
                other => char::from(other),
            });
        }
    }

    /// The character of one escape, or of the two that make up a pair.
    fn character(&mut self) -> Result<char> {
        let first = self.unit()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first)
            && self
                .text
                .get(self.at..)
                .is_some_and(|rest| rest.starts_with("\\u"))
        {
            self.step();
            self.step();
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x1_0000_u32.saturating_add(((first & 0x3ff) << 10) | (second & 0x3ff));
            } else {
                return self.wrong("half of a surrogate pair");
            }
        }
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.wrong("half of a surrogate pair"),
        }
    }
}
