//! The blocks of a function's code: where they end, and where jumps lead.

use std::ops::Range;

use wasmparser::Operator;

use super::function::{Op, Step};

/// Where the blocks of a function end.
pub struct Shape {
    /// By the place of an opening instruction or an `else`: the place of its `end`.
    ends: Vec<Option<usize>>,
    /// By the place of an `if`: the place of its `else`.
    elses: Vec<Option<usize>>,
}

impl Shape {
    pub fn of(code: &[Step<'_>]) -> Self {
        let mut shape = Self {
            ends: vec![None; code.len()],
            elses: vec![None; code.len()],
        };
        let mut open: Vec<(usize, Option<usize>)> = Vec::new();
        for (place, step) in code.iter().enumerate() {
            match &step.op {
                op if op.opens() => open.push((place, None)),
                Op::Plain(Operator::Else) => {
                    if let Some((opener, or_else)) = open.last_mut() {
                        *or_else = Some(place);
                        set(&mut shape.elses, *opener, place);
                    }
                }
                Op::Plain(Operator::End) => {
                    // The function's own `end` closes nothing that is listed.
                    if let Some((opener, or_else)) = open.pop() {
                        set(&mut shape.ends, opener, place);
                        if let Some(or_else) = or_else {
                            set(&mut shape.ends, or_else, place);
                        }
                    }
                }
                _ => {}
            }
        }
        shape
    }

    /// Returns the place of the `end` of what is opened at a place.
    pub fn end(&self, opener: usize) -> Option<usize> {
        self.ends.get(opener).copied().flatten()
    }

    /// Returns the place of the `else` of an `if`.
    pub fn or_else(&self, opener: usize) -> Option<usize> {
        self.elses.get(opener).copied().flatten()
    }

    /// Returns the places of the instructions and whole blocks that follow each other in a range, as ranges.
    pub fn items(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut items = Vec::new();
        let mut place = range.start;
        while place < range.end {
            let next = self.end(place).map_or(place, |end| end) + 1;
            items.push(place..next);
            place = next;
        }
        items
    }

    /// Returns the insides of what is opened at a place: one range, or two of an `if` with an `else`.
    pub fn insides(&self, opener: usize) -> Vec<Range<usize>> {
        let Some(end) = self.end(opener) else {
            return Vec::new();
        };
        let Some(or_else) = self.or_else(opener) else {
            return std::iter::once(opener + 1..end).collect();
        };
        vec![opener + 1..or_else, or_else + 1..end]
    }
}

fn set(list: &mut [Option<usize>], at: usize, value: usize) {
    if let Some(place) = list.get_mut(at) {
        *place = Some(value);
    }
}

/// Where a jump leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a place in the range.
    Inside(usize),
    /// To a label outside: 0 is the block that the range is in, 1 the one around that.
    Outside(u32),
}

/// Calls `visit` with each place of a range, where its jumps lead, and how many blocks of the range it is in.
pub fn walk(
    code: &[Step<'_>],
    shape: &Shape,
    range: Range<usize>,
    mut visit: impl FnMut(usize, Vec<Target>, u32),
) {
    let mut open: Vec<usize> = Vec::new();
    for place in range {
        let Some(step) = code.get(place) else {
            return;
        };
        let target = |label: u32| match open.len().checked_sub(label as usize + 1) {
            Some(at) => Target::Inside(destination(
                code,
                shape,
                open.get(at).copied().unwrap_or_default(),
            )),
            None => Target::Outside(label - open.len() as u32),
        };
        let targets = step
            .op
            .labels()
            .iter()
            .map(|label| target(*label))
            .collect();
        visit(place, targets, open.len() as u32);
        if step.op.opens() {
            open.push(place);
        } else if matches!(step.op, Op::Plain(Operator::End)) {
            open.pop();
        }
    }
}

/// Returns where a jump to the label of what is opened at a place goes on: a loop begins again.
pub fn destination(code: &[Step<'_>], shape: &Shape, opener: usize) -> usize {
    let is_loop = code
        .get(opener)
        .is_some_and(|step| matches!(step.op, Op::Plain(Operator::Loop { .. })));
    if is_loop {
        opener
    } else {
        shape.end(opener).unwrap_or(opener)
    }
}
