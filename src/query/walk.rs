//! Walks over JSON that has been validated before: bodies, and the parts of a query.
//!
//! The scanner checks every byte; this only looks for the ends of values, a string at eight bytes a
//! step. Text that is not JSON gives values that mean nothing, never a panic or an endless loop.

use crate::util::json::plain::plain;

/// A position in a JSON text.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Starts at the beginning of a text.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn here(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or_default()
    }

    const fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Returns the offset of the next byte that is read.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// Skips white space and returns the next byte; 0 at the end.
    pub(super) fn peek(&mut self) -> u8 {
        while matches!(self.here(), b' ' | b'\n' | b'\r' | b'\t') {
            self.step();
        }
        self.here()
    }

    /// Enters the object or array that starts here; returns false, behind it, if it is empty.
    pub(super) fn enter(&mut self) -> bool {
        self.step();
        if matches!(self.peek(), b'}' | b']' | 0) {
            self.step();
            return false;
        }
        true
    }

    /// Moves past a comma and returns true, or past the end of an object or array.
    pub(super) fn more(&mut self) -> bool {
        let more = self.peek() == b',';
        self.step();
        more
    }

    /// Reads the name of a member and the colon behind it: the text between the quotes.
    pub(super) fn name(&mut self) -> &'a [u8] {
        self.peek();
        let name = self.string();
        if self.peek() == b':' {
            self.step();
        }
        name
    }

    /// Skips the string that starts here and returns the text between its quotes.
    fn string(&mut self) -> &'a [u8] {
        self.step();
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at = self.at.saturating_add(plain(rest));
            match self.bytes.get(self.at) {
                Some(b'"') | None => break,
                Some(b'\\') => self.at = self.at.saturating_add(2),
                Some(_) => self.step(),
            }
        }
        let text = self.since(start);
        self.step();
        text
    }

    /// Skips a value and returns its text.
    pub(super) fn value(&mut self) -> &'a [u8] {
        let first = self.peek();
        let start = self.at;
        match first {
            b'"' => drop(self.string()),
            b'{' | b'[' => self.skip_nested(),
            _ => {
                while !matches!(
                    self.here(),
                    b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | 0
                ) {
                    self.step();
                }
            }
        }
        self.since(start)
    }

    fn skip_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.step();
            if depth == 0 {
                return;
            }
        }
    }
}

/// Appends the characters of a string with escapes, given the text between its quotes. Half of a
/// surrogate pair, which has no UTF-8, is written as the three bytes that its code point would have
/// (WTF-8): it is equal to itself only, and in its place in the order of code points.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        if *first != b'\\' {
            out.push(*first);
            rest = more;
            continue;
        }
        let (escape, more) = more.split_first().unwrap_or((&0, &[]));
        rest = more;
        let byte = match escape {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (first, more) = unit(rest);
                rest = more;
                let mut code = first;
                if (0xd800..0xdc00).contains(&first)
                    && let Some(second) = rest.strip_prefix(b"\\u")
                    && let (second, more) = unit(second)
                    && (0xdc00..0xe000).contains(&second)
                {
                    code = 0x1_0000_u32.saturating_add(((first & 0x3ff) << 10) | (second & 0x3ff));
                    rest = more;
                }
                push_code(out, code);
                continue;
            }
            other => *other,
        };
        out.push(byte);
    }
}

/// Reads four hexadecimal digits, and returns what follows them.
fn unit(text: &[u8]) -> (u32, &[u8]) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, &[]));
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or_default();
    let unit = digits
        .iter()
        .fold(0, |unit, byte| (unit << 4) | digit(byte));
    (unit, rest)
}

/// Appends a code point as UTF-8, or as three bytes if it is half of a surrogate pair.
pub(super) fn push_code(out: &mut Vec<u8>, code: u32) {
    let part = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code {
        0..0x80 => out.push(code as u8),
        0x80..0x800 => out.extend([0xc0 | (code >> 6) as u8, part(0)]),
        0x800..0x1_0000 => out.extend([0xe0 | (code >> 12) as u8, part(6), part(0)]),
        _ => out.extend([0xf0 | (code >> 18) as u8, part(12), part(6), part(0)]),
    }
}

/// Iterates over the code points of a decoded text.
pub(super) fn codes(text: &[u8]) -> impl Iterator<Item = u32> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, mut more) = rest.split_first()?;
        let (mut code, following) = match first {
            0..0x80 => (u32::from(*first), 0),
            0x80..0xe0 => (u32::from(first & 0x1f), 1),
            0xe0..0xf0 => (u32::from(first & 0x0f), 2),
            _ => (u32::from(first & 0x07), 3),
        };
        for _ in 0..following {
            let (byte, after) = more.split_first()?;
            code = (code << 6) | u32::from(byte & 0x3f);
            more = after;
        }
        rest = more;
        Some(code)
    })
}
