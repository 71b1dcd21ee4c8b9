//! What goes into which part, and what the parts need of each other.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{ConstExpr, Element, ElementItems, ElementKind, ExternalKind, Operator};

use crate::failure::{Because, Failure, Result};

use super::{Pinned, order, program::Program, uses::Uses};

/// The import by which a stub asks for its part. It takes the part's number, and returns when that part
/// and all before it are there. Its module has the build's name, so that parts of different builds
/// do not link.
pub const LOADER: &str = "load";

/// The table of all functions that are called by their place in it.
pub const FUNCTIONS: u32 = 0;

/// Where everything goes. Functions are named by their index in the whole module.
pub struct Plan {
    /// The name of the build.
    pub build: String,
    imported: usize,
    part_of: Vec<usize>,
    /// The functions that each part defines, in their order there.
    own: Vec<Vec<u32>>,
    parts: usize,
    uses: Vec<Uses>,
    /// The functions that an earlier part may call, by their first place in the table.
    slots: BTreeMap<u32, u32>,
    /// The earliest part that may call each of these: it has the stub.
    callers: BTreeMap<u32, usize>,
    /// The places of functions in the table of the whole module.
    places: BTreeMap<u32, u32>,
    /// The number of places in the table of the first part.
    pub table_size: u64,
}

impl Plan {
    pub fn new(
        program: &Program<'_>,
        profile: &[usize],
        pinned: &Pinned<'_>,
        build: &str,
        small: usize,
    ) -> Result<Self> {
        let imported = program.imported();
        if profile.len() != program.bodies.len() {
            return Err(Failure::new("the profile is of another module"));
        }
        let mut plan = Self {
            build: build.to_owned(),
            imported,
            part_of: profile.to_vec(),
            own: Vec::new(),
            parts: 0,
            uses: Vec::new(),
            slots: BTreeMap::new(),
            callers: BTreeMap::new(),
            places: places(program)?,
            table_size: table_size(program)?,
        };
        plan.pin(program, pinned);
        plan.keep_small(program, small)?;
        plan.parts = plan.part_of.iter().max().map_or(1, |last| last + 1);
        plan.own = (0..plan.parts)
            .map(|part| plan.ordered(program, part))
            .collect();
        plan.uses.resize_with(plan.parts, Uses::default);
        // The first part has the whole table and all exports, those of JavaScript's functions too.
        let imports = outside(program).chain(plan.places.values().copied());
        let imports = imports.filter(|function| (*function as usize) < imported);
        if let Some(first) = plan.uses.first_mut() {
            first
                .functions
                .extend(imports.map(|function| (function, 0)));
        }
        for (body, part) in program.bodies.iter().zip(&plan.part_of) {
            let uses = plan.uses.get_mut(*part).because("a part")?;
            uses.note(body)?;
        }
        plan.find_slots(program);
        Ok(plan)
    }

    fn pin(&mut self, program: &Program<'_>, Pinned(is_pinned): &Pinned<'_>) {
        let exported = program
            .exports
            .iter()
            .filter(|export| is_function(export.kind) && is_pinned(export.name))
            .map(|export| export.index);
        for index in exported.chain(program.start) {
            let own = (index as usize).checked_sub(self.imported);
            if let Some(part) = own.and_then(|own| self.part_of.get_mut(own)) {
                *part = 0;
            }
        }
    }

    /// Puts each function of at most so many bytes into the part of its first caller.
    fn keep_small(&mut self, program: &Program<'_>, small: usize) -> Result<()> {
        let mut earliest: BTreeMap<u32, usize> = BTreeMap::new();
        let mut order: Vec<usize> = (0..program.bodies.len()).collect();
        order.sort_by_key(|own| self.part_of.get(*own).copied());
        for own in order {
            let (Some(body), Some(part)) = (program.bodies.get(own), self.part_of.get(own)) else {
                continue;
            };
            let mut uses = Uses::default();
            uses.note(body)?;
            for function in uses.functions.into_keys() {
                earliest.entry(function).or_insert(*part);
            }
        }
        for (function, part) in earliest {
            let own = (function as usize).checked_sub(self.imported);
            let Some(own) = own else { continue };
            let size = program.bodies.get(own).map(|body| body.range().len());
            if size.is_some_and(|size| size <= small)
                && let Some(known) = self.part_of.get_mut(own)
            {
                *known = part.min(*known);
            }
        }
        Ok(())
    }

    /// Finds the functions that earlier parts may call, and gives each a place in the table.
    fn find_slots(&mut self, program: &Program<'_>) {
        // What the table or an export names may be called from the first part on.
        let mut callers: Vec<(u32, usize)> = self
            .places
            .values()
            .copied()
            .chain(outside(program))
            .map(|function| (function, 0))
            .collect();
        for (part, uses) in self.uses.iter().enumerate() {
            callers.extend(uses.functions.keys().map(|function| (*function, part)));
        }
        for (function, caller) in callers {
            if caller < self.part(function) {
                let earliest = self.callers.entry(function).or_insert(caller);
                *earliest = caller.min(*earliest);
            }
        }
        for (place, function) in &self.places {
            if self.callers.contains_key(function) {
                self.slots.entry(*function).or_insert(*place);
            }
        }
        // Side by side if they are of one part: a part fills its places in one run.
        // By their types within that: stubs that differ by their places alone compress best.
        let mut others: Vec<_> = self
            .callers
            .iter()
            .filter(|(function, _)| !self.slots.contains_key(function))
            .map(|(function, caller)| {
                let kind = program.function_types.get(*function as usize);
                (self.part(*function), *caller, kind, *function)
            })
            .collect();
        others.sort_unstable();
        for (.., function) in others {
            self.slots.insert(function, self.table_size as u32);
            self.table_size += 1;
        }
    }

    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Returns the part of each function that the module defines.
    pub fn profile(&self) -> &[usize] {
        &self.part_of
    }

    /// Returns the part of a function. What JavaScript gives is there from the beginning.
    pub fn part(&self, function: u32) -> usize {
        let own = (function as usize).checked_sub(self.imported);
        own.and_then(|own| self.part_of.get(own))
            .copied()
            .unwrap_or(0)
    }

    /// Returns the functions that a part defines, without stubs.
    pub fn own(&self, part: usize) -> impl Iterator<Item = u32> {
        self.own.get(part).into_iter().flatten().copied()
    }

    fn ordered(&self, program: &Program<'_>, part: usize) -> Vec<u32> {
        let first = self.imported as u32;
        let of_part = (first..).zip(&program.bodies).zip(&self.part_of);
        let (own, codes): (Vec<u32>, Vec<&[u8]>) = of_part
            .filter(|(_, of)| **of == part)
            .map(|((function, body), _)| (function, body.as_bytes()))
            .unzip();
        let order = order::by_likeness(&codes);
        order
            .into_iter()
            .filter_map(|at| own.get(at).copied())
            .collect()
    }

    /// Returns the functions that a part has stubs of, in the order of their places within each type.
    pub fn stubs(&self, program: &Program<'_>, part: usize) -> Vec<u32> {
        let of_part = self.callers.iter().filter(|(_, caller)| **caller == part);
        let mut stubs: Vec<u32> = of_part.map(|(function, _)| *function).collect();
        stubs.sort_unstable_by_key(|function| {
            let kind = program.function_types.get(*function as usize);
            (self.part(*function), kind, self.slot(*function))
        });
        stubs
    }

    /// Returns the functions that a part takes from JavaScript and from earlier parts, in their order there. Those that it
    /// names most often come first: the numbers of the first 128 functions are a byte shorter.
    pub fn taken(&self, program: &Program<'_>, part: usize) -> Vec<Taken> {
        let given = self.given(part).map(|function| Taken {
            function,
            from: None,
        });
        let lent = (0..part).flat_map(|lender| {
            let lent = self.lent(program, lender).into_iter().enumerate();
            lent.map(move |(name, function)| Taken {
                function,
                from: Some((lender, name)),
            })
        });
        let mut taken: Vec<Taken> = given
            .chain(lent.filter(|taken| self.count(part, taken.function) > 0))
            .collect();
        let mut counts: Vec<usize> = taken
            .iter()
            .map(|taken| self.count(part, taken.function))
            .collect();
        counts.sort_unstable();
        let short = counts.len().checked_sub(SHORT);
        let least = short.and_then(|at| counts.get(at).copied());
        taken.sort_by_key(|taken| {
            least.is_some_and(|least| self.count(part, taken.function) <= least)
        });
        taken
    }

    /// Returns the functions of JavaScript that a part calls.
    fn given(&self, part: usize) -> impl Iterator<Item = u32> {
        let uses = self.uses.get(part);
        uses.into_iter()
            .flat_map(|uses| uses.functions.keys())
            .copied()
            .filter(|function| self.is_imported(*function))
    }

    /// Returns how many places in a part name a function.
    fn count(&self, part: usize, function: u32) -> usize {
        let uses = self.uses.get(part);
        uses.and_then(|uses| uses.functions.get(&function))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the functions that later parts take from a part. Their names are their places here: those of one type
    /// side by side, and then as they stand in the part.
    pub fn lent(&self, program: &Program<'_>, part: usize) -> Vec<u32> {
        let later = self.uses.iter().skip(part + 1);
        let named: BTreeSet<u32> = later
            .flat_map(|uses| uses.functions.keys())
            .copied()
            .collect();
        let mut lent: Vec<u32> = self
            .own(part)
            .filter(|function| named.contains(function))
            .collect();
        lent.sort_by_key(|function| program.function_types.get(*function as usize));
        lent
    }

    fn is_imported(&self, function: u32) -> bool {
        (function as usize) < self.imported
    }

    /// Returns the globals that a part's code names; for the first part, those of later ones.
    pub fn globals(&self, part: usize) -> BTreeSet<u32> {
        self.shared(part, |uses| &uses.globals)
    }

    /// As [`Self::globals`], of tables. Every part fills the table of functions.
    pub fn tables(&self, part: usize) -> BTreeSet<u32> {
        let mut tables = self.shared(part, |uses| &uses.tables);
        tables.insert(FUNCTIONS);
        tables
    }

    fn shared(&self, part: usize, of: impl Fn(&Uses) -> &BTreeSet<u32>) -> BTreeSet<u32> {
        let parts = if part == 0 {
            1..self.parts
        } else {
            part..part + 1
        };
        let uses = self.uses.get(parts).unwrap_or_default();
        uses.iter()
            .flat_map(|uses| of(uses).iter().copied())
            .collect()
    }

    /// Returns the place of a function that an earlier part may call.
    pub fn slot(&self, function: u32) -> Option<u32> {
        self.slots.get(&function).copied()
    }

    /// Returns what a part writes into the table: places, and the function or its stub.
    pub fn filled(&self, part: usize) -> BTreeMap<u32, u32> {
        let of_table = self
            .places
            .iter()
            .map(|(place, function)| (*place, *function));
        let of_slots = self
            .slots
            .iter()
            .map(|(function, place)| (*place, *function));
        of_table
            .chain(of_slots)
            .filter(|(_, function)| {
                self.part(*function) == part || self.callers.get(function) == Some(&part)
            })
            .collect()
    }

    /// Returns the exports of the whole module that belong to a later part.
    pub fn later_exports(&self, program: &Program<'_>) -> Vec<(String, usize)> {
        program
            .exports
            .iter()
            .filter(|export| is_function(export.kind))
            .map(|export| (export.name.to_owned(), self.part(export.index)))
            .filter(|(_, part)| *part > 0)
            .collect()
    }
}

/// A function that a part takes.
pub struct Taken {
    pub function: u32,
    /// The part that has it, and its name there; none if it is JavaScript's.
    pub from: Option<(usize, usize)>,
}

/// How many of the functions that a part takes come first, by how often it names them. With more of them, the others'
/// names would be in disorder, which weighs as much.
const SHORT: usize = 60;

/// Returns the functions that the module exports.
fn outside(program: &Program<'_>) -> impl Iterator<Item = u32> {
    let functions = program.exports.iter();
    functions
        .filter(|export| is_function(export.kind))
        .map(|export| export.index)
}

pub fn is_function(kind: ExternalKind) -> bool {
    kind == ExternalKind::Func
}

fn table_size(program: &Program<'_>) -> Result<u64> {
    let table = program.tables.first().because("the module has no table")?;
    match table.ty.maximum {
        Some(maximum) if maximum == table.ty.initial => Ok(maximum),
        _ => Err(Failure::new("the module's table of functions may grow")),
    }
}

/// Returns the functions in the table by their places.
fn places(program: &Program<'_>) -> Result<BTreeMap<u32, u32>> {
    let mut places = BTreeMap::new();
    for element in &program.elements {
        let (first, functions) = functions_of(element)?;
        places.extend((first..).zip(functions));
    }
    Ok(places)
}

fn functions_of(element: &Element<'_>) -> Result<(u32, Vec<u32>)> {
    let odd = || Failure::new("a list of functions of a kind that is not known here");
    let ElementKind::Active {
        table_index: None | Some(FUNCTIONS),
        offset_expr,
    } = &element.kind
    else {
        return Err(odd());
    };
    let ElementItems::Functions(functions) = element.items.clone() else {
        return Err(odd());
    };
    let functions: wasmparser::Result<Vec<u32>> = functions.into_iter().collect();
    let first = constant(offset_expr).ok_or_else(odd)?;
    Ok((first, functions.because("reading the module's table")?))
}

fn constant(expression: &ConstExpr<'_>) -> Option<u32> {
    match expression.get_operators_reader().read().ok()? {
        Operator::I32Const { value } => u32::try_from(value).ok(),
        _ => None,
    }
}
