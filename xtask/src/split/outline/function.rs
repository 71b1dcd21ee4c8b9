//! A function's code, as it is taken apart.

use wasmparser::{
    BlockType, FuncToValidate, FuncType, FuncValidatorAllocations, FunctionBody, Operator, ValType,
    ValidatorResources,
};

use crate::failure::{Because, Result};

use super::super::blocks;

/// A function that the module defines.
pub struct Function<'a> {
    pub params: usize,
    pub results: Vec<ValType>,
    /// The types of its locals; the parameters come first.
    pub locals: Vec<ValType>,
    /// Locals that this tool has added.
    pub spare: Vec<u32>,
    /// Ends with the `end` of the function.
    pub code: Vec<Step<'a>>,
    /// The first stage in which it runs.
    pub stage: usize,
}

/// An instruction of it.
#[derive(Clone)]
pub struct Step<'a> {
    pub op: Op<'a>,
    /// The first stage in which it runs.
    pub stage: usize,
    /// Its length in bytes.
    pub size: usize,
    /// What lies on the stack before it, above the beginning of the block that it is in. Unknown where
    /// this tool has put it there.
    pub stack: Option<Vec<ValType>>,
}

#[derive(Clone)]
pub enum Op<'a> {
    Plain(Operator<'a>),
    /// Jumps to the label that a number picks; to the last one if it is too large.
    Table(Vec<u32>),
}

impl Op<'_> {
    /// Returns true if what follows it up to the next `end` cannot run.
    pub fn leaves(&self) -> bool {
        match self {
            Self::Table(_) => true,
            Self::Plain(operator) => matches!(
                operator,
                Operator::Br { .. } | Operator::Return | Operator::Unreachable
            ),
        }
    }

    pub fn opens(&self) -> bool {
        matches!(
            self,
            Self::Plain(Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. })
        )
    }

    /// Returns the labels that it may jump to.
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Table(labels) => labels,
            Self::Plain(Operator::Br { relative_depth } | Operator::BrIf { relative_depth }) => {
                std::slice::from_ref(relative_depth)
            }
            Self::Plain(_) => &[],
        }
    }

    /// Returns the local that it names, and whether it reads and writes it.
    pub fn local(&self) -> Option<(u32, bool, bool)> {
        let Self::Plain(operator) = self else {
            return None;
        };
        match operator {
            Operator::LocalGet { local_index } => Some((*local_index, true, false)),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                Some((*local_index, false, true))
            }
            _ => None,
        }
    }
}

impl<'a> Function<'a> {
    /// Reads a function, and checks it. `stages` has the first stage of each of its blocks.
    pub fn read(
        checked: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'a>,
        kind: &FuncType,
        stages: &mut impl Iterator<Item = usize>,
    ) -> Result<Self> {
        let checking = "checking the module's code";
        let mut checked = checked.into_validator(FuncValidatorAllocations::default());
        let mut reader = body.get_binary_reader();
        checked.read_locals(&mut reader).because(checking)?;
        let mut function = Self {
            params: kind.params().len(),
            results: kind.results().to_vec(),
            locals: (0..checked.len_locals())
                .filter_map(|local| checked.get_local_type(local))
                .collect(),
            spare: Vec::new(),
            code: Vec::new(),
            stage: 0,
        };
        let mut stage = 0;
        // The depth of the block whose end cannot be reached from here.
        let mut dead = None;
        for (place, read) in blocks::read(body)?.into_iter().enumerate() {
            if read.begins {
                stage = stages.next().because("the profile is of another module")?;
            }
            if place == 0 {
                function.stage = stage;
            }
            let ends = matches!(read.operator, Operator::End | Operator::Else);
            if dead == Some(checked.control_stack_height()) && ends {
                dead = None;
            }
            let stack = stack(&checked);
            checked.op(read.offset, &read.operator).because(checking)?;
            if dead.is_some() {
                continue;
            }
            let op = match read.operator {
                Operator::BrTable { targets } => {
                    let labels: wasmparser::Result<Vec<u32>> = targets.targets().collect();
                    let mut labels = labels.because(checking)?;
                    labels.push(targets.default());
                    Op::Table(labels)
                }
                other => Op::Plain(other),
            };
            if op.leaves() {
                dead = Some(checked.control_stack_height());
            }
            function.code.push(Step {
                op,
                stage,
                size: read.size,
                stack,
            });
        }
        Ok(function)
    }
}

/// Returns what lies on the stack above the beginning of the current block.
fn stack(checked: &wasmparser::FuncValidator<ValidatorResources>) -> Option<Vec<ValType>> {
    let frame = checked.get_control_frame(0)?;
    let height = (checked.operand_stack_height() as usize).checked_sub(frame.height)?;
    (0..height)
        .rev()
        .map(|depth| checked.get_operand_type(depth).flatten())
        .collect()
}

/// Returns the number of values that a block takes and the types of those that it leaves.
pub fn block_type(types: &[FuncType], kind: BlockType) -> Option<(usize, Vec<ValType>)> {
    Some(match kind {
        BlockType::Empty => (0, Vec::new()),
        BlockType::Type(result) => (0, vec![result]),
        BlockType::FuncType(index) => {
            let kind = types.get(index as usize)?;
            (kind.params().len(), kind.results().to_vec())
        }
    })
}
