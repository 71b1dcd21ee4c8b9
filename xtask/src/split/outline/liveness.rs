//! Which locals hold, before each instruction, what is still read.

use std::ops::Range;

use wasmparser::Operator;

use super::{
    function::{Op, Step},
    shape::{Shape, Target, walk},
};

/// A set of locals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locals(Vec<u64>);

impl Locals {
    pub fn insert(&mut self, local: u32) {
        let (word, bit) = split(local);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub fn remove(&mut self, local: u32) {
        let (word, bit) = split(local);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    pub fn contains(&self, local: u32) -> bool {
        let (word, bit) = split(local);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds those of another set. Returns true if one was not there.
    pub fn add(&mut self, other: &Self) -> bool {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let mut grew = false;
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            grew |= other & !*own != 0;
            *own |= other;
        }
        grew
    }

    pub fn only(&self, of: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&of.0)
                .map(|(own, other)| own & other)
                .collect(),
        )
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let bits = self.0.len() as u32 * u64::BITS;
        (0..bits).filter(|local| self.contains(*local))
    }
}

fn split(local: u32) -> (usize, u64) {
    ((local / u64::BITS) as usize, 1 << (local % u64::BITS))
}

/// Returns the locals that are read later, before each place of a range and at its end. `outside` says which are
/// read after a jump to a label outside; `after` which are when the range has been left at its end.
pub fn live(
    code: &[Step<'_>],
    shape: &Shape,
    range: Range<usize>,
    after: &Locals,
    outside: &dyn Fn(u32) -> Locals,
) -> Vec<Locals> {
    let first = range.start;
    let mut targets = vec![Vec::new(); range.len()];
    walk(code, shape, range.clone(), |place, of, _| {
        if let Some(list) = targets.get_mut(place - first) {
            *list = of;
        }
    });
    let mut live = vec![Locals::default(); range.len() + 1];
    if let Some(last) = live.last_mut() {
        *last = after.clone();
    }
    // Once backwards, and again for as long as a loop brings something back.
    loop {
        let mut changed = false;
        for place in range.clone().rev() {
            let (Some(step), Some(jumps)) = (code.get(place), targets.get(place - first)) else {
                continue;
            };
            let at = |place: usize| live.get(place - first).cloned().unwrap_or_default();
            let mut now = Locals::default();
            for next in following(step, shape, place) {
                now.add(&at(next));
            }
            for jump in jumps {
                now.add(&match jump {
                    Target::Inside(place) => at(*place),
                    Target::Outside(label) => outside(*label),
                });
            }
            if let Some((local, reads, _)) = step.op.local() {
                if reads {
                    now.insert(local);
                } else {
                    now.remove(local);
                }
            }
            if let Some(known) = live.get_mut(place - first) {
                changed |= known.add(&now);
            }
        }
        if !changed {
            return live;
        }
    }
}

/// Returns the places that may run after this one without a jump to a label.
fn following(step: &Step<'_>, shape: &Shape, place: usize) -> Vec<usize> {
    let next = place + 1;
    match &step.op {
        op if op.leaves() => Vec::new(),
        Op::Plain(Operator::If { .. }) => {
            let other = match shape.or_else(place) {
                Some(or_else) => or_else + 1,
                None => shape.end(place).unwrap_or(place),
            };
            vec![next, other]
        }
        // Reached from the end of the other arm.
        Op::Plain(Operator::Else) => vec![shape.end(place).unwrap_or(place)],
        _ => vec![next],
    }
}
