//! Strings and their escapes.

use std::borrow::Cow;

use crate::util::json::plain::plain;
use crate::util::json::scan::{Scan, ScanResult};

/// Precedes half of a surrogate pair in a name.
pub(in super::super) const HALF: char = '\u{10ffff}';

/// The byte with which [`HALF`] begins in UTF-8.
const HALF_BEGINS: u8 = 0xf4;

/// The character of the first half.
const HALVES: u32 = 0x10_f000;

/// Returns the UTF-16 unit that a character after [`HALF`] stands for.
pub(in super::super) fn half(character: char) -> Option<u32> {
    let unit = u32::from(character).checked_sub(HALVES)?;
    (unit < 0x800).then_some(0xd800 | unit)
}

/// Returns true if a name has half of a surrogate pair.
#[must_use]
pub fn has_lone_surrogate_name(name: &str) -> bool {
    // Its first byte is rare; to look for a character of four prepares a search for each name.
    name.as_bytes().contains(&HALF_BEGINS) && name.chars().any(|character| character == HALF)
}

impl<'a> Scan<'a> {
    fn skip_plain(&mut self) {
        self.at = self.at.saturating_add(plain(
            self.text.as_bytes().get(self.at..).unwrap_or_default(),
        ));
    }

    /// Skips a string; returns true if it has escapes.
    pub(super) fn skip_string(&mut self) -> ScanResult<bool> {
        self.step();
        let mut escapes = false;
        loop {
            self.skip_plain();
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

    /// Reads four hexadecimal digits.
    fn unit(&mut self) -> ScanResult<u32> {
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

    pub(super) fn string(&mut self) -> ScanResult<Cow<'a, str>> {
        self.decoded(false)
    }

    /// Reads a string as a name. Half of a surrogate pair, for which there is no character, becomes
    /// two: U+10FFFF, which is none either, and one that says which half. The writer of names makes
    /// the escape of them again.
    pub(super) fn name(&mut self) -> ScanResult<Cow<'a, str>> {
        self.decoded(true)
    }

    fn decoded(&mut self, halves: bool) -> ScanResult<Cow<'a, str>> {
        let start = self.at.saturating_add(1);
        if !self.skip_string()? {
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
            let character = match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let at = self.at;
                    match self.character() {
                        Ok(character) => character,
                        Err(error) if !halves => return Err(error),
                        Err(_) => {
                            self.at = at;
                            let unit = self.unit()?;
                            out.push(HALF);
                            char::from_u32(HALVES | (unit & 0x7ff)).unwrap_or(HALF)
                        }
                    }
                }
                other => char::from(other),
            };
            out.push(character);
        }
    }

    /// Reads the character of one `\u` escape, or of the two of a surrogate pair.
    fn character(&mut self) -> ScanResult<char> {
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
