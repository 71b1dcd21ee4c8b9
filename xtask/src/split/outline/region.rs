//! A region: the last instructions of a block, which a page runs later than what is before them.

use std::{collections::BTreeSet, ops::Range};

use wasmparser::{FuncType, Operator, ValType};

use super::{
    function::{Function, Op, block_type},
    liveness::{self, Locals},
    shape::{Shape, Target, destination, walk},
};

/// How control leaves a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// At its end, which is the end of its block.
    End,
    /// To a label of a block around it.
    Label(u32),
    /// Out of the function.
    Return,
}

/// A region of a function.
pub struct Region {
    pub places: Range<usize>,
    /// The first stage in which a part of it runs.
    pub stage: usize,
    pub size: usize,
    /// What it finds on the stack, above the beginning of its block.
    pub stack: Vec<ValType>,
    /// What it leaves there at its end: what its block leaves.
    pub left: Vec<ValType>,
    pub exits: Vec<Exit>,
    /// The locals that it needs, and those that it has changed for what follows: in the order of their types.
    pub read: Vec<u32>,
    pub written: Vec<u32>,
    /// The number of blocks that it is in, without the function's own.
    pub depth: u32,
    pub is_in_loop: bool,
}

/// Finds the regions of a function that do not run before `stage`, the largest ones only.
pub fn find(
    function: &Function<'_>,
    types: &[FuncType],
    stage: usize,
    accepts: &dyn Fn(&Region) -> bool,
) -> Vec<Region> {
    let code = &function.code;
    let shape = Shape::of(code);
    let Some(last) = code.len().checked_sub(1) else {
        return Vec::new();
    };
    let live = liveness::live(code, &shape, 0..last, &Locals::default(), &|_| {
        Locals::default()
    });
    let mut finder = Finder {
        function,
        types,
        stage,
        accepts,
        shape: &shape,
        live: &live,
        around: Vec::new(),
        found: Vec::new(),
    };
    finder.search(0..last);
    finder.found
}

struct Finder<'a> {
    function: &'a Function<'a>,
    types: &'a [FuncType],
    stage: usize,
    accepts: &'a dyn Fn(&Region) -> bool,
    shape: &'a Shape,
    /// The locals that are read after each place.
    live: &'a [Locals],
    /// The opening instructions around, the outermost first.
    around: Vec<usize>,
    found: Vec<Region>,
}

impl Finder<'_> {
    /// Looks at the inside of a block.
    fn search(&mut self, inside: Range<usize>) {
        let mut items = self.shape.items(inside.clone());
        let late = items
            .iter()
            .rev()
            .take_while(|item| self.first_stage(item) >= self.stage)
            .count();
        let first = items.len() - late;
        if let Some(item) = items.get(first)
            && let Some(region) = self.region(item.start..inside.end)
            && (self.accepts)(&region)
        {
            self.found.push(region);
            items.truncate(first);
        }
        for item in items {
            self.around.push(item.start);
            for inside in self.shape.insides(item.start) {
                self.search(inside);
            }
            self.around.pop();
        }
    }

    fn first_stage(&self, places: &Range<usize>) -> usize {
        let code = self.function.code.get(places.clone()).unwrap_or_default();
        code.iter().map(|step| step.stage).min().unwrap_or_default()
    }

    fn region(&self, places: Range<usize>) -> Option<Region> {
        let code = self.function.code.get(places.clone())?;
        let stack = code.first()?.stack.clone()?;
        let depth = self.around.len() as u32;
        let (is_in_loop, left) = match self.around.last() {
            None => (false, self.function.results.clone()),
            Some(opener) => self
                .block(*opener)
                .map(|(is_loop, _, left)| (is_loop, left))?,
        };
        let exits = self.exits(&places)?;
        let changed = self.changed(code, &exits, places.end);
        let after = |exit: Exit| self.after(exit, places.end).only(&changed);
        let needed = liveness::live(
            &self.function.code,
            self.shape,
            places.clone(),
            &after(Exit::End),
            &|label| after(self.leaving(label)),
        );
        Some(Region {
            stage: self.first_stage(&places),
            size: code.iter().map(|step| step.size).sum(),
            stack,
            left,
            exits,
            read: self.by_type(needed.first()?),
            written: self.by_type(&changed),
            depth,
            is_in_loop,
            places,
        })
    }

    /// Returns whether a block is a loop, the number of values that a jump to it carries, and what it leaves.
    fn block(&self, opener: usize) -> Option<(bool, usize, Vec<ValType>)> {
        let Op::Plain(operator) = &self.function.code.get(opener)?.op else {
            return None;
        };
        match operator {
            Operator::Loop { blockty } => {
                let (taken, left) = block_type(self.types, *blockty)?;
                Some((true, taken, left))
            }
            Operator::Block { blockty } | Operator::If { blockty } => {
                let (_, left) = block_type(self.types, *blockty)?;
                Some((false, left.len(), left))
            }
            _ => None,
        }
    }

    /// Returns the exits of a region. None for one whose jumps carry values.
    fn exits(&self, places: &Range<usize>) -> Option<Vec<Exit>> {
        let mut exits = BTreeSet::new();
        let mut carries = false;
        walk(
            &self.function.code,
            self.shape,
            places.clone(),
            |place, targets, _| {
                for target in targets {
                    if let Target::Outside(label) = target {
                        let exit = self.leaving(label);
                        carries |= self.carried(exit).is_none_or(|values| values > 0);
                        exits.insert(exit);
                    }
                }
                let op = self.function.code.get(place).map(|step| &step.op);
                if matches!(op, Some(Op::Plain(Operator::Return))) {
                    exits.insert(Exit::Return);
                }
            },
        );
        if self.is_left_at_end(places.clone()) {
            let end = if self.around.is_empty() {
                Exit::Return
            } else {
                Exit::End
            };
            exits.insert(end);
        }
        // Alone, a jump out of the function is the same outside.
        let alone = exits.len() == 1 && exits.contains(&Exit::Return);
        (!carries || alone).then(|| exits.into_iter().collect())
    }

    /// Returns the exit by a label. A block that is no loop is left at its end.
    fn leaving(&self, label: u32) -> Exit {
        match self.around.len().checked_sub(label as usize + 1) {
            None => Exit::Return,
            Some(_) if label > 0 => Exit::Label(label),
            Some(at) => {
                let block = self.around.get(at).and_then(|opener| self.block(*opener));
                match block {
                    Some((false, 0, _)) => Exit::End,
                    _ => Exit::Label(label),
                }
            }
        }
    }

    /// Returns the number of values that a jump carries.
    fn carried(&self, exit: Exit) -> Option<usize> {
        match exit {
            Exit::End => Some(0),
            Exit::Return => Some(self.function.results.len()),
            Exit::Label(label) => {
                let at = self.around.len().checked_sub(label as usize + 1)?;
                let opener = self.around.get(at)?;
                self.block(*opener).map(|(_, carried, _)| carried)
            }
        }
    }

    /// Returns false if the end of a range cannot be reached.
    fn is_left_at_end(&self, places: Range<usize>) -> bool {
        let Some(item) = self.shape.items(places).pop() else {
            return true;
        };
        let Some(step) = self.function.code.get(item.start) else {
            return true;
        };
        if !step.op.opens() {
            return !step.op.leaves();
        }
        let Op::Plain(operator) = &step.op else {
            return true;
        };
        let insides = self.shape.insides(item.start);
        let is_loop = matches!(operator, Operator::Loop { .. });
        let is_half = matches!(operator, Operator::If { .. }) && insides.len() == 1;
        is_half
            || (!is_loop && self.is_jumped_to(&item))
            || insides
                .into_iter()
                .any(|inside| self.is_left_at_end(inside))
    }

    /// Returns true if a jump in a block leads to its end.
    fn is_jumped_to(&self, item: &Range<usize>) -> bool {
        let end = destination(&self.function.code, self.shape, item.start);
        let mut found = false;
        walk(
            &self.function.code,
            self.shape,
            item.clone(),
            |_, targets, _| {
                found |= targets.contains(&Target::Inside(end));
            },
        );
        found
    }

    /// Returns the locals that are read after a region has been left so.
    fn after(&self, exit: Exit, end: usize) -> Locals {
        let place = match exit {
            Exit::Return => return Locals::default(),
            Exit::End => end,
            Exit::Label(label) => {
                let at = self.around.len().checked_sub(label as usize + 1);
                let opener = at.and_then(|at| self.around.get(at));
                opener.map_or(end, |opener| {
                    destination(&self.function.code, self.shape, *opener)
                })
            }
        };
        self.live.get(place).cloned().unwrap_or_default()
    }

    /// Returns the locals that a region writes and that are read after it.
    fn changed(&self, code: &[super::function::Step<'_>], exits: &[Exit], end: usize) -> Locals {
        let mut after = Locals::default();
        for exit in exits {
            after.add(&self.after(*exit, end));
        }
        let mut changed = Locals::default();
        for (local, _, writes) in code.iter().filter_map(|step| step.op.local()) {
            if writes && after.contains(local) {
                changed.insert(local);
            }
        }
        changed
    }

    /// By type, so that fewer function types are needed.
    fn by_type(&self, locals: &Locals) -> Vec<u32> {
        let mut locals: Vec<u32> = locals.iter().collect();
        locals.sort_by_key(|local| rank(self.function.locals.get(*local as usize)));
        locals
    }
}

fn rank(kind: Option<&ValType>) -> u8 {
    match kind {
        Some(ValType::I32) => 0,
        Some(ValType::I64) => 1,
        Some(ValType::F32) => 2,
        Some(ValType::F64) => 3,
        _ => 4,
    }
}
