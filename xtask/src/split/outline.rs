//! Moves the ends of blocks that a page runs late, or never, out of functions that it runs early.
//!
//! Most functions that run have parts that do not: errors, rare states, what a cycle needs. Such a part
//! becomes a function of its own, and so goes into a later part of the module. It takes the locals that it
//! reads, and returns those that it changes. How it was left (at its end, by a jump, out of the function) is
//! a number that it returns too, where there are several ways. This is what compilers call hot-cold
//! splitting; the source stays as it is.

mod cut;
mod function;
mod liveness;
mod region;
mod shape;
mod write;

use std::cmp::Reverse;

use wasmparser::{FuncType, Parser, ValidPayload, Validator};

use crate::failure::{Because, Failure, Result};

use self::{
    cut::{Cut, call, cut, saved},
    function::Function,
    region::Region,
};
use super::program::Program;

/// How many bytes a region has to save where it was. Its own code weighs more in all, so a lower limit makes the first
/// parts smaller and the sum of all larger; and a function of at most [`super::SMALL`] bytes stays where it is called.
const WORTH: usize = 64;

/// A module whose functions are divided, and the first stage in which each of them runs.
pub struct Outlined {
    pub module: Vec<u8>,
    pub stages: Vec<usize>,
}

/// A function that was a region of another one.
struct New<'a> {
    cut: Cut<'a>,
    /// The one that it was in, among the module's own.
    from: usize,
    stage: usize,
}

/// Divides the functions of a module. `stages` has the first stage in which each block runs, in the order in
/// which [`super::instrument`] numbers them.
pub fn outline(module: &[u8], stages: &[usize]) -> Result<Outlined> {
    divide(module, stages, WORTH)
}

/// As [`outline`], with a limit.
fn divide(module: &[u8], stages: &[usize], worth: usize) -> Result<Outlined> {
    let mut whole = read(module, stages)?;
    let first = whole.imported + whole.functions.len();
    let last = stages.iter().max().copied().unwrap_or_default();
    let mut new: Vec<New<'_>> = Vec::new();
    // The latest regions first: an earlier one may have them in it.
    for stage in (1..=last).rev() {
        for (from, function) in whole.functions.iter_mut().enumerate() {
            if function.stage >= stage {
                continue;
            }
            let is_worth = |region: &Region| saved(region) >= worth;
            let mut regions = region::find(function, &whole.types, stage, &is_worth);
            // From the last one on, so that the places of the others stay right.
            regions.sort_by_key(|region| Reverse(region.places.start));
            for region in regions {
                let index = (first + new.len()) as u32;
                new.push(New {
                    cut: cut(function, &region),
                    from,
                    stage: region.stage,
                });
                let call = call(function, &region, index);
                drop(function.code.splice(region.places, call));
            }
        }
    }
    let stages = whole.functions.iter().map(|function| function.stage);
    let stages = stages.chain(new.iter().map(|new| new.stage)).collect();
    Ok(Outlined {
        module: write::write(module, &whole, &new)?,
        stages,
    })
}

/// What a module has of functions.
struct Whole<'a> {
    types: Vec<FuncType>,
    imported: usize,
    functions: Vec<Function<'a>>,
}

/// Reads a module, and checks it.
fn read<'a>(module: &'a [u8], stages: &[usize]) -> Result<Whole<'a>> {
    let program = Program::read(module).because("reading the module")?;
    let checking = "checking the module";
    let mut checker = Validator::new();
    let mut stages = stages.iter().copied();
    let mut functions = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.because(checking)?;
        if let ValidPayload::Func(checked, body) = checker.payload(&payload).because(checking)? {
            let kind = program.types.get(checked.ty as usize);
            functions.push(Function::read(
                checked,
                &body,
                kind.because(checking)?,
                &mut stages,
            )?);
        }
    }
    if stages.next().is_some() {
        return Err(Failure::new("the profile is of another module"));
    }
    Ok(Whole {
        imported: program.imported(),
        types: program.types,
        functions,
    })
}

#[cfg(test)]
mod tests;
