//! The module that notes which blocks of its functions have run.

use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, GlobalSection, GlobalType,
    Instruction, Module, ValType,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{ExportSectionReader, FunctionBody, GlobalSectionReader, Parser};

use crate::failure::{Because, Failure, Result};

use super::blocks;

/// The exports that have a bit for each block, set once it has run: `hits0` for the first 32
/// blocks, and so on. Globals, since not every engine takes a second memory.
const HITS: &str = "hits";

/// The bits of a global.
const BITS: usize = 32;

/// Makes each block note that it has run. The module's memory stays as it is.
pub fn instrument(module: &[u8]) -> Result<Vec<u8>> {
    let mut noting = Noting {
        next: 0,
        notes: super::blocks(module)?.div_ceil(BITS) as u32,
        first: 0,
    };
    let mut written = Module::new();
    noting
        .parse_core_module(&mut written, Parser::new(0), module)
        .because("adding notes to the module's functions")?;
    Ok(written.finish())
}

struct Noting {
    /// The block that is written next.
    next: u32,
    /// The number of globals with notes, and the index of the first one.
    notes: u32,
    first: u32,
}

type Written<T> = std::result::Result<T, Error<Failure>>;

impl Reencode for Noting {
    type Error = Failure;

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
        for read in blocks::read(&body).map_err(Error::UserError)? {
            if read.begins {
                self.note(&mut function);
            }
            function.instruction(&self.instruction(read.operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

impl Noting {
    fn note(&mut self, function: &mut Function) {
        let (note, bit) = (self.next / BITS as u32, self.next % BITS as u32);
        let global = self.first + note;
        function.instruction(&Instruction::GlobalGet(global));
        function.instruction(&Instruction::I32Const((1_u32 << bit) as i32));
        function.instruction(&Instruction::I32Or);
        function.instruction(&Instruction::GlobalSet(global));
        self.next += 1;
    }
}
