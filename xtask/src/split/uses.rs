//! What code names.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{FunctionBody, Operator};

use crate::failure::{Because, Failure, Result};

use super::plan::FUNCTIONS;

/// What the code of functions names.
#[derive(Default)]
pub struct Uses {
    /// With the number of places that name each.
    pub functions: BTreeMap<u32, usize>,
    pub globals: BTreeSet<u32>,
    pub tables: BTreeSet<u32>,
}

impl Uses {
    /// Adds what a function names.
    pub fn note(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        let reading = "reading the module's code";
        let mut reader = body.get_operators_reader().because(reading)?;
        while !reader.eof() {
            let operator = reader.read().because(reading)?;
            match operator {
                Operator::Call { function_index } => {
                    *self.functions.entry(function_index).or_default() += 1;
                }
                Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
                    self.globals.insert(global_index);
                }
                Operator::CallIndirect { table_index, .. } => drop(self.tables.insert(table_index)),
                Operator::TableGet { table }
                | Operator::TableSet { table }
                | Operator::TableGrow { table }
                | Operator::TableSize { table }
                | Operator::TableFill { table }
                    if table != FUNCTIONS =>
                {
                    self.tables.insert(table);
                }
                // A stub is another function, and the table's size is not what it was.
                Operator::RefFunc { .. }
                | Operator::ReturnCall { .. }
                | Operator::TableGet { .. }
                | Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableSize { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. }
                | Operator::ElemDrop { .. }
                | Operator::MemoryInit { .. }
                | Operator::DataDrop { .. } => {
                    let what = format!("an instruction that cannot be split: {operator:?}");
                    return Err(Failure::new(what));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
