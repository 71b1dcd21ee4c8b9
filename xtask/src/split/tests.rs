use std::process::Command;

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload};

use super::*;

const NONE: Pinned<'_> = Pinned(&|_| false);

/// Loads parts as the package does, and prints what `run` and `other` return and log.
const RUNNER: &str = r#"
const parts = JSON.parse(process.argv[1]).map((text) => new WebAssembly.Module(Buffer.from(text, "hex")));
const logged = [];
const imports = { host: { log: (value) => logged.push(value) }, parts: { load } };
let loaded = -1;
const loads = [];
function load(part) {
  loads.push(part);
  while (loaded < part) {
    const { exports } = new WebAssembly.Instance(parts[loaded + 1], imports);
    imports[++loaded] = exports;
  }
}
load(0);
loads.length = 0;
const { run, other, hits0 } = imports[0];
const results = [run(3), run(4)];
const ran = hits0?.value;
results.push(other(5), run(6));
console.log(JSON.stringify({ results, logged, loads, ran, hits: hits0?.value }));
"#;

/// `run(n)` logs, adds to a global, reads the memory, calls by the table and in a circle; `other(n)`
/// is a second way in. Functions 0 to 5 are the module's own.
fn whole() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut imports = ImportSection::new();
    imports.import("host", "log", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    for kind in [1, 1, 1, 1, 1, 0] {
        functions.function(kind);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 4,
        maximum: Some(4),
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
    let mut globals = GlobalSection::new();
    let mutable = GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    };
    globals.global(mutable, &ConstExpr::i32_const(100));
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 1);
    exports.export("other", ExportKind::Func, 2);
    let mut elements = ElementSection::new();
    let in_table = Elements::Functions(vec![4, 3].into());
    elements.active(None, &ConstExpr::i32_const(1), in_table);
    let mut code = CodeSection::new();
    let mut body = |write: &dyn Fn(&mut wasm_encoder::InstructionSink<'_>)| {
        let mut function = Function::new([]);
        write(&mut function.instructions());
        function.instructions().end();
        code.function(&function);
    };
    // run: logs, then by the table.
    body(&|code| {
        code.local_get(0)
            .call(6)
            .local_get(0)
            .i32_const(1)
            .call_indirect(0, 1);
    });
    // other: calls `run`, and the one that is not in the table.
    body(&|code| {
        code.local_get(0).call(1).call(5);
    });
    // In the table: adds to the global.
    body(&|code| {
        code.global_get(0).local_get(0).i32_add().global_set(0);
        code.global_get(0).call(5);
    });
    // In the table: calls the other one there.
    body(&|code| {
        code.local_get(0).i32_const(2).call_indirect(0, 1);
    });
    // Reads the memory.
    body(&|code| {
        code.local_get(0)
            .i32_const(8)
            .i32_load(wasm_encoder::MemArg {
                offset: 0,
                align: 2,
                memory_index: 0,
            });
        code.i32_add().i32_const(7).i32_load(wasm_encoder::MemArg {
            offset: 1,
            align: 1,
            memory_index: 0,
        });
        code.i32_add();
    });
    body(&|code| {
        code.local_get(0).call(0);
    });
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(8), [7, 1, 0, 0]);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&tables).section(&memories).section(&globals);
    module
        .section(&exports)
        .section(&elements)
        .section(&code)
        .section(&data);
    module.finish()
}

fn run(modules: &[Vec<u8>]) -> serde_json::Value {
    let hex = |module: &Vec<u8>| {
        module
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let modules = serde_json::to_string(&modules.iter().map(hex).collect::<Vec<_>>()).unwrap();
    let output = Command::new("node")
        .args(["-e", RUNNER, &modules])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_module_does_the_same_however_it_is_split() {
    let module = whole();
    let expected = run(std::slice::from_ref(&module));
    assert_eq!(expected["logged"], serde_json::json!([3, 4, 5, 6]));
    for choice in 0..3_usize.pow(6) {
        let profile: Vec<usize> = (0..6).map(|at| choice / 3_usize.pow(at) % 3).collect();
        // Each process costs time: a part of the choices, which is another one for each function.
        if choice % 23 > 1 {
            continue;
        }
        let parts = divide(&module, &profile, &NONE, &Objects::default(), "parts", 0).unwrap();
        let found = run(&parts.modules);
        assert_eq!(found["results"], expected["results"], "{profile:?}");
        assert_eq!(found["logged"], expected["logged"], "{profile:?}");
    }
}

#[test]
fn parts_are_loaded_when_a_function_of_theirs_is_called() {
    let module = whole();
    let none_needed = divide(
        &module,
        &[0, 1, 0, 0, 0, 0],
        &NONE,
        &Objects::default(),
        "parts",
        0,
    )
    .unwrap();
    assert_eq!(none_needed.later_exports, [("other".to_owned(), 1)]);
    // `other` is called once, by its stub.
    assert_eq!(run(&none_needed.modules)["loads"], serde_json::json!([1]));
    let pinned = split(
        &module,
        &[0, 1, 0, 0, 0, 0],
        &Pinned(&|name| name == "other"),
        &Objects::default(),
        "parts",
    )
    .unwrap();
    assert_eq!(run(&pinned.modules)["loads"], serde_json::json!([]));
    assert!(pinned.later_exports.is_empty());
}

#[test]
fn a_small_function_is_where_it_is_called_first() {
    // What logs is called by `run`, and in the last part by the profile.
    let profile = [0, 1, 1, 1, 1, 2];
    let loads = |small| {
        let parts = divide(
            &whole(),
            &profile,
            &NONE,
            &Objects::default(),
            "parts",
            small,
        )
        .unwrap();
        run(&parts.modules)["loads"].clone()
    };
    assert_eq!(loads(0)[0], 2);
    assert_eq!(loads(100)[0], 1);
}

/// Returns the instructions of a module's functions.
fn instructions(module: &[u8]) -> Vec<Operator<'_>> {
    let bodies = Parser::new(0).parse_all(module).filter_map(|payload| {
        let Payload::CodeSectionEntry(body) = payload.unwrap() else {
            return None;
        };
        Some(body)
    });
    bodies
        .flat_map(|body| body.get_operators_reader().unwrap())
        .map(|operator| operator.unwrap())
        .collect()
}

#[test]
fn an_alignment_is_that_of_the_instruction_or_none() {
    let alignments = |module: &[u8]| -> Vec<u8> {
        let of = |operator| match operator {
            Operator::I32Load { memarg } => Some(memarg.align),
            _ => None,
        };
        instructions(module).into_iter().filter_map(of).collect()
    };
    let module = whole();
    assert_eq!(alignments(&module), [2, 1]);
    let parts = divide(&module, &[0; 6], &NONE, &Objects::default(), "parts", 0).unwrap();
    assert_eq!(alignments(&parts.modules[0]), [2, 0]);
}

#[test]
fn what_a_part_names_often_has_the_shortest_numbers() {
    let module = calling_many();
    let expected = run(std::slice::from_ref(&module));
    // `run` is the later part.
    let profile: Vec<usize> = (0..=MANY).map(|own| usize::from(own == MANY)).collect();
    let parts = divide(&module, &profile, &NONE, &Objects::default(), "parts", 0).unwrap();
    assert_eq!(run(&parts.modules)["results"], expected["results"]);
    let mut named = [0; MANY + 1];
    for operator in instructions(&parts.modules[1]) {
        if let Operator::Call { function_index } = operator {
            named[function_index as usize] += 1;
        }
    }
    assert_eq!(named[..3], [3, 3, 3]);
    assert!(named[3..].iter().all(|count| *count < 3), "{named:?}");
}

/// The number of functions that `run` calls.
const MANY: usize = 100;

/// A module whose `run` calls many functions, every 40th one three times. Each multiplies, and adds a number of its own.
fn calling_many() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for own in 0..=MANY {
        functions.function(0);
        let mut function = Function::new([]);
        let mut body = function.instructions();
        body.local_get(0);
        if own < MANY {
            body.i32_const(3).i32_mul().i32_const(own as i32).i32_add();
        } else {
            for called in 0..MANY {
                for _ in 0..if called % 40 == 0 { 3 } else { 1 } {
                    body.call(called as u32);
                }
            }
        }
        body.end();
        code.function(&function);
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1,
        maximum: Some(1),
        shared: false,
    });
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, MANY as u32);
    exports.export("other", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables);
    module.section(&exports).section(&code);
    module.finish()
}

#[test]
fn an_instrumented_module_notes_what_has_run() {
    let noting = instrument(&whole()).unwrap();
    let found = run(&[noting]);
    // All but the second one, which is `other`; then all.
    assert_eq!(found["ran"], serde_json::json!(0b11_1101));
    assert_eq!(found["hits"], serde_json::json!(0b11_1111));
}

#[test]
fn a_profile_of_another_module_is_refused() {
    assert!(split(&whole(), &[0, 0], &NONE, &Objects::default(), "parts").is_err());
    assert!(split(b"no module", &[], &NONE, &Objects::default(), "parts").is_err());
}
