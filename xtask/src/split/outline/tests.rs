use std::{fs, process::Command};

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction, Module, TypeSection,
    ValType,
};

use super::*;
use crate::split;

/// Calls the functions of pairs of modules, and prints the seeds of the pairs that differ.
const RUNNER: &str = r#"
const pairs = JSON.parse(require("node:fs").readFileSync(process.argv[1]));
function run(hex) {
  const seen = [];
  const imports = { host: { note: (value) => seen.push(value) } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(hex, "hex")), imports);
  for (const name of ["f0", "f1", "f2"]) {
    for (const [one, other] of [[0, 0], [1, 0], [0, 1], [2, 3], [-1, 4]]) {
      exports.fuel.value = 20;
      seen.push(`${name}: ${exports[name](one, other)}`, exports.fuel.value);
    }
  }
  return seen.join("\n");
}
const failures = pairs.filter(([, before, after]) => run(before) !== run(after)).map(([seed]) => seed);
console.log(JSON.stringify(failures));
"#;

/// A generator of numbers (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Writes a function with any control flow, which ends soon and says what it does.
struct Writer<'a> {
    chance: &'a mut Chance,
    code: Vec<Instruction<'static>>,
    /// The labels around, the outermost first: whether a jump to it may carry nothing.
    labels: Vec<bool>,
    results: usize,
    /// How many instructions may still be written.
    left: usize,
}

/// The locals: of these numbers are the ones of 32 bits, of the others those of 64.
const SMALL: [u32; 6] = [0, 1, 2, 3, 4, 5];
const LARGE: [u32; 3] = [6, 7, 8];
/// The imported function that notes a number, and the global that ends loops.
const NOTE: u32 = 0;
const FUEL: u32 = 0;

impl Writer<'_> {
    fn pick(&mut self, of: usize) -> usize {
        self.chance.next() as usize % of
    }

    fn put(&mut self, instruction: Instruction<'static>) {
        self.left = self.left.saturating_sub(1);
        self.code.push(instruction);
    }

    fn small(&mut self) -> u32 {
        SMALL[self.pick(SMALL.len())]
    }

    /// Writes what leaves a number of 32 bits.
    fn value(&mut self, depth: usize) {
        match self.pick(if depth > 2 || self.left == 0 { 2 } else { 8 }) {
            0 => {
                let value = self.pick(5) as i32;
                self.put(Instruction::I32Const(value));
            }
            1..=3 => {
                let local = self.small();
                self.put(Instruction::LocalGet(local));
            }
            4 => {
                let local = LARGE[self.pick(LARGE.len())];
                self.put(Instruction::LocalGet(local));
                self.put(Instruction::I32WrapI64);
            }
            5 => {
                self.value(depth + 1);
                self.block(
                    Instruction::If(BlockType::Result(ValType::I32)),
                    false,
                    true,
                );
            }
            6 => self.block(
                Instruction::Block(BlockType::Result(ValType::I32)),
                false,
                true,
            ),
            _ => {
                self.value(depth + 1);
                self.value(depth + 1);
                let ops = [
                    Instruction::I32Add,
                    Instruction::I32Xor,
                    Instruction::I32LtS,
                ];
                let op = ops[self.pick(3)].clone();
                self.put(op);
            }
        }
    }

    /// Writes a block, with a second arm if it is an `if`.
    fn block(&mut self, opening: Instruction<'static>, carries_nothing: bool, leaves: bool) {
        let is_if = matches!(opening, Instruction::If(_));
        let is_loop = matches!(opening, Instruction::Loop(_));
        self.put(opening);
        self.labels.push(carries_nothing);
        for arm in 0..if is_if && (leaves || self.pick(2) == 0) {
            2
        } else {
            1
        } {
            if arm == 1 {
                self.put(Instruction::Else);
            }
            if is_loop {
                self.burn();
            }
            self.statements();
            if leaves {
                self.value(2);
            }
            if !leaves && self.pick(4) == 0 {
                self.jump();
            }
        }
        self.labels.pop();
        self.put(Instruction::End);
    }

    /// Leaves the function when it has gone round often enough.
    fn burn(&mut self) {
        self.put(Instruction::GlobalGet(FUEL));
        self.put(Instruction::I32Const(0));
        self.put(Instruction::I32LeS);
        self.put(Instruction::If(BlockType::Empty));
        for value in 0..self.results {
            self.put(Instruction::I32Const(value as i32));
        }
        self.put(Instruction::Return);
        self.put(Instruction::End);
        self.put(Instruction::GlobalGet(FUEL));
        self.put(Instruction::I32Const(1));
        self.put(Instruction::I32Sub);
        self.put(Instruction::GlobalSet(FUEL));
    }

    /// Returns the labels that a jump may name now.
    fn jumps(&self) -> Vec<u32> {
        let labels = self.labels.iter().rev().zip(0..);
        labels
            .filter(|(carries_nothing, _)| **carries_nothing)
            .map(|(_, label)| label)
            .collect()
    }

    /// Leaves the block, for good.
    fn jump(&mut self) {
        let labels = self.jumps();
        match self.pick(3) {
            0 if !labels.is_empty() => {
                let label = labels[self.pick(labels.len())];
                self.put(Instruction::Br(label));
            }
            1 if !labels.is_empty() => {
                self.value(2);
                let of = |writer: &mut Self| labels[writer.pick(labels.len())];
                let table: Vec<u32> = (0..3).map(|_| of(self)).collect();
                let last = of(self);
                self.put(Instruction::BrTable(table.into(), last));
            }
            _ => {
                for _ in 0..self.results {
                    self.value(2);
                }
                self.put(Instruction::Return);
            }
        }
    }

    fn statements(&mut self) {
        for _ in 0..2 + self.pick(4) {
            if self.left == 0 || self.labels.len() > 7 {
                return;
            }
            self.statement();
        }
    }

    fn statement(&mut self) {
        let labels = self.jumps();
        match self.pick(9) {
            0 | 1 => {
                self.value(0);
                let local = self.small();
                self.put(Instruction::LocalSet(local));
            }
            2 => {
                self.value(0);
                self.put(Instruction::I64ExtendI32S);
                let local = LARGE[self.pick(LARGE.len())];
                self.put(Instruction::LocalSet(local));
            }
            3 => {
                self.value(0);
                self.put(Instruction::Call(NOTE));
            }
            4 => {
                self.value(1);
                self.block(Instruction::If(BlockType::Empty), true, false);
            }
            5 => self.block(Instruction::Block(BlockType::Empty), true, false),
            6 => self.block(Instruction::Loop(BlockType::Empty), true, false),
            7 if !labels.is_empty() => {
                self.value(0);
                let label = labels[self.pick(labels.len())];
                self.put(Instruction::BrIf(label));
            }
            // With something below on the stack.
            8 if !labels.is_empty() => {
                self.value(1);
                self.value(1);
                let label = labels[self.pick(labels.len())];
                self.put(Instruction::BrIf(label));
                let local = self.small();
                self.put(Instruction::LocalTee(local));
                self.put(Instruction::Call(NOTE));
            }
            _ => {}
        }
    }
}

/// Returns a module with such functions, and the number of them.
fn module(chance: &mut Chance) -> Vec<u8> {
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
    types.ty().function([ValType::I32], []);
    for index in 0..3_u32 {
        types
            .ty()
            .function([ValType::I32; 2], vec![ValType::I32; index as usize]);
        functions.function(index + 1);
        exports.export(&format!("f{index}"), ExportKind::Func, index + 1);
        let mut writer = Writer {
            chance,
            code: Vec::new(),
            labels: vec![index == 0],
            results: index as usize,
            left: 250,
        };
        for _ in 0..4 {
            writer.statements();
        }
        (0..index).for_each(|_| writer.value(2));
        let mut function =
            Function::new([(SMALL.len() as u32 - 2, ValType::I32), (3, ValType::I64)]);
        for instruction in &writer.code {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::End);
        code.function(&function);
    }
    exports.export("fuel", ExportKind::Global, FUEL);
    let mut imports = ImportSection::new();
    imports.import("host", "note", EntityType::Function(0));
    let mut globals = GlobalSection::new();
    let mutable = GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    };
    globals.global(mutable, &ConstExpr::i32_const(20));
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&globals).section(&exports).section(&code);
    module.finish()
}

fn hex(module: &[u8]) -> String {
    module.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn functions_do_the_same_however_they_are_divided() {
    let mut pairs = Vec::new();
    let (mut new, mut exits) = (0, std::collections::BTreeSet::new());
    for seed in 1..=800_u64 {
        let chance = &mut Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let before = module(chance);
        let stages: Vec<usize> = (0..split::blocks(&before).unwrap())
            .map(|_| [0, 0, 1, 2][chance.next() as usize % 4])
            .collect();
        // Every region becomes a function, however small.
        let after = divide(&before, &stages, 0).unwrap();
        Validator::new()
            .validate_all(&after.module)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let divided = Program::read(&after.module).unwrap();
        assert_eq!(after.stages.len(), divided.bodies.len());
        new += divided.bodies.len() - Program::read(&before).unwrap().bodies.len();
        let kinds = divided
            .function_types
            .iter()
            .map(|kind| divided.types[*kind as usize].results().len());
        exits.extend(kinds);
        pairs.push((seed, hex(&before), hex(&after.module)));
    }
    // Otherwise the test would say nothing.
    assert!(new > 1_000, "{new} regions");
    assert!(exits.len() > 5, "results of new functions: {exits:?}");
    let file = std::env::temp_dir().join(format!("divided-{}.json", std::process::id()));
    fs::write(&file, serde_json::to_string(&pairs).unwrap()).unwrap();
    let output = Command::new("node")
        .args(["-e", RUNNER])
        .arg(&file)
        .output()
        .unwrap();
    fs::remove_file(&file).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let failures: Vec<u64> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        failures.is_empty(),
        "modules that do something else: {failures:?}"
    );
}

#[test]
fn what_runs_late_leaves_the_function() {
    let chance = &mut Chance(7);
    let before = module(chance);
    let count = split::blocks(&before).unwrap();
    // All early: nothing to divide. All late: nothing either, since the functions themselves are late.
    for stage in [0, 2] {
        let after = divide(&before, &vec![stage; count], 0).unwrap();
        assert!(after.stages.iter().all(|of| *of == stage));
        assert_eq!(
            after.stages.len(),
            Program::read(&before).unwrap().bodies.len()
        );
    }
}

#[test]
fn a_profile_of_another_module_is_refused() {
    let module = module(&mut Chance(3));
    let count = split::blocks(&module).unwrap();
    assert!(outline(&module, &vec![0; count + 1]).is_err());
    assert!(outline(&module, &vec![0; count - 1]).is_err());
    assert!(outline(b"no module", &[]).is_err());
}
