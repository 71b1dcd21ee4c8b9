//! Splits the linked module into parts that a page loads one after another: first what a first
//! paint runs, then what a cycle runs, then the rest.
//!
//! A profile says which part each function belongs to; [`instrument`] makes the module that collects
//! it. Every part but the first imports the memory, the tables, the globals and the functions of the
//! earlier ones. A function of a later part is called through the table. Until that part is there,
//! its place in the table has a stub that asks the page to load the part at once, and calls on. So a
//! profile that misses a function costs time, and never a wrong result. A constant in memory comes with
//! the first part whose functions need it; [`data`] finds that out. Emscripten's SPLIT_MODULE,
//! by Binaryen's wasm-split, works the same way.

mod blocks;
pub mod data;
mod instrument;
mod order;
mod outline;
mod part;
mod plan;
mod program;
mod uses;

use crate::failure::{Because, Result};

pub use instrument::instrument;
pub use outline::{Outlined, outline};

use data::{Objects, Segments};
use plan::Plan;
use program::Program;

/// The parts of a module.
#[derive(Debug)]
pub struct Parts {
    /// The modules, the first one first.
    pub modules: Vec<Vec<u8>>,
    /// The exports of the whole module that belong to a later part: the name, and the part. The
    /// first part has stubs for them.
    pub later_exports: Vec<(String, usize)>,
    /// What the functions of each part are, a line for each: for a person who looks for weight, or for what a page
    /// stood still for.
    pub list: String,
}

/// The names of the functions that have to be in the first part, whatever the profile says: by the
/// exports that name them.
pub struct Pinned<'a>(pub &'a dyn Fn(&str) -> bool);

/// A function of at most so many bytes is where it is called first: a stub weighs about as much, and one that is called
/// for makes a page stand still.
const SMALL: usize = 64;

/// Splits `module`. `profile` has a part for each function that the module defines, in their order.
/// `build` is the name under which the parts import what loads them.
pub fn split(
    module: &[u8],
    profile: &[usize],
    pinned: &Pinned<'_>,
    objects: &Objects,
    build: &str,
) -> Result<Parts> {
    divide(module, profile, pinned, objects, build, SMALL)
}

/// As [`split`], with the size up to which a function is small.
fn divide(
    module: &[u8],
    profile: &[usize],
    pinned: &Pinned<'_>,
    objects: &Objects,
    build: &str,
    small: usize,
) -> Result<Parts> {
    let program = Program::read(module).because("reading the module")?;
    let plan = Plan::new(&program, profile, pinned, build, small)?;
    let segments = Segments::new(&program, plan.profile(), objects)?;
    let modules = (0..plan.parts())
        .map(|part| part::write(&program, &plan, &segments, part))
        .collect::<Result<_>>()?;
    Ok(Parts {
        modules,
        later_exports: plan.later_exports(&program),
        list: list(&program, &plan),
    })
}

/// Returns how many blocks the functions of a module have: the stages of a profile are those of blocks.
pub fn blocks(module: &[u8]) -> Result<usize> {
    let program = Program::read(module).because("reading the module")?;
    let blocks = program.bodies.iter().map(|body| {
        let code = blocks::read(body)?;
        Ok(code.iter().filter(|read| read.begins).count())
    });
    blocks.sum()
}

/// Lists the functions of each part, the largest first: the part, the size, the index in its file and the name. Stubs
/// have no size of their own.
fn list(program: &Program<'_>, plan: &Plan) -> String {
    let first = program.imported() as u32;
    let named = |part: usize| {
        let indices = part::indices(program, plan, part);
        indices.into_iter().map(move |(function, index)| {
            let name = program.names.get(&function).copied().unwrap_or_default();
            let body = program.bodies.get((function - first) as usize);
            let size = body.filter(|_| plan.part(function) == part);
            let size = size.map_or(0, |body| body.range().len());
            (part, std::cmp::Reverse(size), index, name)
        })
    };
    let mut lines: Vec<_> = (0..plan.parts()).flat_map(named).collect();
    lines.sort_unstable();
    let line = |(part, size, index, name): (usize, std::cmp::Reverse<usize>, u32, &str)| {
        format!("{part} {:>6} {index:>5} {name}\n", size.0)
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
