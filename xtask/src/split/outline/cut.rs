//! Makes a function of a region, and puts its call in the region's place.

use wasmparser::{BlockType, Operator, ValType};

use super::{
    function::{Function, Op, Step},
    region::{Exit, Region},
    shape::{Shape, Target, walk},
};

/// A function that a region has become: what it takes and leaves, and its code.
pub struct Cut<'a> {
    pub takes: Vec<ValType>,
    pub leaves: Vec<ValType>,
    /// Its locals after its parameters.
    pub locals: Vec<ValType>,
    pub code: Vec<Op<'a>>,
}

/// Has what a call of a function costs besides its arguments and results, in bytes: it is called by the table.
const CALL: usize = 7;

/// Returns how much shorter a function is without a region, in bytes. Each local is named in two bytes.
pub fn saved(region: &Region) -> usize {
    let locals = 2 * (region.read.len() + region.written.len());
    let after = match region.exits.len() {
        0 | 1 => 2,
        2 => 4,
        exits => 4 + 7 * exits,
    };
    region.size.saturating_sub(CALL + locals + after)
}

/// Makes a function of a region.
pub fn cut<'a>(function: &Function<'a>, region: &Region) -> Cut<'a> {
    let mut inside = Inside {
        function,
        region,
        names: vec![None; function.locals.len()],
        types: region.stack.clone(),
        returned: Vec::new(),
        code: Vec::new(),
    };
    inside.write();
    let takes: Vec<ValType> = inside.types.iter().copied().take(inside.taken()).collect();
    let locals = inside.types.iter().copied().skip(takes.len()).collect();
    let leaves = leaves(function, region);
    Cut {
        takes,
        leaves,
        locals,
        code: inside.code,
    }
}

/// Returns what the new function leaves: what its block leaves, the number of the exit where there are several,
/// what the old function returns, and the locals that have changed.
fn leaves(function: &Function<'_>, region: &Region) -> Vec<ValType> {
    let mut leaves = Vec::new();
    if region.exits.contains(&Exit::End) {
        leaves.extend(&region.left);
    }
    if region.exits.len() > 1 {
        leaves.push(ValType::I32);
    }
    if region.exits.contains(&Exit::Return) {
        leaves.extend(&function.results);
    }
    leaves.extend(
        region
            .written
            .iter()
            .filter_map(|local| function.locals.get(*local as usize)),
    );
    leaves
}

/// Writes the new function's code.
struct Inside<'a, 'b> {
    function: &'b Function<'a>,
    region: &'b Region,
    /// The new indices of the locals.
    names: Vec<Option<u32>>,
    /// The types of the new function's locals, its parameters first.
    types: Vec<ValType>,
    /// The locals that hold what the old function returns, where the region has other exits too.
    returned: Vec<u32>,
    code: Vec<Op<'a>>,
}

impl<'a> Inside<'a, '_> {
    fn taken(&self) -> usize {
        self.region.stack.len() + self.region.read.len()
    }

    fn put(&mut self, operator: Operator<'a>) {
        self.code.push(Op::Plain(operator));
    }

    /// Returns the exits that are jumped to. If there is only one out of the function, it is the same here.
    fn jumps(&self) -> Vec<Exit> {
        let exits = &self.region.exits;
        if exits.as_slice() == [Exit::Return] {
            return Vec::new();
        }
        let jumps = exits.iter().copied();
        jumps.filter(|exit| *exit != Exit::End).collect()
    }

    fn write(&mut self) {
        for local in &self.region.read {
            self.name(*local);
        }
        let jumps = self.jumps();
        let has_end = self.region.exits.contains(&Exit::End);
        for _ in &jumps {
            self.put(Operator::Block {
                blockty: BlockType::Empty,
            });
        }
        let ends_by_jump = has_end && self.jumps_to_end();
        if ends_by_jump {
            self.put(Operator::Block {
                blockty: BlockType::Empty,
            });
        }
        for local_index in 0..self.region.stack.len() as u32 {
            self.put(Operator::LocalGet { local_index });
        }
        let returns_too = self.region.exits.len() > 1 && self.region.exits.contains(&Exit::Return);
        if returns_too {
            self.returned = self
                .function
                .results
                .iter()
                .map(|kind| {
                    self.types.push(*kind);
                    self.types.len() as u32 - 1
                })
                .collect();
        }
        self.body(&jumps, ends_by_jump);
        if ends_by_jump {
            self.put(Operator::End);
        }
        // The old function's end: what it returns lies on the stack.
        let is_whole_end = self.region.depth == 0 && !self.region.exits.is_empty();
        if has_end {
            self.leave(Exit::End);
            if !jumps.is_empty() {
                self.put(Operator::Return);
            }
        } else if !is_whole_end && !self.code.last().is_some_and(Op::leaves) {
            // What is before may look to a checker as if it could be left at its end.
            self.put(Operator::Unreachable);
        }
        let count = jumps.len();
        for (at, exit) in jumps.into_iter().enumerate() {
            self.put(Operator::End);
            self.leave(exit);
            if at + 1 < count {
                self.put(Operator::Return);
            }
        }
        self.put(Operator::End);
    }

    fn jumps_to_end(&self) -> bool {
        let shape = Shape::of(&self.function.code);
        let mut found = false;
        walk(
            &self.function.code,
            &shape,
            self.region.places.clone(),
            |_, targets, _| {
                for target in targets {
                    found |= target == Target::Outside(0) && self.exit(0) == Exit::End;
                }
            },
        );
        found
    }

    /// Returns the exit by a label outside.
    fn exit(&self, label: u32) -> Exit {
        if label >= self.region.depth {
            Exit::Return
        } else if label == 0 && !self.region.is_in_loop {
            Exit::End
        } else {
            Exit::Label(label)
        }
    }

    fn body(&mut self, jumps: &[Exit], ends_by_jump: bool) {
        let function = self.function;
        let mut depth = 0_u32;
        for place in self.region.places.clone() {
            let Some(step) = function.code.get(place) else {
                return;
            };
            let label = |label: u32| {
                let Some(outside) = label.checked_sub(depth) else {
                    return label;
                };
                let inner = u32::from(ends_by_jump);
                let exit = self.exit(outside);
                match jumps.iter().position(|jump| *jump == exit) {
                    Some(at) => depth + inner + at as u32,
                    None if exit == Exit::End => depth,
                    // Out of the function, which is the outermost label here too.
                    None => depth + inner + jumps.len() as u32,
                }
            };
            let op = match &step.op {
                Op::Table(labels) => Op::Table(labels.iter().map(|of| label(*of)).collect()),
                Op::Plain(Operator::Br { relative_depth }) => Op::Plain(Operator::Br {
                    relative_depth: label(*relative_depth),
                }),
                Op::Plain(Operator::BrIf { relative_depth }) => Op::Plain(Operator::BrIf {
                    relative_depth: label(*relative_depth),
                }),
                other => other.clone(),
            };
            match op {
                Op::Plain(Operator::Return) if !jumps.is_empty() => {
                    for local_index in self.returned.clone().into_iter().rev() {
                        self.put(Operator::LocalSet { local_index });
                    }
                    let at = jumps.iter().position(|jump| *jump == Exit::Return);
                    let relative_depth =
                        depth + u32::from(ends_by_jump) + at.unwrap_or_default() as u32;
                    self.put(Operator::Br { relative_depth });
                }
                Op::Plain(operator) => {
                    let operator = self.renamed(operator);
                    self.put(operator);
                }
                table => self.code.push(table),
            }
            if step.op.opens() {
                depth += 1;
            } else if matches!(step.op, Op::Plain(Operator::End)) {
                depth -= 1;
            }
        }
    }

    /// Puts on the stack what the function leaves, where the region has been left so.
    fn leave(&mut self, exit: Exit) {
        let region = self.region;
        if exit != Exit::End && region.exits.contains(&Exit::End) {
            for kind in &region.left {
                let local_index = self.unset(*kind);
                self.put(Operator::LocalGet { local_index });
            }
        }
        if region.exits.len() > 1 {
            let number = region.exits.iter().position(|one| *one == exit);
            let value = number.unwrap_or_default() as i32;
            self.put(Operator::I32Const { value });
        }
        for local_index in self.returned.clone() {
            self.put(Operator::LocalGet { local_index });
        }
        for local in &region.written {
            let local_index = self.name(*local);
            self.put(Operator::LocalGet { local_index });
        }
    }

    /// Returns a local of a type, for a value that nobody reads.
    fn unset(&mut self, kind: ValType) -> u32 {
        let taken = self.taken();
        let known = self.types.iter().skip(taken).position(|of| *of == kind);
        match known {
            Some(at) => (taken + at) as u32,
            None => {
                self.types.push(kind);
                self.types.len() as u32 - 1
            }
        }
    }

    /// Returns the new index of a local.
    fn name(&mut self, local: u32) -> u32 {
        let next = self.types.len() as u32;
        let Some(name) = self.names.get_mut(local as usize) else {
            return next;
        };
        if let Some(name) = name {
            return *name;
        }
        *name = Some(next);
        self.types.extend(self.function.locals.get(local as usize));
        next
    }

    fn renamed(&mut self, operator: Operator<'a>) -> Operator<'a> {
        match operator {
            Operator::LocalGet { local_index } => Operator::LocalGet {
                local_index: self.name(local_index),
            },
            Operator::LocalSet { local_index } => Operator::LocalSet {
                local_index: self.name(local_index),
            },
            Operator::LocalTee { local_index } => Operator::LocalTee {
                local_index: self.name(local_index),
            },
            other => other,
        }
    }
}

/// Returns what stands in the place of a region that has become the function with this index.
pub fn call<'a>(function: &mut Function<'a>, region: &Region, index: u32) -> Vec<Step<'a>> {
    let mut code: Vec<Operator<'a>> = Vec::new();
    for local_index in &region.read {
        code.push(Operator::LocalGet {
            local_index: *local_index,
        });
    }
    code.push(Operator::Call {
        function_index: index,
    });
    for local_index in region.written.iter().rev() {
        code.push(Operator::LocalSet {
            local_index: *local_index,
        });
    }
    let has_several = region.exits.len() > 1;
    let mut returned = Vec::new();
    if has_several && region.exits.contains(&Exit::Return) {
        for kind in function.results.clone() {
            returned.push(spare(function, kind, &returned));
        }
        for local_index in returned.iter().rev() {
            code.push(Operator::LocalSet {
                local_index: *local_index,
            });
        }
    }
    match region.exits.as_slice() {
        [] => code.push(Operator::Unreachable),
        [exit] => leave(&mut code, *exit, &[]),
        [first, second] => {
            leave_if(&mut code, *second, &returned);
            leave(&mut code, *first, &returned);
        }
        [first, others @ ..] => {
            let number = spare(function, ValType::I32, &returned);
            code.push(Operator::LocalSet {
                local_index: number,
            });
            for (at, exit) in others.iter().enumerate() {
                code.push(Operator::LocalGet {
                    local_index: number,
                });
                code.push(Operator::I32Const {
                    value: at as i32 + 1,
                });
                code.push(Operator::I32Eq);
                leave_if(&mut code, *exit, &returned);
            }
            leave(&mut code, *first, &returned);
        }
    }
    let step = |operator| Step {
        op: Op::Plain(operator),
        stage: region.stage,
        size: 2,
        stack: None,
    };
    code.into_iter().map(step).collect()
}

fn leave(code: &mut Vec<Operator<'_>>, exit: Exit, returned: &[u32]) {
    match exit {
        Exit::End => {}
        Exit::Label(relative_depth) => code.push(Operator::Br { relative_depth }),
        Exit::Return => {
            for local_index in returned {
                code.push(Operator::LocalGet {
                    local_index: *local_index,
                });
            }
            code.push(Operator::Return);
        }
    }
}

/// Leaves if the number on the stack is not zero.
fn leave_if(code: &mut Vec<Operator<'_>>, exit: Exit, returned: &[u32]) {
    if let Exit::Label(relative_depth) = exit {
        code.push(Operator::BrIf { relative_depth });
        return;
    }
    code.push(Operator::If {
        blockty: BlockType::Empty,
    });
    leave(code, exit, returned);
    code.push(Operator::End);
}

/// Returns a local for a value between two instructions.
fn spare(function: &mut Function<'_>, kind: ValType, taken: &[u32]) -> u32 {
    let known = function.spare.iter().copied().find(|local| {
        !taken.contains(local) && function.locals.get(*local as usize) == Some(&kind)
    });
    known.unwrap_or_else(|| {
        let local = function.locals.len() as u32;
        function.locals.push(kind);
        function.spare.push(local);
        local
    })
}
