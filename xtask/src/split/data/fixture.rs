//! A small module as the linker writes it, with a list of its symbols and addresses.

use wasm_encoder::{
    ConstExpr, CustomSection, DataSection, ElementSection, Encode, ExportKind, ExportSection,
    FunctionSection, MemorySection, MemoryType, Module, RawSection, RefType, TableSection,
    TableType, TypeSection, ValType,
};

/// The objects of the module: `.rodata` has A, four bytes of padding, B with the address of C, C, and D;
/// `.data` has E with the address of A, and `.rodata.more` has G.
pub const A: u32 = 1024;
pub const B: u32 = 1036;
pub const C: u32 = 1044;
pub const D: u32 = 1052;
pub const E: u32 = 1060;
pub const G: u32 = 1064;
pub const END: u32 = 1068;

/// The symbols by their numbers.
const SYMBOLS: [(u32, u32, u32); 6] = [
    (0, A, 8),
    (0, B, 8),
    (0, C, 8),
    (0, D, 8),
    (1, E, 4),
    (2, G, 4),
];
const SEGMENTS: [(&str, u32); 3] = [(".rodata", A), (".data", E), (".rodata.more", G)];

const LEB: u8 = 3;
const SLEB: u8 = 4;
const IN_DATA: u8 = 5;

/// An address in the code: its kind, its symbol and what is added.
type Address = (u8, u32, i32);

/// The code of a linked module: instructions, and addresses among them.
enum Piece {
    Code(&'static [u8]),
    Address(Address),
}
use Piece::{Address as At, Code};

/// `a` reads A, `b` what B points to, `d` both D and G, `e` what E points to, `w` writes into E what it was.
fn functions() -> [(&'static str, Vec<Piece>); 5] {
    const CONST: &[u8] = &[0x41];
    const ZERO: &[u8] = &[0x41, 0];
    const LOAD: &[u8] = &[0x28, 2, 0];
    const LOAD_AT: &[u8] = &[0x28, 2];
    const ADD: &[u8] = &[0x6a];
    [
        ("a", vec![Code(CONST), At((SLEB, 0, 4)), Code(LOAD)]),
        (
            "b",
            vec![Code(ZERO), Code(LOAD_AT), At((LEB, 1, 0)), Code(LOAD)],
        ),
        (
            "d",
            vec![
                // Far below D: the index that is added makes it right.
                Code(&[0x41, 0xf4, 0]),
                Code(CONST),
                At((SLEB, 3, -116)),
                Code(ADD),
                Code(LOAD),
                Code(CONST),
                At((SLEB, 5, 0)),
                Code(LOAD),
                Code(ADD),
            ],
        ),
        (
            "e",
            vec![Code(ZERO), Code(LOAD_AT), At((LEB, 4, 0)), Code(LOAD)],
        ),
        (
            "w",
            vec![
                Code(CONST),
                At((SLEB, 4, 0)),
                // From one word to the next, which is a G of another value.
                Code(CONST),
                At((SLEB, 3, 0)),
                Code(&[0x36, 2, 0]),
                Code(ZERO),
            ],
        ),
    ]
}

pub fn padded(value: u32) -> [u8; 5] {
    std::array::from_fn(|at| (value >> (7 * at) & 0x7f) as u8 | if at < 4 { 0x80 } else { 0 })
}

/// Returns the contents of the code section, and its relocations.
fn code(slip: i32) -> (Vec<u8>, Vec<u8>) {
    let functions = functions();
    let (mut code, mut list, mut count) = (Vec::new(), Vec::new(), 0_u32);
    functions.len().encode(&mut code);
    for (_, pieces) in functions {
        let mut body = vec![0];
        let mut places = Vec::new();
        for piece in pieces {
            match piece {
                Code(bytes) => body.extend(bytes),
                At((kind, symbol, addend)) => {
                    let (_, address, _) = SYMBOLS[symbol as usize];
                    places.push((body.len(), kind, symbol, addend));
                    body.extend(padded(address.wrapping_add(addend as u32)));
                }
            }
        }
        body.push(0x0b);
        body.len().encode(&mut code);
        for (place, kind, symbol, addend) in places {
            list.push(kind);
            (code.len() + place).encode(&mut list);
            symbol.encode(&mut list);
            (addend + slip).encode(&mut list);
            count += 1;
        }
        code.extend(body);
    }
    (code, relocations(CODE_SECTION, count, &list))
}

const CODE_SECTION: u32 = 6;

pub fn relocations(section: u32, count: u32, list: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    section.encode(&mut text);
    count.encode(&mut text);
    text.extend(list);
    text
}

fn linking() -> Vec<u8> {
    let mut text = vec![2];
    let mut subsection = |id: u8, content: &[u8]| {
        text.push(id);
        content.encode(&mut text);
    };
    let mut names = Vec::new();
    SEGMENTS.len().encode(&mut names);
    for (name, _) in SEGMENTS {
        name.encode(&mut names);
        names.extend([2, 0]);
    }
    subsection(5, &names);
    let mut symbols = Vec::new();
    SYMBOLS.len().encode(&mut symbols);
    for (segment, address, size) in SYMBOLS {
        symbols.extend([1, 2]);
        "name".encode(&mut symbols);
        let (_, start) = SEGMENTS[segment as usize];
        segment.encode(&mut symbols);
        (address - start).encode(&mut symbols);
        size.encode(&mut symbols);
    }
    subsection(8, &symbols);
    text
}

/// A module as the linker writes it. A slip makes its list of the addresses in code wrong.
pub fn linked(slip: i32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut own = FunctionSection::new();
    let mut exports = ExportSection::new();
    for ((name, _), index) in functions().iter().zip(0..) {
        own.function(0);
        exports.export(name, ExportKind::Func, index);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: Some(1),
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let word = |value: u32| value.to_le_bytes();
    let constants = [7, 70, 0, C, 5, 11, 12, 13, 14].map(word).concat();
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(A as i32), constants);
    data.active(0, &ConstExpr::i32_const(E as i32), word(A));
    data.active(0, &ConstExpr::i32_const(G as i32), word(100));
    let mut text = Vec::new();
    data.encode(&mut text);
    let place = |address: u32, from: usize| {
        let value = address.to_le_bytes();
        let at = text[from..].windows(4).position(|word| word == value);
        // The byte with the section's length is not part of it.
        from + at.unwrap() - 1
    };
    let mut list = vec![IN_DATA];
    place(C, 0).encode(&mut list);
    list.extend([2, 0, IN_DATA]);
    place(A, 40).encode(&mut list);
    list.extend([0, 0]);
    let (code, in_code) = code(slip);
    let mut module = Module::new();
    module.section(&types).section(&own).section(&tables);
    module.section(&memories).section(&exports);
    module.section(&ElementSection::new());
    module.section(&RawSection {
        id: 10,
        data: &code,
    });
    module.section(&data);
    for (name, data) in [
        ("linking", linking()),
        ("reloc.CODE", in_code),
        ("reloc.DATA", relocations(CODE_SECTION + 1, 2, &list)),
    ] {
        let (name, data) = (name.into(), data.into());
        module.section(&CustomSection { name, data });
    }
    module.finish()
}
