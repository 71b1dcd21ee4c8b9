//! The blocks of a function's code: what has run of a block has run from its beginning.

use wasmparser::{FunctionBody, Operator};

use crate::failure::{Because, Result};

/// An instruction as it stands in the module.
pub struct Read<'a> {
    pub operator: Operator<'a>,
    pub offset: usize,
    /// Its length in bytes.
    pub size: usize,
    /// Whether a block begins with it.
    pub begins: bool,
}

/// Reads the instructions of a function. The first one begins a block.
pub fn read<'a>(body: &FunctionBody<'a>) -> Result<Vec<Read<'a>>> {
    let reading = "reading the module's code";
    let mut reader = body.get_operators_reader().because(reading)?;
    let mut code: Vec<Read<'a>> = Vec::new();
    while !reader.eof() {
        let offset = reader.original_position();
        let operator = reader.read().because(reading)?;
        let is_end = matches!(operator, Operator::End | Operator::Else);
        let begins = code
            .last()
            .is_none_or(|last| divides(&last.operator) && !is_end);
        code.push(Read {
            operator,
            offset,
            size: reader.original_position() - offset,
            begins,
        });
    }
    Ok(code)
}

/// Returns true if the instruction after this one may run without it, or this one without that.
/// An instruction that always jumps needs no entry: nothing runs between it and the next `end`.
fn divides(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::BrIf { .. }
    )
}
