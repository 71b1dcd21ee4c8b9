//! The locations in the source that panics name.
//!
//! Each has its file, line and column, and an address of its own in code that may panic: some six hundred, which
//! hardly compress. Those of one file become one, without line and column: the stack of a panic says more, with the
//! list of functions that `pack` writes. Those in the code of others become one in all.

use std::{collections::BTreeMap, ops::Range};

use crate::failure::{Because, Failure, Result};

use super::{IN_CODE, PADDED, Sections, Symbol, pad};

/// The bytes of a location: the address of the file's name, the length of that, the line and the column.
const SIZE: usize = 16;
/// Where the line and the column are.
const DETAIL: Range<usize> = 8..SIZE;
/// The names of the project's own files begin so.
const OWN: &[u8] = b"src/";

/// Makes code and data name one location for each file, and changes the symbols accordingly. Returns where the bytes
/// are that nothing names any more.
pub fn share(
    sections: &Sections<'_>,
    module: &mut [u8],
    symbols: &mut [Option<Symbol>],
) -> Result<Vec<Range<usize>>> {
    let in_data = sections.addresses(sections.data, symbols)?;
    let in_code = sections.addresses(sections.code, symbols)?;
    let named = in_data
        .iter()
        .filter_map(|found| Some((sections.address(found.place)?, found.symbol?)));
    let named: BTreeMap<u32, Symbol> = named.collect();
    let mut of_file: BTreeMap<&[u8], Symbol> = BTreeMap::new();
    // The shared location by the beginning of each one.
    let mut shared: BTreeMap<u32, Symbol> = BTreeMap::new();
    for symbol in symbols.iter().flatten() {
        if let Some(file) = file(sections, &named, symbol) {
            let file = if file.starts_with(OWN) { file } else { &[] };
            let one = *of_file.entry(file).or_insert(*symbol);
            shared.insert(symbol.start, one);
        }
    }
    for found in in_data.iter().chain(&in_code) {
        let one = found.symbol.and_then(|symbol| shared.get(&symbol.start));
        let Some(one) = one else { continue };
        if found.entry.addend != 0 {
            return Err(Failure::new("a part of a location is named"));
        }
        let beyond = "an address beyond the module";
        if IN_CODE.contains(&found.entry.ty) {
            let bytes = module.get_mut(found.place..found.place + PADDED);
            pad(one.start, bytes.because(beyond)?);
        } else {
            let address = one.start.to_le_bytes();
            let bytes = module.get_mut(found.place..found.place + address.len());
            bytes.because(beyond)?.copy_from_slice(&address);
        }
    }
    let mut unnamed = Vec::new();
    for symbol in symbols.iter_mut().flatten() {
        let Some(one) = shared.get(&symbol.start) else {
            continue;
        };
        let start = sections.place(symbol).because("a location without bytes")?;
        if one.start == symbol.start {
            let detail = module.get_mut(start + DETAIL.start..start + DETAIL.end);
            detail.because("a location beyond the module")?.fill(0);
        } else {
            unnamed.push(start..start + SIZE);
        }
        *symbol = *one;
    }
    Ok(unnamed)
}

/// Returns the name of the file if a symbol is a location. `named` has the symbols that data names, by the addresses
/// where it does.
fn file<'a>(
    sections: &Sections<'a>,
    named: &BTreeMap<u32, Symbol>,
    symbol: &Symbol,
) -> Option<&'a [u8]> {
    let bytes = sections.bytes(symbol).filter(|bytes| bytes.len() == SIZE)?;
    let mut named = named.range(symbol.start..symbol.end);
    let (first, name) = named.next()?;
    let length = u32::from_le_bytes(bytes.get(4..DETAIL.start)?.try_into().ok()?);
    let name = sections.bytes(name)?.get(..length as usize)?;
    let is_location = *first == symbol.start && named.next().is_none() && name.ends_with(b".rs");
    is_location.then_some(name)
}
