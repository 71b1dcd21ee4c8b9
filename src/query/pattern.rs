//! Patterns for the filter `matches`: regular expressions whose time is the length of the text times
//! that of the pattern, whatever both are.
//!
//! The browser's own `RegExp` tries one way after another: `(a+)+$` takes longer than the page lives
//! on a text of forty characters, and nothing can stop it. The crate `regex-lite` is linear, but is
//! many times the code of this; the commit that added the room has the figures. What a pattern
//! cannot have without trying ways, or without the tables of Unicode, is refused by name.

use crate::query::pattern::parse::Ast;
use crate::query::text::{fold, unfold};
use crate::query::walk::codes;

mod parse;

/// The most instructions of a pattern.
const MAX_PROGRAM: usize = 2_000;

/// Ranges of code points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct CharClass {
    ranges: Vec<(u32, u32)>,
    negated: bool,
}

impl CharClass {
    fn has(&self, code: u32) -> bool {
        let among = |(from, to): &(u32, u32)| (*from..=*to).contains(&code);
        self.ranges.iter().any(among)
    }

    fn matches(&self, code: u32, folds: bool) -> bool {
        let found = if folds {
            let folded = fold(code);
            self.has(code) || self.has(folded) || unfold(folded).any(|other| self.has(other))
        } else {
            self.has(code)
        };
        found != self.negated
    }
}

/// A condition on a position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assertion {
    Start,
    End,
    WordBoundary,
    NoWordBoundary,
}

impl Assertion {
    fn holds(self, (before, after): (Option<u32>, Option<u32>)) -> bool {
        let boundary = || before.is_some_and(is_word) != after.is_some_and(is_word);
        match self {
            Self::Start => before.is_none(),
            Self::End => after.is_none(),
            Self::WordBoundary => boundary(),
            Self::NoWordBoundary => !boundary(),
        }
    }
}

/// Returns true for what `\w` matches.
fn is_word(code: u32) -> bool {
    matches!(
        u8::try_from(code),
        Ok(b'0'..=b'9' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
    )
}

#[derive(Debug)]
enum Instruction {
    Char(u32),
    Class(CharClass),
    Assert(Assertion),
    /// Goes on at both.
    Fork(usize, usize),
    Jump(usize),
    Found,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    program: Vec<Instruction>,
    folds: bool,
}

impl Pattern {
    /// Compiles a pattern, given its code points.
    ///
    /// # Errors
    /// Fails with what is wrong, as the end of a sentence about the pattern.
    pub(super) fn new(text: &[u8]) -> Result<Self, String> {
        let codes: Vec<u32> = codes(text).collect();
        let (ast, folds) = parse::parse(&codes)?;
        let mut pattern = Self {
            program: Vec::new(),
            folds,
        };
        pattern.emit(&ast)?;
        pattern.push(Instruction::Found)?;
        Ok(pattern)
    }

    fn push(&mut self, instruction: Instruction) -> Result<usize, String> {
        if self.program.len() >= MAX_PROGRAM {
            return Err("is too large: write it with fewer or smaller repetitions".to_owned());
        }
        self.program.push(instruction);
        Ok(self.program.len().saturating_sub(1))
    }

    fn set(&mut self, at: usize, instruction: Instruction) {
        if let Some(place) = self.program.get_mut(at) {
            *place = instruction;
        }
    }

    fn emit(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Empty => {}
            Ast::Char(code) => {
                let code = if self.folds { fold(*code) } else { *code };
                self.push(Instruction::Char(code))?;
            }
            Ast::Class(class) => drop(self.push(Instruction::Class(class.clone()))?),
            Ast::Assert(assertion) => drop(self.push(Instruction::Assert(*assertion))?),
            Ast::Sequence(parts) => {
                for part in parts {
                    self.emit(part)?;
                }
            }
            Ast::Either(one, other) => {
                let fork = self.push(Instruction::Found)?;
                self.emit(one)?;
                let jump = self.push(Instruction::Found)?;
                let second = self.program.len();
                self.emit(other)?;
                let end = self.program.len();
                self.set(fork, Instruction::Fork(fork.saturating_add(1), second));
                self.set(jump, Instruction::Jump(end));
            }
            Ast::Repeat(inner, least, most) => {
                for _ in 0..*least {
                    let start = self.program.len();
                    self.emit(inner)?;
                    if self.program.len() == start {
                        // Nothing, however often it stands there.
                        return Ok(());
                    }
                }
                let Some(most) = most else {
                    let fork = self.push(Instruction::Found)?;
                    self.emit(inner)?;
                    self.push(Instruction::Jump(fork))?;
                    let end = self.program.len();
                    self.set(fork, Instruction::Fork(fork.saturating_add(1), end));
                    return Ok(());
                };
                let mut forks = Vec::new();
                for _ in *least..*most {
                    forks.push(self.push(Instruction::Found)?);
                    self.emit(inner)?;
                }
                let end = self.program.len();
                for fork in forks {
                    self.set(fork, Instruction::Fork(fork.saturating_add(1), end));
                }
            }
        }
        Ok(())
    }

    /// Returns true if any part of a text matches.
    pub(super) fn is_in(&self, text: &[u8], threads: &mut Threads) -> bool {
        threads.marks.clear();
        threads.marks.resize(self.program.len(), 0);
        threads.alive.clear();
        let mut codes = codes(text).peekable();
        let mut position = 1_usize;
        // A match may begin anywhere, so one more thread starts at every position.
        if self.follow(0, position, (None, codes.peek().copied()), threads) {
            return true;
        }
        while let Some(code) = codes.next() {
            let around = (Some(code), codes.peek().copied());
            let folded = if self.folds { fold(code) } else { code };
            position = position.saturating_add(1);
            std::mem::swap(&mut threads.alive, &mut threads.before);
            threads.alive.clear();
            let mut index = 0_usize;
            while let Some(at) = threads.before.get(index).copied() {
                index = index.saturating_add(1);
                let moves = match self.program.get(at) {
                    Some(Instruction::Char(expected)) => *expected == folded,
                    Some(Instruction::Class(class)) => class.matches(code, self.folds),
                    _ => false,
                };
                if moves && self.follow(at.saturating_add(1), position, around, threads) {
                    return true;
                }
            }
            if self.follow(0, position, around, threads) {
                return true;
            }
        }
        false
    }

    /// Adds a thread at an instruction, or at those that it leads to without a character. Returns
    /// true if one of them is the end of the pattern.
    fn follow(
        &self,
        start: usize,
        position: usize,
        around: (Option<u32>, Option<u32>),
        threads: &mut Threads,
    ) -> bool {
        threads.stack.clear();
        threads.stack.push(start);
        while let Some(at) = threads.stack.pop() {
            match threads.marks.get_mut(at) {
                Some(mark) if *mark != position => *mark = position,
                _ => continue,
            }
            match self.program.get(at) {
                Some(Instruction::Found) => return true,
                Some(Instruction::Jump(to)) => threads.stack.push(*to),
                Some(Instruction::Fork(one, other)) => threads.stack.extend([*one, *other]),
                Some(Instruction::Assert(assertion)) => {
                    if assertion.holds(around) {
                        threads.stack.push(at.saturating_add(1));
                    }
                }
                _ => threads.alive.push(at),
            }
        }
        false
    }
}

/// The instructions at which a match may go on. Used again for the next text.
#[derive(Debug, Default)]
pub(super) struct Threads {
    alive: Vec<usize>,
    before: Vec<usize>,
    stack: Vec<usize>,
    /// The position at which each instruction was last added.
    marks: Vec<usize>,
}
