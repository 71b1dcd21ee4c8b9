//! Reads the text of a pattern.

use crate::query::pattern::{Assertion, CharClass};

/// The deepest nesting of groups.
const MAX_DEPTH: u32 = 50;

/// The most repetitions that `{n}` may ask for.
const MAX_TIMES: u32 = 1_000;

/// A pattern as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ast {
    Empty,
    Char(u32),
    Class(CharClass),
    Assert(Assertion),
    Sequence(Vec<Ast>),
    Either(Box<Ast>, Box<Ast>),
    /// At least and at most so many times; without an upper limit if it is `None`.
    Repeat(Box<Ast>, u32, Option<u32>),
}

/// Parses a pattern; returns true with it if `(?i)` stands at its beginning.
pub(super) fn parse(codes: &[u32]) -> Result<(Ast, bool), String> {
    let mut parser = PatternParser { codes, at: 0 };
    let folds = parser.take_all("(?i)");
    let ast = parser.either(MAX_DEPTH)?;
    if parser.peek().is_some() {
        return parser.wrong("has a `)` without its `(`");
    }
    Ok((ast, folds))
}

struct PatternParser<'a> {
    codes: &'a [u32],
    at: usize,
}

type Parsed<T> = Result<T, String>;

impl PatternParser<'_> {
    fn peek(&self) -> Option<char> {
        // Half of a surrogate pair is no character, and none that has a meaning.
        let code = self.codes.get(self.at).copied()?;
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code(&mut self) -> Option<u32> {
        let code = self.codes.get(self.at).copied();
        self.at = self.at.saturating_add(1);
        code
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn take_all(&mut self, expected: &str) -> bool {
        let start = self.at;
        let found = expected.chars().all(|expected| self.take(expected));
        if !found {
            self.at = start;
        }
        found
    }

    fn wrong<T>(&self, what: &str) -> Parsed<T> {
        Err([what, " (character ", &self.at.to_string(), ")"].concat())
    }

    fn either(&mut self, depth: u32) -> Parsed<Ast> {
        let mut choices = vec![self.sequence(depth)?];
        while self.take('|') {
            choices.push(self.sequence(depth)?);
        }
        let mut all = choices.into_iter().rev();
        let last = all.next().unwrap_or(Ast::Empty);
        Ok(all.fold(last, |rest, one| Ast::Either(Box::new(one), Box::new(rest))))
    }

    fn sequence(&mut self, depth: u32) -> Parsed<Ast> {
        let mut parts = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let part = self.atom(depth)?;
            parts.push(self.repeated(part)?);
        }
        Ok(Ast::Sequence(parts))
    }

    fn atom(&mut self, depth: u32) -> Parsed<Ast> {
        Ok(match self.peek() {
            Some('(') => self.group(depth)?,
            Some('[') => Ast::Class(self.class()?),
            Some('\\') => self.escape()?,
            Some('*' | '+' | '?') => return self.wrong("repeats nothing"),
            Some('{') if self.times()?.is_some() => return self.wrong("repeats nothing"),
            _ => match self.code().unwrap_or_default() {
                0x2e => Ast::Class(CharClass {
                    ranges: vec![(0xa, 0xa), (0xd, 0xd), (0x2028, 0x2029)],
                    negated: true,
                }),
                0x5e => Ast::Assert(Assertion::Start),
                0x24 => Ast::Assert(Assertion::End),
                code => Ast::Char(code),
            },
        })
    }

    fn group(&mut self, depth: u32) -> Parsed<Ast> {
        let Some(deeper) = depth.checked_sub(1) else {
            return self.wrong("nests its groups too deep");
        };
        self.take('(');
        if self.take('?') {
            if matches!(self.peek(), Some('=' | '!')) {
                return self.wrong("has a look-ahead, which patterns here cannot have");
            }
            if self.take_all("<=") || self.take_all("<!") {
                return self.wrong("has a look-behind, which patterns here cannot have");
            }
            if self.take('<') {
                while !matches!(self.peek(), None | Some('>')) {
                    self.at = self.at.saturating_add(1);
                }
                self.take('>');
            } else if !self.take(':') {
                return self.wrong("has flags, which only `(?i)` at the beginning may set");
            }
        }
        let inner = self.either(deeper)?;
        if self.take(')') {
            Ok(inner)
        } else {
            self.wrong("has a `(` without its `)`")
        }
    }

    /// Reads `*`, `+`, `?` or `{}`, and the `?` that would make it lazy, which changes only where a
    /// match ends.
    fn repeated(&mut self, part: Ast) -> Parsed<Ast> {
        let simple = match self.peek() {
            Some('*') => Some((0, None)),
            Some('+') => Some((1, None)),
            Some('?') => Some((0, Some(1))),
            _ => None,
        };
        let times = match simple {
            Some(_) => {
                self.at = self.at.saturating_add(1);
                simple
            }
            None if self.peek() == Some('{') => self.times()?,
            None => None,
        };
        let Some((least, most)) = times else {
            return Ok(part);
        };
        if matches!(part, Ast::Assert(_)) {
            return self.wrong("repeats a position, such as `^` or `\\b`");
        }
        self.take('?');
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return self.wrong("repeats a repetition; put it into a group");
        }
        Ok(Ast::Repeat(Box::new(part), least, most))
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; moves nowhere if none of them is here.
    fn times(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let start = self.at;
        self.take('{');
        let least = self.digits();
        let comma = self.take(',');
        let most = self.digits();
        let (Some(least), true) = (least, self.take('}')) else {
            self.at = start;
            return Ok(None);
        };
        let most = if comma { most } else { Some(least) };
        if most.unwrap_or(least).max(least) > MAX_TIMES {
            return self.wrong("repeats something more than 1,000 times");
        }
        if most.is_some_and(|most| most < least) {
            return self.wrong("has a repetition whose numbers are out of order");
        }
        Ok(Some((least, most)))
    }

    fn digits(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|digit| digit.to_digit(10)) {
            let so_far: u32 = number.unwrap_or_default();
            number = Some(so_far.saturating_mul(10).saturating_add(digit));
            self.at = self.at.saturating_add(1);
        }
        number
    }

    fn escape(&mut self) -> Parsed<Ast> {
        if let Some(class) = self.class_escape() {
            return Ok(Ast::Class(class));
        }
        for (text, assertion) in [
            ("\\b", Assertion::WordBoundary),
            ("\\B", Assertion::NoWordBoundary),
        ] {
            if self.take_all(text) {
                return Ok(Ast::Assert(assertion));
            }
        }
        self.char_escape().map(Ast::Char)
    }

    /// Reads `\d`, `\w`, `\s` or their opposites.
    fn class_escape(&mut self) -> Option<CharClass> {
        if self.peek() != Some('\\') {
            return None;
        }
        let kind = self.codes.get(self.at.saturating_add(1)).copied()?;
        let ranges: &[(u32, u32)] = match char::from_u32(kind | 0x20)? {
            'd' => &[(0x30, 0x39)],
            'w' => &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)],
            's' => &[
                (0x9, 0xd),
                (0x20, 0x20),
                (0xa0, 0xa0),
                (0x1680, 0x1680),
                (0x2000, 0x200a),
                (0x2028, 0x2029),
                (0x202f, 0x202f),
                (0x205f, 0x205f),
                (0x3000, 0x3000),
                (0xfeff, 0xfeff),
            ],
            _ => return None,
        };
        if !matches!(kind, 0x41..=0x5a | 0x61..=0x7a) {
            return None;
        }
        self.at = self.at.saturating_add(2);
        Some(CharClass {
            ranges: ranges.to_vec(),
            negated: kind & 0x20 == 0,
        })
    }

    /// Reads an escape that stands for one character.
    fn char_escape(&mut self) -> Parsed<u32> {
        self.take('\\');
        let Some(code) = self.code() else {
            return self.wrong("ends with a `\\`");
        };
        Ok(match char::from_u32(code).unwrap_or_default() {
            'n' => 0xa,
            'r' => 0xd,
            't' => 0x9,
            'f' => 0xc,
            'v' => 0xb,
            '0' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => 0,
            'x' => self.hex(2)?,
            'u' if self.take('{') => {
                let code = self.hex(0)?;
                if !self.take('}') {
                    return self.wrong("has a `\\u{` without its `}`");
                }
                code
            }
            'u' => self.hex(4)?,
            '0'..='9' | 'k' => {
                return self.wrong("has a back-reference, which patterns here cannot have");
            }
            'p' | 'P' => {
                return self.wrong(
                    "has a property of Unicode (`\\p`), which patterns here cannot have; list the characters in `[]`",
                );
            }
            letter if letter.is_ascii_alphabetic() => {
                return self.wrong("has an unknown escape");
            }
            _ => code,
        })
    }

    /// Reads so many hexadecimal digits, or one to six if `count` is zero.
    fn hex(&mut self, count: usize) -> Parsed<u32> {
        let mut code = 0_u32;
        let mut read = 0_usize;
        let most = if count == 0 { 6 } else { count };
        while read < most {
            let Some(digit) = self.peek().and_then(|digit| digit.to_digit(16)) else {
                break;
            };
            code = (code << 4) | digit;
            read = read.saturating_add(1);
            self.at = self.at.saturating_add(1);
        }
        if read == 0 || (count > 0 && read < count) {
            return self.wrong("has an escape with too few hexadecimal digits");
        }
        Ok(code)
    }

    fn class(&mut self) -> Parsed<CharClass> {
        self.take('[');
        let mut class = CharClass {
            ranges: Vec::new(),
            negated: self.take('^'),
        };
        loop {
            match self.peek() {
                None => return self.wrong("has a `[` without its `]`"),
                Some(']') => break,
                _ => {}
            }
            if let Some(inner) = self.class_escape() {
                class.ranges.extend(inner.all_ranges());
                continue;
            }
            let from = self.class_char()?;
            let mut to = from;
            let next = self.codes.get(self.at.saturating_add(1)).copied();
            if self.peek() == Some('-') && next.is_some_and(|next| next != 0x5d) {
                self.take('-');
                if self.class_escape().is_some() {
                    return self.wrong("has a range that ends with a class");
                }
                to = self.class_char()?;
            }
            if to < from {
                return self.wrong("has a range whose ends are out of order");
            }
            class.ranges.push((from, to));
        }
        self.take(']');
        Ok(class)
    }

    fn class_char(&mut self) -> Parsed<u32> {
        if self.peek() != Some('\\') {
            return Ok(self.code().unwrap_or_default());
        }
        if self.take_all("\\b") {
            return Ok(8);
        }
        self.char_escape()
    }
}

impl CharClass {
    /// Returns the ranges without a negation, given that they are in order.
    fn all_ranges(self) -> Vec<(u32, u32)> {
        if !self.negated {
            return self.ranges;
        }
        let mut others = Vec::new();
        let mut next = 0_u32;
        for (from, to) in self.ranges {
            if let Some(before) = from.checked_sub(1).filter(|before| *before >= next) {
                others.push((next, before));
            }
            next = to.saturating_add(1);
        }
        others.push((next, 0x10_ffff));
        others
    }
}
