//! The primitives of a record: one writer and one reader. Neither is generic, so that all events
//! share the same few functions.
//!
//! ```text
//! number    LEB128: seven bits a byte, the lowest first
//! text      number of bytes, UTF-8
//! flag      0 or 1
//! maybe     flag, then the value if the flag is 1
//! list      number of items, the items
//! ```
//!
//! The reader's input comes from a disk: it must never panic, and never allocate by a count that it
//! has read.

use std::rc::Rc;

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    pub fn maybe_number(&mut self, value: Option<u64>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.number(value);
        }
    }

    /// Writes bytes without their count.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes the count of bytes, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }

    pub fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    pub fn maybe_texts(&mut self, texts: Option<&[String]>) {
        self.flag(texts.is_some());
        if let Some(texts) = texts {
            self.texts(texts);
        }
    }
}

/// Bytes still to be read. Every function returns `None` if they are damaged; optional
/// values have a second, inner `Option`.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Reads `len` bytes.
    pub fn raw(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub fn number(&mut self) -> Option<u64> {
        if let Some((first, rest)) = self.0.split_first()
            && *first < 0x80
        {
            // Most numbers have one byte, and rows are read before the browser optimizes this code.
            self.0 = rest;
            return Some(u64::from(*first));
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a number that must fit into four bytes.
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub fn maybe_number(&mut self) -> Option<Option<u64>> {
        if self.flag()? {
            self.number().map(Some)
        } else {
            Some(None)
        }
    }

    /// Reads a count of bytes, then the bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.raw(len)
    }

    pub fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    pub fn maybe_text(&mut self) -> Option<Option<String>> {
        if self.flag()? {
            self.text().map(Some)
        } else {
            Some(None)
        }
    }

    pub fn maybe_shared(&mut self) -> Option<Option<Rc<str>>> {
        if self.flag()? {
            std::str::from_utf8(self.bytes()?)
                .ok()
                .map(|text| Some(Rc::from(text)))
        } else {
            Some(None)
        }
    }

    pub fn texts(&mut self) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for _ in 0..self.number()? {
            texts.push(self.text()?);
        }
        Some(texts)
    }

    pub fn maybe_texts(&mut self) -> Option<Option<Vec<String>>> {
        if self.flag()? {
            self.texts().map(Some)
        } else {
            Some(None)
        }
    }
}
