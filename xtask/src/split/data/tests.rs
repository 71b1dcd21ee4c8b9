use std::process::Command;

use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module, TypeSection};

use super::fixture::{A, B, C, D, E, END, G, linked, padded};
use super::*;
use crate::split::{Pinned, divide, program::Program};

/// Calls the exports of a module by their names, in this order, and prints what they return.
const RUNNER: &str = r#"
const parts = JSON.parse(process.argv[1]).map((text) => new WebAssembly.Module(Buffer.from(text, "hex")));
const imports = { parts: { load } };
let loaded = -1;
function load(part) {
  while (loaded < part) {
    const { exports } = new WebAssembly.Instance(parts[loaded + 1], imports);
    imports[++loaded] = exports;
  }
}
load(0);
console.log(JSON.stringify([...process.argv[2]].map((name) => imports[0][name]())));
"#;

fn objects() -> (Vec<u8>, Objects) {
    let linked = read(&linked(0)).unwrap();
    let addresses = find(
        &linked.plain,
        &linked.moved,
        &linked.objects,
        &linked.distances,
    );
    let objects = Objects {
        list: linked.objects,
        addresses: addresses.unwrap(),
    };
    (linked.plain, objects)
}

/// The objects in the order of their places: A, padding, B, C, D, G.
const IN_ORDER: [(u32, u32); 6] = [(A, A + 8), (A + 8, B), (B, C), (C, D), (D, E), (G, END)];

#[test]
fn the_linker_says_which_objects_there_are_and_which_of_them_have_addresses() {
    let (plain, Objects { list, .. }) = objects();
    let ranges: Vec<_> = list
        .iter()
        .map(|object| (object.range.start, object.range.end))
        .collect();
    assert_eq!(ranges, IN_ORDER);
    // B has the address of C, and A is named by what may change.
    let names: Vec<_> = list.iter().map(|object| object.names.len()).collect();
    assert_eq!(names, [0, 0, 1, 0, 0, 0]);
    assert!(list[2].names.contains(&3));
    let first: Vec<_> = list.iter().map(|object| object.is_first).collect();
    assert_eq!(first, [true, false, false, false, false, false]);
    // What the linker says is left out of the package.
    assert!(read(&plain).is_err());
}

#[test]
fn an_address_is_found_wherever_it_points() {
    let (_, Objects { addresses, .. }) = objects();
    let known: Vec<_> = addresses
        .iter()
        .map(|(address, objects)| (*address, objects.iter().copied().collect::<Vec<_>>()))
        .collect();
    // Of D, one address is below A; none of E's is among them, which may change.
    let expected = [
        (D - 116, vec![4]),
        (A + 4, vec![0]),
        (B, vec![2]),
        (D, vec![4]),
        (G, vec![5]),
    ];
    assert_eq!(known, expected);
}

#[test]
fn a_list_that_does_not_agree_with_the_module_is_refused() {
    let failure = read(&linked(4)).err().unwrap().to_string();
    assert!(failure.contains("cannot be followed"), "{failure}");
    let mut unpadded = linked(0);
    let address = unpadded
        .windows(5)
        .position(|bytes| bytes == padded(A + 4))
        .unwrap();
    unpadded[address + 4] = 0x80;
    assert!(read(&unpadded).is_err());
}

/// A module with one function, which has these instructions.
fn module(code: &[Instruction<'_>]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut own = FunctionSection::new();
    own.function(0);
    let mut bodies = CodeSection::new();
    let mut function = Function::new([]);
    for instruction in code {
        function.instruction(instruction);
    }
    function.instruction(&Instruction::End);
    bodies.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&own).section(&bodies);
    module.finish()
}

fn compare(number: i64, moved: i64) -> Result<Addresses> {
    let objects = [
        Object::new(0x10_0000..0x10_0100),
        Object::new(0x10_0100..0x10_0300),
    ];
    let of = |number| module(&[Instruction::I64Const(number), Instruction::Drop]);
    find(&of(number), &of(moved), &objects, &[0x500, 0x1300])
}

#[test]
fn an_address_is_found_in_whatever_it_was_folded_into() {
    let second = |number: u32| Addresses::from([(number, BTreeSet::from([1]))]);
    // In the low half, in the high half, subtracted, and after three bytes of something else.
    let address = 0x10_0208_i64;
    let moved = address + 0x1300;
    let cases = [
        (address | 7 << 32, moved | 7 << 32, address as u32),
        (7 | address << 32, 7 | moved << 32, address as u32),
        (
            -address & 0xffff_ffff,
            -moved & 0xffff_ffff,
            -address as u32,
        ),
        (7 | address << 24, 7 | moved << 24, (address >> 8) as u32),
    ];
    for (number, moved, half) in cases {
        assert_eq!(compare(number, moved).unwrap(), second(half), "{number:x}");
    }
    assert!(compare(9, 9).unwrap().is_empty());
}

#[test]
fn a_number_that_differs_and_is_no_address_is_refused() {
    // By the sum of both distances, and as an address without its last byte that is of none.
    assert!(compare(0x10_0208, 0x10_0208 + 0x1800).is_err());
    assert!(compare(0x2000_0000, 0x2000_0013).is_err());
    let code = [Instruction::I32Const(1), Instruction::Drop];
    let other = [Instruction::F32Const(1.0.into()), Instruction::Drop];
    let longer = [code.clone(), code.clone()].concat();
    for unlike in [other.as_slice(), &longer] {
        assert!(find(&module(&code), &module(unlike), &[], &[]).is_err());
    }
}

fn run(modules: &[Vec<u8>], names: &str) -> Vec<u32> {
    let hex = |module: &Vec<u8>| {
        let bytes = module.iter();
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let modules = serde_json::to_string(&modules.iter().map(hex).collect::<Vec<_>>()).unwrap();
    let output = Command::new("node")
        .args(["-e", RUNNER, &modules, names])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const NONE: Pinned<'_> = Pinned(&|_| false);

#[test]
fn each_part_finds_in_memory_what_its_functions_read() {
    let (plain, objects) = objects();
    assert_eq!(run(std::slice::from_ref(&plain), "eabd"), [7, 70, 11, 113]);
    for choice in 0..3_usize.pow(5) {
        // Each process costs time: a part of the choices.
        if choice % 11 > 1 {
            continue;
        }
        let profile: Vec<usize> = (0..5).map(|at| choice / 3_usize.pow(at) % 3).collect();
        let parts = divide(&plain, &profile, &NONE, &objects, "parts", 0).unwrap();
        assert_eq!(run(&parts.modules, "eabd"), [7, 70, 11, 113], "{profile:?}");
        // What has changed stays so when later parts come: E has the address of D now.
        assert_eq!(run(&parts.modules, "wde")[1..], [113, 13], "{profile:?}");
    }
}

/// Returns what each part of a profile brings: addresses, and numbers of bytes.
fn brought(profile: &[usize]) -> Vec<Vec<(u32, usize)>> {
    let (plain, objects) = objects();
    let program = Program::read(&plain).unwrap();
    let segments = Segments::bridged(&program, profile, &objects, 8).unwrap();
    let run = |(address, bytes): (u32, &[u8])| (address, bytes.len());
    let part = |part| {
        let runs = segments.of_part(&program, part).unwrap();
        runs.into_iter().map(run).collect()
    };
    (0..3).map(part).collect()
}

#[test]
fn an_object_comes_with_the_first_part_that_may_read_it() {
    // `b` is in the second part: it needs B, and C by its address. `d` in the third: D, and G, but not E
    // between them, which may change.
    let expected = [vec![(A, 8), (E, 4)], vec![(B, 16)], vec![(D, 8), (G, 4)]];
    assert_eq!(brought(&[0, 1, 2, 0, 2]), expected);
    // The padding between A and B is written too: another run would weigh more.
    let expected = [vec![(A, 28), (E, 4)], vec![], vec![(D, 8), (G, 4)]];
    assert_eq!(brought(&[0, 0, 2, 0, 2]), expected);
}

#[test]
fn what_may_change_is_written_by_the_first_part_alone() {
    // Something of four bytes stands between two objects of the third part.
    let segments = Segments {
        objects: &[Object::new(0..8), Object::new(12..16)],
        part_of: vec![Some(2), Some(2)],
        bridge: 8,
    };
    let starts = |part| {
        segments
            .runs(0..16, part)
            .into_iter()
            .map(|run| (run.start, run.end))
    };
    assert_eq!(starts(0).collect::<Vec<_>>(), [(8, 12)]);
    assert_eq!(starts(2).collect::<Vec<_>>(), [(0, 8), (12, 16)]);
}

#[test]
fn what_nothing_names_is_in_no_part() {
    let (plain, mut objects) = objects();
    objects.addresses.remove(&B);
    let program = Program::read(&plain).unwrap();
    let segments = Segments::bridged(&program, &[0; 5], &objects, 0).unwrap();
    let starts: Vec<u32> = segments
        .of_part(&program, 0)
        .unwrap()
        .iter()
        .map(|run| run.0)
        .collect();
    assert_eq!(starts, [A, D, E, G]);
}

#[test]
fn objects_are_the_same_when_they_are_read_again() {
    let (_, objects) = objects();
    assert_eq!(
        Objects::parse(&objects.json().to_string()).unwrap(),
        objects
    );
    assert!(Objects::parse("{}").is_err());
    assert!(Objects::parse(r#"{"list":[[1,2]],"addresses":[]}"#).is_err());
}
