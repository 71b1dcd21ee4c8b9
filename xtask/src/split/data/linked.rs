//! What the linker says of the objects in memory, and of the addresses in code and data.

mod distances;
mod locations;

use std::ops::Range;

use wasm_encoder::{Module, RawSection};
use wasmparser::{
    DataKind, KnownCustom, Linking, LinkingSectionReader, Operator, Parser, Payload,
    RelocSectionReader, RelocationEntry, RelocationType, SymbolFlags, SymbolInfo,
};

use crate::failure::{Because, Failure, Result};

use super::Object;

/// The names of the sections that the linker keeps constants in, as they begin.
const CONSTANTS: &str = ".rodata";

/// A linked module, without what the linker says of it.
pub struct Linked {
    pub plain: Vec<u8>,
    /// The same with the addresses of objects in its code moved. It is only there to be compared.
    pub moved: Vec<u8>,
    pub objects: Vec<Object>,
    /// The distance by which each object was moved.
    pub distances: Vec<u32>,
}

/// Reads a module that was linked with `--emit-relocs`.
pub fn read(module: &[u8]) -> Result<Linked> {
    let sections = Sections::read(module)?;
    let mut symbols = sections.symbols()?;
    let mut objects = sections.objects(&symbols)?;
    let mut module = module.to_vec();
    let unnamed = locations::share(&sections, &mut module, &mut symbols)?;
    sections.note_names(&module, &symbols, &mut objects)?;
    let distances = distances::of(&objects)?;
    let mut moved = module.clone();
    sections.move_addresses(&mut moved, &symbols, &objects, &distances)?;
    for place in unnamed {
        for module in [&mut module, &mut moved] {
            let bytes = module.get_mut(place.clone());
            bytes.because("bytes beyond the module")?.fill(0);
        }
    }
    Ok(Linked {
        plain: without_relocations(&module)?,
        moved: without_relocations(&moved)?,
        objects,
        distances,
    })
}

/// A segment of data.
struct Segment<'a> {
    address: u32,
    bytes: &'a [u8],
    /// Where its bytes begin in the file.
    place: usize,
    is_constant: bool,
}

impl Segment<'_> {
    fn end(&self) -> u32 {
        self.address + self.bytes.len() as u32
    }

    /// Returns whether there is nothing but zeros from one address to another.
    fn is_zero(&self, range: &Range<u32>) -> bool {
        let places = (range.start - self.address) as usize..(range.end - self.address) as usize;
        let bytes = self.bytes.get(places);
        bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }
}

/// A symbol that stands for bytes in a segment.
#[derive(Clone, Copy)]
struct Symbol {
    segment: usize,
    start: u32,
    end: u32,
}

#[derive(Default)]
struct Sections<'a> {
    segments: Vec<Segment<'a>>,
    /// The contents of the sections of code and of data: their numbers and their places in the file.
    code: Option<(u32, usize)>,
    data: Option<(u32, usize)>,
    linking: Option<LinkingSectionReader<'a>>,
    relocations: Vec<RelocSectionReader<'a>>,
}

impl<'a> Sections<'a> {
    fn read(module: &'a [u8]) -> Result<Self> {
        let reading = "reading the linked module";
        let mut sections = Self::default();
        let mut number = 0;
        for payload in Parser::new(0).parse_all(module) {
            let payload = payload.because(reading)?;
            let Some((_, range)) = payload.as_section() else {
                continue;
            };
            match payload {
                Payload::CodeSectionStart { .. } => sections.code = Some((number, range.start)),
                Payload::DataSection(data) => {
                    sections.data = Some((number, range.start));
                    for segment in data {
                        let segment = segment.because(reading)?;
                        sections.segments.push(read_segment(&segment)?);
                    }
                }
                Payload::CustomSection(custom) => match custom.as_known() {
                    KnownCustom::Linking(linking) => sections.linking = Some(linking),
                    KnownCustom::Reloc(relocations) => sections.relocations.push(relocations),
                    _ => {}
                },
                _ => {}
            }
            number += 1;
        }
        sections.name_segments()?;
        Ok(sections)
    }

    fn linking(&self) -> Result<LinkingSectionReader<'a>> {
        let linking = self.linking.clone();
        linking.because("the linker has listed no symbols: it needs --emit-relocs")
    }

    fn name_segments(&mut self) -> Result<()> {
        let reading = "reading the names of segments";
        for subsection in self.linking()?.subsections() {
            if let Linking::SegmentInfo(names) = subsection.because(reading)? {
                for (segment, named) in self.segments.iter_mut().zip(names) {
                    segment.is_constant = named.because(reading)?.name.starts_with(CONSTANTS);
                }
            }
        }
        Ok(())
    }

    /// Returns the symbols by their numbers; those that stand for bytes in a segment.
    fn symbols(&self) -> Result<Vec<Option<Symbol>>> {
        let reading = "reading the symbols";
        let mut symbols = Vec::new();
        for subsection in self.linking()?.subsections() {
            if let Linking::SymbolTable(table) = subsection.because(reading)? {
                for symbol in table {
                    symbols.push(self.symbol(&symbol.because(reading)?));
                }
            }
        }
        Ok(symbols)
    }

    fn symbol(&self, symbol: &SymbolInfo<'_>) -> Option<Symbol> {
        let SymbolInfo::Data { flags, symbol, .. } = symbol else {
            return None;
        };
        let symbol = symbol.filter(|_| !flags.contains(SymbolFlags::ABSOLUTE))?;
        // What begins as zeros has no segment in the file.
        let number = symbol.index as usize;
        let start = self.segments.get(number)?.address + symbol.offset;
        Some(Symbol {
            segment: number,
            start,
            end: start + symbol.size,
        })
    }

    fn is_constant(&self, symbol: &Symbol) -> bool {
        let segment = self.segments.get(symbol.segment);
        segment.is_some_and(|segment| segment.is_constant)
    }

    /// Returns the objects, and what is between them, so that each byte of the constants is in one.
    fn objects(&self, symbols: &[Option<Symbol>]) -> Result<Vec<Object>> {
        let mut objects: Vec<Object> = Vec::new();
        for (number, segment) in self.segments.iter().enumerate() {
            if !segment.is_constant {
                continue;
            }
            let of_segment = |symbol: &&Symbol| symbol.segment == number;
            let mut found: Vec<Symbol> = symbols
                .iter()
                .flatten()
                .filter(of_segment)
                .copied()
                .collect();
            found.sort_unstable_by_key(|symbol| symbol.start);
            let mut end = segment.address;
            for Symbol {
                start, end: until, ..
            } in found
            {
                match objects.last_mut() {
                    // Two symbols that share bytes are one object.
                    Some(last) if start < end => last.range.end = end.max(until),
                    _ => {
                        objects.push(between(segment, end..start));
                        objects.push(Object::new(start..until));
                    }
                }
                end = end.max(until);
            }
            if segment.end() < end {
                return Err(Failure::new("a symbol that reaches beyond its segment"));
            }
            objects.push(between(segment, end..segment.end()));
        }
        objects.retain(|object| !object.range.is_empty());
        objects.sort_unstable_by_key(|object| object.range.start);
        Ok(objects)
    }

    /// Notes which objects have addresses of which.
    fn note_names(
        &self,
        module: &[u8],
        symbols: &[Option<Symbol>],
        objects: &mut [Object],
    ) -> Result<()> {
        for found in self.addresses(self.data, symbols)? {
            let bytes = module.get(found.place..found.place + size_of::<u32>());
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            found.check(&IN_DATA, bytes.map(u32::from_le_bytes))?;
            let Some(named) = self.object(&found, objects)? else {
                continue;
            };
            let holder = self
                .address(found.place)
                .and_then(|address| containing(objects, address));
            match holder.and_then(|holder| objects.get_mut(holder)) {
                Some(holder) => drop(holder.names.insert(named)),
                None => {
                    let named = objects.get_mut(named).because("an object")?;
                    named.is_first = true;
                }
            }
        }
        Ok(())
    }

    fn move_addresses(
        &self,
        module: &mut [u8],
        symbols: &[Option<Symbol>],
        objects: &[Object],
        distances: &[u32],
    ) -> Result<()> {
        for found in self.addresses(self.code, symbols)? {
            let Some(object) = self.object(&found, objects)? else {
                continue;
            };
            let distance = distances.get(object).copied().because("a distance")?;
            let bytes = module.get_mut(found.place..found.place + PADDED);
            let bytes = bytes.because("an address beyond the code")?;
            let value = padded(bytes);
            found.check(&IN_CODE, value)?;
            pad(value.unwrap_or_default() + distance, bytes);
        }
        Ok(())
    }

    /// Returns the addresses in a section.
    fn addresses(
        &self,
        section: Option<(u32, usize)>,
        symbols: &[Option<Symbol>],
    ) -> Result<Vec<Found>> {
        let reading = "reading the addresses in the module";
        let (number, start) = section.because(reading)?;
        let mut found = Vec::new();
        let of_section = |list: &&RelocSectionReader<'_>| list.section_index() == number;
        for list in self.relocations.iter().filter(of_section) {
            for entry in list.entries() {
                let entry = entry.because(reading)?;
                if is_address(entry.ty) {
                    let symbol = symbols.get(entry.index as usize).copied();
                    found.push(Found {
                        entry,
                        place: start + entry.offset as usize,
                        symbol: symbol.because(reading)?,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Returns the object that an address is of; none if that may change.
    fn object(&self, found: &Found, objects: &[Object]) -> Result<Option<usize>> {
        let symbol = found.symbol.filter(|symbol| self.is_constant(symbol));
        let Some(symbol) = symbol else {
            return Ok(None);
        };
        match containing(objects, symbol.start) {
            // It stands for no byte, at the end.
            None if symbol.start == symbol.end => Ok(None),
            object => object.because("a symbol without an object").map(Some),
        }
    }

    /// Returns the bytes of a constant.
    fn bytes(&self, symbol: &Symbol) -> Option<&'a [u8]> {
        let segment = self.segments.get(symbol.segment)?;
        let at = |address: u32| (address - segment.address) as usize;
        let bytes = segment.bytes.get(at(symbol.start)..at(symbol.end));
        bytes.filter(|_| segment.is_constant)
    }

    /// Returns where a symbol's bytes begin in the file.
    fn place(&self, symbol: &Symbol) -> Option<usize> {
        let segment = self.segments.get(symbol.segment)?;
        Some(segment.place + (symbol.start - segment.address) as usize)
    }

    /// Returns the address of a byte in the file.
    fn address(&self, place: usize) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let at = place.checked_sub(segment.place)?;
            (at < segment.bytes.len()).then_some(segment.address + at as u32)
        })
    }
}

/// How addresses stand in code, and in data.
const IN_CODE: [RelocationType; 2] = [
    RelocationType::MemoryAddrLeb,
    RelocationType::MemoryAddrSleb,
];
const IN_DATA: [RelocationType; 1] = [RelocationType::MemoryAddrI32];

/// An address in code or data.
struct Found {
    entry: RelocationEntry,
    /// Where it stands in the file.
    place: usize,
    symbol: Option<Symbol>,
}

impl Found {
    /// Fails unless the address is of one of these kinds, and is what the linker says.
    fn check(&self, kinds: &[RelocationType], value: Option<u32>) -> Result<()> {
        let expected = self
            .symbol
            .map(|symbol| symbol.start.wrapping_add(self.entry.addend as u32));
        if !kinds.contains(&self.entry.ty) || (expected.is_some() && value != expected) {
            return Err(Failure::new(format!(
                "an address that cannot be followed: {:?} is {value:?}, not {expected:?}",
                self.entry
            )));
        }
        Ok(())
    }
}

/// Returns whether a place that the linker has filled has an address in memory.
fn is_address(kind: RelocationType) -> bool {
    use RelocationType::*;
    !matches!(
        kind,
        FunctionIndexLeb
            | FunctionIndexI32
            | TableIndexSleb
            | TableIndexI32
            | TypeIndexLeb
            | GlobalIndexLeb
            | GlobalIndexI32
            | TableNumberLeb
            | EventIndexLeb
    )
}

/// Returns what is between objects. If that is more than padding, it may belong to anything.
fn between(segment: &Segment<'_>, range: Range<u32>) -> Object {
    Object {
        is_first: !segment.is_zero(&range),
        ..Object::new(range)
    }
}

fn read_segment<'a>(segment: &wasmparser::Data<'a>) -> Result<Segment<'a>> {
    let DataKind::Active { offset_expr, .. } = &segment.kind else {
        return Err(Failure::new("a segment of data without an address"));
    };
    let operator = offset_expr.get_operators_reader().read();
    let Ok(Operator::I32Const { value }) = operator else {
        return Err(Failure::new("a segment of data whose address is no number"));
    };
    Ok(Segment {
        address: value as u32,
        bytes: segment.data,
        place: segment.range.end - segment.data.len(),
        is_constant: false,
    })
}

/// Returns the object that has a byte.
pub fn containing(objects: &[Object], address: u32) -> Option<usize> {
    let index = objects.partition_point(|object| object.range.end <= address);
    let object = objects.get(index)?;
    object.range.contains(&address).then_some(index)
}

/// The linker writes addresses in code with all bytes that a number may have.
const PADDED: usize = 5;

fn padded(bytes: &[u8]) -> Option<u32> {
    let (last, first) = bytes.split_last()?;
    let is_padded = first.iter().all(|byte| byte & 0x80 != 0) && last & 0x80 == 0;
    let value = bytes
        .iter()
        .rev()
        .fold(0_u64, |value, byte| (value << 7) | u64::from(byte & 0x7f));
    is_padded.then_some(value as u32)
}

/// Writes a number that is not negative when it is read as a signed one.
fn pad(value: u32, bytes: &mut [u8]) {
    let last = bytes.len() - 1;
    for (at, byte) in bytes.iter_mut().enumerate() {
        let more = if at < last { 0x80 } else { 0 };
        *byte = (value >> (7 * at) & 0x7f) as u8 | more;
    }
}

fn without_relocations(module: &[u8]) -> Result<Vec<u8>> {
    let reading = "reading the linked module";
    let mut plain = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.because(reading)?;
        let of_linker = matches!(&payload, Payload::CustomSection(custom)
            if custom.name() == "linking" || custom.name().starts_with("reloc."));
        if let Some((id, range)) = payload.as_section().filter(|_| !of_linker) {
            let data = module.get(range).because(reading)?;
            plain.section(&RawSection { id, data });
        }
    }
    Ok(plain.finish())
}
