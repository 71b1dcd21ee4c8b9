//! Locations in a module as the linker writes it.

use wasm_encoder::{
    ConstExpr, CustomSection, DataSection, Encode, FunctionSection, MemorySection, MemoryType,
    Module, RawSection, TypeSection, ValType,
};
use wasmparser::Operator;

use super::fixture::{padded, relocations};
use super::linked::read;
use crate::split::program::Program;

/// Where the data begins, and with it the names of three files: two of ours, and one of the standard library.
const START: u32 = 1024;
const NAMES: [(u32, &str); 3] = [
    (START, "src/one.rs"),
    (START + 12, "src/two.rs"),
    (START + 24, "/rustc/x.rs"),
];
/// What follows: a place of a name, a length, and two numbers. The last one names no file.
const FIRST: u32 = START + 36;
const LOCATIONS: [(usize, u32, u32, u32); 7] = [
    (0, 10, 1, 2),
    (0, 10, 3, 4),
    (1, 10, 5, 6),
    (2, 11, 7, 8),
    (2, 11, 9, 10),
    (0, 10, 11, 12),
    (1, 3, 13, 14),
];

const NONE: usize = usize::MAX;

fn address(location: usize) -> u32 {
    FIRST + 16 * location as u32
}

/// A module with a function for each location, which returns its address; for `within`, an address in it.
fn linked(within: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let (mut functions, mut code) = (FunctionSection::new(), Vec::new());
    let (mut in_code, mut in_data) = (Vec::new(), Vec::new());
    LOCATIONS.len().encode(&mut code);
    for location in 0..LOCATIONS.len() {
        functions.function(0);
        let addend = if location == within { 4 } else { 0 };
        code.extend([8, 0, 0x41]);
        in_code.push(4);
        code.len().encode(&mut in_code);
        (NAMES.len() + location).encode(&mut in_code);
        (addend as i32).encode(&mut in_code);
        code.extend(padded(address(location) + addend));
        code.push(0x0b);
    }
    let mut bytes = Vec::new();
    for (_, name) in NAMES {
        bytes.extend(name.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(12), 0);
    }
    for (name, length, line, column) in LOCATIONS {
        for word in [NAMES[name].0, length, line, column] {
            bytes.extend(word.to_le_bytes());
        }
    }
    let mut data = DataSection::new();
    data.active(
        0,
        &ConstExpr::i32_const(START as i32),
        bytes.iter().copied(),
    );
    let mut section = Vec::new();
    data.encode(&mut section);
    // Without the byte or two with the section's length.
    let end = section.len() - usize::from(section.len() > 0x80) - 1;
    for (location, (name, ..)) in LOCATIONS.iter().enumerate() {
        in_data.push(5);
        let from_end = bytes.len() - (address(location) - START) as usize;
        (end - from_end).encode(&mut in_data);
        name.encode(&mut in_data);
        in_data.push(0);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories);
    module.section(&RawSection {
        id: 10,
        data: &code,
    });
    module.section(&data);
    let count = LOCATIONS.len() as u32;
    for (name, data) in [
        ("linking", linking()),
        ("reloc.CODE", relocations(3, count, &in_code)),
        ("reloc.DATA", relocations(4, count, &in_data)),
    ] {
        let (name, data) = (name.into(), data.into());
        module.section(&CustomSection { name, data });
    }
    module.finish()
}

/// The segment's name, and the symbols: the names of files, then the locations.
fn linking() -> Vec<u8> {
    let mut names = vec![1];
    ".rodata".encode(&mut names);
    names.extend([2, 0]);
    let mut symbols = Vec::new();
    (NAMES.len() + LOCATIONS.len()).encode(&mut symbols);
    let of_names = NAMES
        .iter()
        .map(|(start, name)| (*start, name.len() as u32));
    let of_locations = (0..LOCATIONS.len()).map(|location| (address(location), 16));
    for (start, size) in of_names.chain(of_locations) {
        symbols.extend([1, 2]);
        "name".encode(&mut symbols);
        for number in [0, start - START, size] {
            number.encode(&mut symbols);
        }
    }
    let mut text = vec![2];
    for (id, content) in [(5, names), (8, symbols)] {
        text.push(id);
        content.as_slice().encode(&mut text);
    }
    text
}

/// Returns the addresses in the code of a module, and the words of what is there.
fn named(module: &[u8]) -> Vec<(u32, Vec<u32>)> {
    let program = Program::read(module).unwrap();
    let bodies = program.bodies.iter();
    let address = |operator| match operator {
        Ok(Operator::I32Const { value }) => Some(value as u32),
        _ => None,
    };
    let addresses = bodies
        .flat_map(|body| body.get_operators_reader().unwrap())
        .filter_map(address);
    let data = program.data[0].data;
    addresses
        .map(|address| {
            let bytes = &data[(address - START) as usize..][..16];
            let words = bytes
                .chunks(4)
                .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
            (address, words.collect())
        })
        .collect()
}

#[test]
fn the_locations_of_a_file_are_one_without_line_and_column() {
    let linked = read(&linked(NONE)).unwrap();
    let found = named(&linked.plain);
    let (one, two, others) = (address(0), address(2), address(3));
    let addresses: Vec<u32> = found.iter().map(|(address, _)| *address).collect();
    // What is like a location, but names no file, stays.
    let last = address(6);
    assert_eq!(addresses, [one, one, two, others, others, one, last]);
    assert_eq!(found[1].1, [NAMES[0].0, 10, 0, 0]);
    assert_eq!(found[4].1, [NAMES[2].0, 11, 0, 0]);
    assert_eq!(found[6].1, [NAMES[1].0, 3, 13, 14]);
    // What nothing names any more is empty.
    let program = Program::read(&linked.plain).unwrap();
    let unnamed = (address(1) - START) as usize;
    assert_eq!(program.data[0].data[unnamed..][..16], [0; 16]);
}

#[test]
fn an_address_within_a_location_is_refused() {
    // The last one is none.
    assert!(read(&linked(LOCATIONS.len() - 1)).is_ok());
    assert!(read(&linked(1)).is_err());
}
