//! Goes through the text of a JSON value and masks its strings and numbers where they stand.

use crate::plan::trace::masks::Masks;
use crate::util::json::scan;

/// Paths are followed so deep; what is deeper is never kept by its path.
const DEEPEST: usize = 8;

/// An object or an array that is open.
struct OpenValue {
    is_object: bool,
    /// The value of this path stays.
    is_kept: bool,
    path: String,
}

/// A walk through a text.
pub(super) struct MaskWalk<'a, 'm> {
    rest: &'a str,
    masks: &'m mut Masks,
    out: String,
    open: Vec<OpenValue>,
    /// The path of the member whose value is next.
    path: String,
    is_kept: bool,
    expects_name: bool,
}

impl<'a, 'm> MaskWalk<'a, 'm> {
    pub(super) fn new(text: &'a str, masks: &'m mut Masks) -> Self {
        Self {
            rest: text,
            masks,
            out: String::with_capacity(text.len()),
            open: Vec::new(),
            path: String::new(),
            is_kept: false,
            expects_name: false,
        }
    }

    /// Returns the masked text; `None` if this is no JSON.
    pub(super) fn masked(mut self) -> Option<String> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '{' | '[' => {
                    self.open.push(OpenValue {
                        is_object: c == '{',
                        is_kept: self.is_kept,
                        path: self.path.clone(),
                    });
                    self.expects_name = c == '{';
                    self.copy(c);
                }
                '}' | ']' => {
                    let closed = self.open.pop()?;
                    (self.path, self.is_kept) = (closed.path, closed.is_kept);
                    self.expects_name = false;
                    self.copy(c);
                }
                ',' => {
                    let open = self.open.last()?;
                    (self.path, self.is_kept) = (open.path.clone(), open.is_kept);
                    self.expects_name = open.is_object;
                    self.copy(c);
                }
                '"' if self.expects_name => self.name()?,
                '"' => self.string()?,
                '-' | '0'..='9' => self.number()?,
                // A line has no line break.
                '\n' | '\r' => {
                    self.out.push(' ');
                    self.skip(c);
                }
                _ => self.copy(c),
            }
        }
        self.open.is_empty().then_some(self.out)
    }

    fn copy(&mut self, c: char) {
        self.out.push(c);
        self.skip(c);
    }

    fn skip(&mut self, c: char) {
        self.rest = self.rest.strip_prefix(c).unwrap_or_default();
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes a string with its quotes.
    fn raw_string(&mut self) -> Option<&'a str> {
        let mut is_escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        self.take(end.checked_add(2)?)
    }

    fn name(&mut self) -> Option<()> {
        let raw = self.raw_string()?;
        self.out.push_str(raw);
        self.expects_name = false;
        let open = self.open.last()?;
        let depth = self.open.len();
        self.is_kept = open.is_kept;
        if !self.is_kept && depth <= DEEPEST {
            let name = scan::text(raw).unwrap_or_default();
            self.path = match open.path.as_str() {
                "" => name.into_owned(),
                path => [path, ".", &name].concat(),
            };
            self.is_kept = self.masks.is_kept(&self.path);
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        let end = self.rest.bytes().position(|byte| !is_part(byte));
        let raw = self.take(end.unwrap_or(self.rest.len()))?;
        if self.is_kept {
            self.out.push_str(raw);
            return Some(());
        }
        let digits = raw.trim_start_matches('-');
        let at = digits.find(['e', 'E']).unwrap_or(digits.len());
        let (mantissa, exponent) = digits.split_at_checked(at)?;
        // Equal numbers have one mark, however many zeros stand behind them.
        let bare = match mantissa.contains('.') {
            true => mantissa.trim_end_matches('0').trim_end_matches('.'),
            false => mantissa,
        };
        let zeros = mantissa.strip_prefix(bare)?;
        if raw.starts_with('-') {
            self.out.push('-');
        }
        let mark = self.masks.number(bare);
        self.out.push_str(&mark);
        self.out.push_str(zeros);
        self.out.push_str(exponent);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let mut raw = self.raw_string()?;
        if self.is_kept {
            if !self.masks.of_member || self.path != "id" {
                self.out.push_str(raw);
                return Some(());
            }
            // The user's id, alone or behind the space's.
            if let Some((space, user)) = raw.split_once('/') {
                self.out.push_str(space);
                self.out.push('/');
                raw = user;
            }
        }
        // Each character of a word, and whether it stands as an escape.
        let (mut word, mut escapes) = (String::new(), Vec::new());
        let mut rest = raw;
        while let Some(c) = rest.chars().next() {
            let escaped = (c == '\\').then(|| escape(rest)).flatten();
            let (unit, is_escape) = match escaped {
                Some(letter) => (letter, true),
                None => (c, false),
            };
            let bytes = match (c, is_escape) {
                ('\\', true) => 6,
                // A sign that is escaped, or half of a pair.
                ('\\', false) if rest.starts_with("\\u") => 6,
                ('\\', false) => 2,
                _ => c.len_utf8(),
            };
            let (text, after) = rest.split_at_checked(bytes)?;
            rest = after;
            if unit.is_alphanumeric() && (is_escape || c != '\\') {
                word.push(unit);
                escapes.push(is_escape);
            } else {
                self.end_word(&mut word, &mut escapes);
                self.out.push_str(text);
            }
        }
        self.end_word(&mut word, &mut escapes);
        Some(())
    }

    fn end_word(&mut self, word: &mut String, escapes: &mut Vec<bool>) {
        if word.is_empty() {
            return;
        }
        let mark = self.masks.mark(word);
        for (c, is_escape) in mark.chars().zip(escapes.drain(..)) {
            if is_escape {
                self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                self.out.push(c);
            }
        }
        word.clear();
    }
}

/// Returns the letter or digit that an escape stands for.
fn escape(text: &str) -> Option<char> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?).filter(|c| c.is_alphanumeric())
}
