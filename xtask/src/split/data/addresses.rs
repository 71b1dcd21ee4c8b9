//! Which numbers in a module's code are addresses of objects.

use wasmparser::{FunctionBody, MemArg, Operator};

use crate::{
    failure::{Because, Failure, Result},
    split::program::Program,
};

use super::{Addresses, Object};

/// Compares a module with one whose addresses were moved, each object's by its distance.
pub fn find(
    plain: &[u8],
    moved: &[u8],
    objects: &[Object],
    distances: &[u32],
) -> Result<Addresses> {
    let reading = "reading the module";
    let plain = Program::read(plain).because(reading)?;
    let moved = Program::read(moved).because(reading)?;
    if plain.bodies.len() != moved.bodies.len() {
        return Err(unlike("the number of functions"));
    }
    let mut pairs = Pairs {
        objects,
        distances,
        addresses: Addresses::new(),
    };
    let functions = plain.imported() as u32..;
    for (function, (one, other)) in functions.zip(plain.bodies.iter().zip(&moved.bodies)) {
        let name = plain.names.get(&function).copied().unwrap_or_default();
        pairs.compare(one, other).because(format!("in {name}"))?;
    }
    Ok(pairs.addresses)
}

fn unlike(what: &str) -> Failure {
    Failure::new(format!(
        "wasm-opt makes another module if addresses differ: {what}"
    ))
}

struct Pairs<'a> {
    objects: &'a [Object],
    distances: &'a [u32],
    addresses: Addresses,
}

impl Pairs<'_> {
    fn compare(&mut self, plain: &FunctionBody<'_>, moved: &FunctionBody<'_>) -> Result<()> {
        let reading = "reading the module's code";
        if locals(plain)? != locals(moved)? {
            return Err(unlike("the locals"));
        }
        let mut plain = plain.get_operators_reader().because(reading)?;
        let mut moved = moved.get_operators_reader().because(reading)?;
        while !plain.eof() && !moved.eof() {
            let one = plain.read().because(reading)?;
            let other = moved.read().because(reading)?;
            match (numbers(&one), numbers(&other)) {
                (Some(numbers), Some(others)) if same_but_numbers(&one, &other) => {
                    for (number, other) in numbers.into_iter().zip(others) {
                        self.note(number, other)?;
                    }
                }
                _ if one == other => {}
                _ => return Err(unlike(&format!("{one:?} is {other:?}"))),
            }
        }
        if plain.eof() && moved.eof() {
            Ok(())
        } else {
            Err(unlike("the length of the code"))
        }
    }

    fn note(&mut self, number: u32, moved: u32) -> Result<()> {
        let by = moved.wrapping_sub(number);
        if by == 0 {
            return Ok(());
        }
        let objects = self.objects.iter().zip(self.distances);
        let named = objects.zip(0..).filter(|((object, distance), _)| {
            // What is subtracted has moved the other way.
            by == **distance
                || by == distance.wrapping_neg()
                || is_cut(number, by, object, **distance)
        });
        let named: Vec<usize> = named.map(|(_, index)| index).collect();
        if named.is_empty() {
            return Err(unlike(&format!("{number} is {moved}")));
        }
        self.addresses.entry(number).or_default().extend(named);
        Ok(())
    }
}

/// Returns whether a number is an address without its last byte. That becomes a part of the number before it where a
/// value is written that has an address after three bytes. Its last byte did not move.
fn is_cut(number: u32, by: u32, object: &Object, distance: u32) -> bool {
    let cut = |address: u32| address >> 8;
    by == cut(distance) && (cut(object.range.start)..=cut(object.range.end)).contains(&number)
}

fn locals(body: &FunctionBody<'_>) -> Result<Vec<(u32, wasmparser::ValType)>> {
    let reading = "reading the module's code";
    let locals = body.get_locals_reader().because(reading)?;
    locals
        .into_iter()
        .map(|locals| locals.because(reading))
        .collect()
}

/// Returns the numbers in an instruction that may be addresses, or halves of a larger one that may be.
pub fn numbers(operator: &Operator<'_>) -> Option<[u32; 2]> {
    match operator {
        Operator::I32Const { value } => Some([*value as u32, 0]),
        Operator::I64Const { value } => Some([*value as u32, (*value >> 32) as u32]),
        other => place(other).map(|place| [place.offset as u32, (place.offset >> 32) as u32]),
    }
}

fn same_but_numbers(one: &Operator<'_>, other: &Operator<'_>) -> bool {
    let is_same_place = match (place(one), place(other)) {
        (Some(one), Some(other)) => one.align == other.align && one.memory == other.memory,
        _ => true,
    };
    std::mem::discriminant(one) == std::mem::discriminant(other) && is_same_place
}

/// Returns what an instruction adds to an address. One that is not listed here must be the same in both modules.
fn place(operator: &Operator<'_>) -> Option<MemArg> {
    use Operator::*;
    match operator {
        I32Load { memarg }
        | I64Load { memarg }
        | F32Load { memarg }
        | F64Load { memarg }
        | I32Load8S { memarg }
        | I32Load8U { memarg }
        | I32Load16S { memarg }
        | I32Load16U { memarg }
        | I64Load8S { memarg }
        | I64Load8U { memarg }
        | I64Load16S { memarg }
        | I64Load16U { memarg }
        | I64Load32S { memarg }
        | I64Load32U { memarg }
        | I32Store { memarg }
        | I64Store { memarg }
        | F32Store { memarg }
        | F64Store { memarg }
        | I32Store8 { memarg }
        | I32Store16 { memarg }
        | I64Store8 { memarg }
        | I64Store16 { memarg }
        | I64Store32 { memarg } => Some(*memarg),
        _ => None,
    }
}
