//! Writes the module with its divided functions.

use std::convert::Infallible;

use wasm_encoder::{
    CodeSection, Function, FunctionSection, Instruction, Module, NameMap, NameSection, TypeSection,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FuncType, FunctionSectionReader, Parser,
    TypeSectionReader, ValType,
};

use crate::failure::{Because, Result};

use super::{
    New, Whole,
    function::{Op, Step},
};
use crate::split::program::Program;

/// Writes the module: the functions in their order, and the new ones after them.
pub fn write(module: &[u8], whole: &Whole<'_>, new: &[New<'_>]) -> Result<Vec<u8>> {
    let doing = "writing the module with divided functions";
    let mut types = whole.types.clone();
    let mut kinds = Vec::new();
    for new in new {
        let kind = FuncType::new(new.cut.takes.clone(), new.cut.leaves.clone());
        let known = types.iter().position(|of| *of == kind);
        kinds.push(known.unwrap_or(types.len()) as u32);
        if known.is_none() {
            types.push(kind);
        }
    }
    let mut written = Module::new();
    let mut writer = Writer {
        whole,
        new,
        types: types.get(whole.types.len()..).unwrap_or_default(),
        kinds,
    };
    writer
        .parse_core_module(&mut written, Parser::new(0), module)
        .because(doing)?;
    let program = Program::read(module).because(doing)?;
    let mut names = NameMap::new();
    for (index, name) in &program.names {
        names.append(*index, name);
    }
    let defined = (whole.imported + whole.functions.len()) as u32;
    for (index, new) in (defined..).zip(new) {
        let from = program.names.get(&((whole.imported + new.from) as u32));
        let from = from.copied().unwrap_or_default();
        names.append(index, &format!("{from} (a late part)"));
    }
    let mut section = NameSection::new();
    section.functions(&names);
    written.section(&section);
    Ok(written.finish())
}

struct Writer<'a> {
    whole: &'a Whole<'a>,
    new: &'a [New<'a>],
    /// The types that the module does not have yet.
    types: &'a [FuncType],
    /// The types of the new functions.
    kinds: Vec<u32>,
}

type Written<T> = std::result::Result<T, Error<Infallible>>;

impl Reencode for Writer<'_> {
    type Error = Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Written<()> {
        utils::parse_type_section(self, types, section)?;
        for kind in self.types {
            let kind = self.func_type(kind.clone())?;
            types.ty().func_type(&kind);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Written<()> {
        utils::parse_function_section(self, functions, section)?;
        for kind in &self.kinds {
            functions.function(*kind);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        _: CodeSectionReader<'_>,
    ) -> Written<()> {
        for function in &self.whole.functions {
            let locals = function.locals.get(function.params..).unwrap_or_default();
            let ops = function.code.iter().map(|step: &Step<'_>| &step.op);
            code.function(&self.function(locals, ops)?);
        }
        for new in self.new {
            code.function(&self.function(&new.cut.locals, new.cut.code.iter())?);
        }
        Ok(())
    }

    fn parse_custom_section(&mut self, _: &mut Module, _: CustomSectionReader<'_>) -> Written<()> {
        // `write` adds a section with all names, and there are no other custom sections.
        Ok(())
    }
}

impl Writer<'_> {
    fn function<'a>(
        &mut self,
        locals: &[ValType],
        ops: impl Iterator<Item = &'a Op<'a>>,
    ) -> Written<Function> {
        let locals: Written<Vec<_>> = locals.iter().map(|kind| self.val_type(*kind)).collect();
        let mut function = Function::new_with_locals_types(locals?);
        for op in ops {
            match op {
                Op::Plain(operator) => {
                    function.instruction(&self.instruction(operator.clone())?);
                }
                Op::Table(labels) => {
                    let (last, others) = labels.split_last().unwrap_or((&0, &[]));
                    function.instruction(&Instruction::BrTable(others.into(), *last));
                }
            }
        }
        Ok(function)
    }
}
