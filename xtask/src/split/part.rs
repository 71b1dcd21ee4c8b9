//! Writes one part.

use std::{borrow::Cow, collections::BTreeMap};

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, ImportSection, Instruction,
    MemorySection, Module, StartSection, TableSection, TypeSection,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{ExternalKind, FunctionBody, MemArg, Operator};

use crate::failure::{Because, Failure, Result};

use super::{
    data::Segments,
    plan::{FUNCTIONS, LOADER, Plan, Taken, is_function},
    program::Program,
};

/// Writes a part of the module.
pub fn write(
    program: &Program<'_>,
    plan: &Plan,
    segments: &Segments<'_>,
    part: usize,
) -> Result<Vec<u8>> {
    let mut writer = Writer::new(program, plan, part);
    let doing = format!("writing part {part} of the module");
    // The code and the imports decide which types there are.
    let (functions, code) = writer.code().because(&doing)?;
    let imports = writer.imports().because(&doing)?;
    let elements = writer.elements().because(&doing)?;
    let exports = writer.exports().because(&doing)?;
    let mut module = Module::new();
    module.section(&writer.types().because(&doing)?);
    module.section(&imports).section(&functions);
    if part == 0 {
        writer.definitions(&mut module).because(&doing)?;
    }
    module.section(&exports);
    if let Some(start) = program.start.filter(|_| part == 0) {
        let function_index = writer.function_index(start).because(&doing)?;
        module.section(&StartSection { function_index });
    }
    module.section(&elements).section(&code);
    let mut data = DataSection::new();
    for (address, bytes) in segments.of_part(program, part)? {
        let address = ConstExpr::i32_const(address as i32);
        data.active(0, &address, bytes.iter().copied());
    }
    module.section(&data);
    Ok(module.finish())
}

/// Returns the indices of the functions and stubs of a part, by those of the whole module.
pub fn indices(program: &Program<'_>, plan: &Plan, part: usize) -> Vec<(u32, u32)> {
    let writer = Writer::new(program, plan, part);
    let own = plan.own(part).chain(plan.stubs(program, part));
    let index = |function| {
        writer
            .functions
            .get(&function)
            .or(writer.stubs.get(&function))
    };
    own.filter_map(|function| Some((function, *index(function)?)))
        .collect()
}

/// The indices of a part, by those of the whole module.
struct Writer<'a> {
    program: &'a Program<'a>,
    plan: &'a Plan,
    part: usize,
    /// The types in the order of their first use.
    types: Vec<u32>,
    type_indices: BTreeMap<u32, u32>,
    functions: BTreeMap<u32, u32>,
    /// The stubs by the functions that they stand for.
    stubs: BTreeMap<u32, u32>,
    globals: BTreeMap<u32, u32>,
    tables: BTreeMap<u32, u32>,
    loader: u32,
}

type Written<T> = std::result::Result<T, Error<Failure>>;

impl<'a> Writer<'a> {
    fn new(program: &'a Program<'a>, plan: &'a Plan, part: usize) -> Self {
        let taken = plan.taken(program, part);
        let mut next = 0..;
        let mut functions: BTreeMap<u32, u32> = taken
            .iter()
            .map(|taken| taken.function)
            .zip(&mut next)
            .collect();
        let loader = next.next().unwrap_or_default();
        functions.extend(plan.own(part).zip(&mut next));
        let stubs = plan
            .stubs(program, part)
            .into_iter()
            .zip(&mut next)
            .collect();
        let (globals, tables) = if part == 0 {
            let (globals, tables) = (program.globals.len(), program.tables.len());
            let same = |count: usize| (0..count as u32).map(|index| (index, index)).collect();
            (same(globals), same(tables))
        } else {
            (
                plan.globals(part).into_iter().zip(0..).collect(),
                plan.tables(part).into_iter().zip(0..).collect(),
            )
        };
        Self {
            program,
            plan,
            part,
            types: Vec::new(),
            type_indices: BTreeMap::new(),
            functions,
            stubs,
            globals,
            tables,
            loader,
        }
    }

    fn type_of(&self, function: u32) -> Written<u32> {
        let types = &self.program.function_types;
        let known = types.get(function as usize).copied();
        known.ok_or_else(|| missing("the type of function", function))
    }

    fn code(&mut self) -> Written<(FunctionSection, CodeSection)> {
        let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
        let first = self.program.imported() as u32;
        for function in self.plan.own(self.part) {
            functions.function(
                self.type_of(function)
                    .and_then(|kind| self.type_index(kind))?,
            );
            let body = self.program.bodies.get((function - first) as usize);
            let body = body.ok_or_else(|| missing("function", function))?;
            self.parse_function_body(&mut code, body.clone())?;
        }
        for function in self.plan.stubs(self.program, self.part) {
            let kind = self.type_of(function)?;
            functions.function(self.type_index(kind)?);
            code.function(&self.stub(function, kind)?);
        }
        Ok((functions, code))
    }

    /// Loads the part of a function, and calls it.
    fn stub(&mut self, function: u32, kind: u32) -> Written<Function> {
        let params = self.program.types.get(kind as usize);
        let params = params.map_or(0, |kind| kind.params().len());
        let part = self.plan.part(function);
        let mut stub = Function::new([]);
        stub.instruction(&Instruction::I32Const(part as i32));
        stub.instruction(&Instruction::Call(self.loader));
        for param in 0..params as u32 {
            stub.instruction(&Instruction::LocalGet(param));
        }
        for instruction in self.by_table(function, kind)? {
            stub.instruction(&instruction);
        }
        stub.instruction(&Instruction::End);
        Ok(stub)
    }

    /// Returns the call of a function by its place in the table.
    fn by_table(&mut self, function: u32, kind: u32) -> Written<[Instruction<'static>; 2]> {
        let slot = self.plan.slot(function);
        let slot = slot.ok_or_else(|| missing("the place of function", function))?;
        let call = Instruction::CallIndirect {
            type_index: self.type_index(kind)?,
            table_index: self.table_index(FUNCTIONS)?,
        };
        Ok([Instruction::I32Const(slot as i32), call])
    }

    fn imports(&mut self) -> Written<ImportSection> {
        let mut section = ImportSection::new();
        for Taken { function, from } in self.plan.taken(self.program, self.part) {
            let kind = self
                .type_of(function)
                .and_then(|kind| self.type_index(kind))?;
            let kind = EntityType::Function(kind);
            match from {
                Some((lender, name)) => {
                    section.import(&lender.to_string(), &name.to_string(), kind);
                }
                None => {
                    let import = self.program.imports.get(function as usize);
                    let import = import.ok_or_else(|| missing("import", function))?;
                    section.import(import.module, import.name, kind);
                }
            }
        }
        let takes_part = self.load_type();
        section.import(&self.plan.build, LOADER, EntityType::Function(takes_part));
        if self.part > 0 {
            self.shared(&mut section)?;
        }
        Ok(section)
    }

    /// The memory, globals and tables of the first part.
    fn shared(&mut self, section: &mut ImportSection) -> Written<()> {
        let first = "0";
        for (index, memory) in self.program.memories.iter().enumerate() {
            let kind = self.memory_type(*memory)?;
            section.import(first, &format!("{index}m"), EntityType::Memory(kind));
        }
        for index in self.plan.globals(self.part) {
            let global = self.program.globals.get(index as usize);
            let global = global.ok_or_else(|| missing("global", index))?;
            let kind = self.global_type(global.ty)?;
            section.import(first, &format!("{index}g"), EntityType::Global(kind));
        }
        for index in self.plan.tables(self.part) {
            let kind = self.table(index)?;
            section.import(first, &format!("{index}t"), EntityType::Table(kind));
        }
        Ok(())
    }

    fn table(&mut self, index: u32) -> Written<wasm_encoder::TableType> {
        let table = self.program.tables.get(index as usize);
        let mut kind = table.ok_or_else(|| missing("table", index))?.ty;
        if index == FUNCTIONS {
            kind.initial = self.plan.table_size;
            kind.maximum = Some(kind.initial);
        }
        self.table_type(kind)
    }

    /// The tables, memories and globals, which are the first part's.
    fn definitions(&mut self, module: &mut Module) -> Written<()> {
        let mut tables = TableSection::new();
        for index in 0..self.program.tables.len() as u32 {
            tables.table(self.table(index)?);
        }
        let mut memories = MemorySection::new();
        for memory in &self.program.memories {
            memories.memory(self.memory_type(*memory)?);
        }
        let mut globals = GlobalSection::new();
        for global in &self.program.globals {
            self.parse_global(&mut globals, global.clone())?;
        }
        module.section(&tables).section(&memories).section(&globals);
        Ok(())
    }

    fn exports(&mut self) -> Written<ExportSection> {
        let mut section = ExportSection::new();
        if self.part == 0 {
            for export in &self.program.exports {
                let index = match export.kind {
                    ExternalKind::Global => self.global_index(export.index)?,
                    ExternalKind::Table => self.table_index(export.index)?,
                    ExternalKind::Memory => export.index,
                    kind if is_function(kind) => self.callable(export.index)?,
                    _ => return Err(missing("the kind of export", export.index)),
                };
                section.export(export.name, self.export_kind(export.kind)?, index);
            }
            for index in 0..self.program.memories.len() as u32 {
                section.export(&format!("{index}m"), ExportKind::Memory, index);
            }
            for index in self.plan.globals(0) {
                section.export(&format!("{index}g"), ExportKind::Global, index);
            }
            for index in self.plan.tables(0) {
                section.export(&format!("{index}t"), ExportKind::Table, index);
            }
        }
        for (name, function) in self
            .plan
            .lent(self.program, self.part)
            .into_iter()
            .enumerate()
        {
            let index = self.function_index(function)?;
            section.export(&name.to_string(), ExportKind::Func, index);
        }
        Ok(section)
    }

    /// Returns the index of a function, or of its stub where it is of a later part.
    fn callable(&mut self, function: u32) -> Written<u32> {
        match self.stubs.get(&function) {
            Some(stub) => Ok(*stub),
            None => self.function_index(function),
        }
    }

    fn elements(&mut self) -> Written<ElementSection> {
        let mut section = ElementSection::new();
        let mut run: Option<(u32, Vec<u32>)> = None;
        let table = self.table_index(FUNCTIONS)?;
        let mut write = |run: Option<(u32, Vec<u32>)>| {
            if let Some((first, functions)) = run {
                let offset = ConstExpr::i32_const(first as i32);
                let functions = Elements::Functions(Cow::Owned(functions));
                section.active((table != 0).then_some(table), &offset, functions);
            }
        };
        for (place, function) in self.plan.filled(self.part) {
            let index = self.callable(function)?;
            match &mut run {
                Some((first, functions)) if *first + functions.len() as u32 == place => {
                    functions.push(index);
                }
                _ => write(run.replace((place, vec![index]))),
            }
        }
        write(run);
        Ok(section)
    }

    fn types(&mut self) -> Written<TypeSection> {
        let mut section = TypeSection::new();
        for index in self.types.clone() {
            let kind = match index {
                LOAD_TYPE => wasmparser::FuncType::new([wasmparser::ValType::I32], []),
                _ => {
                    let kind = self.program.types.get(index as usize);
                    kind.ok_or_else(|| missing("type", index))?.clone()
                }
            };
            let kind = self.func_type(kind)?;
            section.ty().func_type(&kind);
        }
        Ok(section)
    }

    /// Returns the index of the loader's type.
    fn load_type(&mut self) -> u32 {
        let takes_part = wasmparser::FuncType::new([wasmparser::ValType::I32], []);
        let known = self
            .program
            .types
            .iter()
            .position(|kind| *kind == takes_part);
        self.type_at(known.map_or(LOAD_TYPE, |index| index as u32))
    }

    fn type_at(&mut self, index: u32) -> u32 {
        let next = self.types.len() as u32;
        let at = *self.type_indices.entry(index).or_insert(next);
        if at == next {
            self.types.push(index);
        }
        at
    }
}

/// Stands for the type of the loader where the module has no such type.
const LOAD_TYPE: u32 = u32::MAX;

fn missing(what: &str, index: u32) -> Error<Failure> {
    Error::UserError(Failure::new(format!("{what} {index} is not there")))
}

impl Reencode for Writer<'_> {
    type Error = Failure;

    fn function_index(&mut self, function: u32) -> Written<u32> {
        let index = self.functions.get(&function).copied();
        index.ok_or_else(|| missing("function", function))
    }

    fn global_index(&mut self, global: u32) -> Written<u32> {
        let index = self.globals.get(&global).copied();
        index.ok_or_else(|| missing("global", global))
    }

    fn table_index(&mut self, table: u32) -> Written<u32> {
        let index = self.tables.get(&table).copied();
        index.ok_or_else(|| missing("table", table))
    }

    /// The alignment is a hint, and engines heed at most whether it is less than the instruction's own: so there are two of
    /// each, which compresses better.
    fn mem_arg(&mut self, given: MemArg) -> Written<wasm_encoder::MemArg> {
        let align = if given.align < given.max_align {
            0
        } else {
            given.align
        };
        utils::mem_arg(self, MemArg { align, ..given })
    }

    fn type_index(&mut self, index: u32) -> Written<u32> {
        Ok(self.type_at(index))
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Written<()> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            match operator {
                Operator::Call { function_index: f } if self.plan.part(f) > self.part => {
                    let kind = self.type_of(f)?;
                    for instruction in self.by_table(f, kind)? {
                        function.instruction(&instruction);
                    }
                }
                other => drop(function.instruction(&self.instruction(other)?)),
            }
        }
        code.function(&function);
        Ok(())
    }
}
