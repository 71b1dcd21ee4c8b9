//! The module that notes which of its functions have run.

use std::convert::Infallible;

use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, GlobalSection, GlobalType, Instruction,
    Module, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{ExportSectionReader, FunctionBody, GlobalSectionReader, Parser};

use crate::failure::{Because, Result};

/// The exports that have a bit for each function, set once it has run: `hits0` for the first 32
/// functions, and so on. Globals, since not every engine takes a second memory.
const HITS: &str = "hits";

/// The bits of a global.
const BITS: usize = 32;

/// Makes each function note that it has run. The module's memory stays as it is.
pub fn instrument(module: &[u8]) -> Result<Vec<u8>> {
    let mut noting = Noting {
        next: 0,
        notes: super::functions(module)?.div_ceil(BITS) as u32,
        first: 0,
    };
    let mut written = Module::new();
    noting
        .parse_core_module(&mut written, Parser::new(0), module)
        .because("adding notes to the module's functions")?;
    Ok(written.finish())
}

struct Noting {
    /// The function that is written next.
    next: u32,
    /// The number of globals with notes, and the index of the first one.
    notes: u32,
    first: u32,
}

type Written<T> = std::result::Result<T, Error<Infallible>>;

impl Reencode for Noting {
    type Error = Infallible;

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Written<()> {
        self.first = section.count();
        utils::parse_global_section(self, globals, section)?;
        for _ in 0..self.notes {
            let kind = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(kind, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Written<()> {
        utils::parse_export_section(self, exports, section)?;
        for note in 0..self.notes {
            let name = format!("{HITS}{note}");
            exports.export(&name, ExportKind::Global, self.first + note);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Written<()> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let (note, bit) = (self.next / BITS as u32, self.next % BITS as u32);
        let global = self.first + note;
        function.instruction(&Instruction::GlobalGet(global));
        function.instruction(&Instruction::I32Const((1_u32 << bit) as i32));
        function.instruction(&Instruction::I32Or);
        function.instruction(&Instruction::GlobalSet(global));
        self.next += 1;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            function.instruction(&self.parse_instruction(&mut reader)?);
        }
        code.function(&function);
        Ok(())
    }
}
