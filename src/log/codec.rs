//! The bytes that a record is made of: one writer, one reader, and nothing generic in either, so
//! that every kind of event shares the same few functions.
//!
//! ```text
//! number    varint, seven bits a byte, the lowest first
//! text      number of bytes, UTF-8
//! flag      0 or 1
//! maybe     flag, then the value where it is 1
//! list      number of items, the items
//! ```
//!
//! The reader takes bytes from a disk: it must never panic, and never reserve memory by a number
//! that it has read.

use std::rc::Rc;

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Yes or no.
    pub fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// A number, short where it is small.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// A number, or none.
    pub fn maybe_number(&mut self, value: Option<u64>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.number(value);
        }
    }

    /// Bytes as they are; whoever reads them knows how many.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes behind their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A text, or none.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    /// A list of texts, or none.
    pub fn maybe_texts(&mut self, texts: Option<&[String]>) {
        self.flag(texts.is_some());
        if let Some(texts) = texts {
            self.texts(texts);
        }
    }
}

/// Bytes still to be read. Every function says `None` where they are not what was written.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// So many bytes.
    pub fn raw(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        if let Some((first, rest)) = self.0.split_first()
            && *first < 0x80
        {
            // Most are: rows are many, and are read before the browser has made this code fast.
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

    /// A number of four bytes at most.
    pub fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A number, or none.
    pub fn maybe_number(&mut self) -> Option<Option<u64>> {
        if self.flag()? {
            self.number().map(Some)
        } else {
            Some(None)
        }
    }

    /// Bytes behind their number.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.raw(len)
    }

    /// A text.
    pub fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    /// A text, or none.
    pub fn maybe_text(&mut self) -> Option<Option<String>> {
        if self.flag()? {
            self.text().map(Some)
        } else {
            Some(None)
        }
    }

    /// A text that is shared, or none.
    pub fn maybe_shared(&mut self) -> Option<Option<Rc<str>>> {
        if self.flag()? {
            std::str::from_utf8(self.bytes()?)
                .ok()
                .map(|text| Some(Rc::from(text)))
        } else {
            Some(None)
        }
    }

    /// A list of texts.
    pub fn texts(&mut self) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for _ in 0..self.number()? {
            texts.push(self.text()?);
        }
        Some(texts)
    }

    /// A list of texts, or none.
    pub fn maybe_texts(&mut self) -> Option<Option<Vec<String>>> {
        if self.flag()? {
            self.texts().map(Some)
        } else {
            Some(None)
        }
    }
}
