//! Which part brings which bytes of the memory.

use std::ops::Range;

use wasmparser::{Data, DataKind, Operator};

use crate::{
    failure::{Because, Failure, Result},
    split::program::Program,
};

use super::{Object, Objects, addresses::numbers, linked::containing};

/// So many bytes between two runs of a part's are written too: without that there were twice as many
/// runs, each with a beginning that hardly compresses. They are constants, so they are the same
/// whichever part writes them, and how often.
const BRIDGE: u32 = 32;

/// Bytes from an address on.
pub type Run<'a> = (u32, &'a [u8]);

/// The parts of the objects in memory.
pub struct Segments<'o> {
    pub(super) objects: &'o [Object],
    /// None for an object that nothing names.
    pub(super) part_of: Vec<Option<usize>>,
    pub(super) bridge: u32,
}

impl<'o> Segments<'o> {
    /// `parts` are the parts of the functions that the module defines. An object is in the first part whose
    /// functions name it, or name an object that has its address.
    pub fn new(program: &Program<'_>, parts: &[usize], objects: &'o Objects) -> Result<Self> {
        Self::bridged(program, parts, objects, BRIDGE)
    }

    /// As [`Self::new`], with the number of bytes that are written between runs.
    pub fn bridged(
        program: &Program<'_>,
        parts: &[usize],
        objects: &'o Objects,
        bridge: u32,
    ) -> Result<Self> {
        let first = |object: &Object| object.is_first.then_some(0);
        let mut segments = Self {
            objects: &objects.list,
            part_of: objects.list.iter().map(first).collect(),
            bridge,
        };
        let reading = "reading the module's code";
        for (body, part) in program.bodies.iter().zip(parts) {
            let mut reader = body.get_operators_reader().because(reading)?;
            while !reader.eof() {
                let operator = reader.read().because(reading)?;
                let named = numbers(&operator).into_iter().flatten();
                for object in named.filter_map(|number| objects.addresses.get(&number)) {
                    for object in object {
                        segments.bring_by(*object, *part);
                    }
                }
            }
        }
        segments.follow();
        for part in 0..parts.iter().max().map_or(1, |last| last + 1) {
            segments.keep_written(program, part)?;
        }
        Ok(segments)
    }

    /// Leaves out of later parts what a part writes in any case, between its own objects.
    fn keep_written(&mut self, program: &Program<'_>, part: usize) -> Result<()> {
        let objects = self.objects;
        for data in &program.data {
            let (address, bytes) = segment(data)?;
            for run in self.runs(address..address + bytes.len() as u32, part) {
                let from = objects.partition_point(|one| one.range.start < run.start);
                let to = objects.partition_point(|one| one.range.end <= run.end);
                for object in from..to {
                    self.bring_by(object, part);
                }
            }
        }
        Ok(())
    }

    /// Has an object in a part, unless it is in an earlier one. Returns whether that is new.
    fn bring_by(&mut self, object: usize, part: usize) -> bool {
        let Some(known) = self.part_of.get_mut(object) else {
            return false;
        };
        let is_earlier = known.is_none_or(|known| part < known);
        if is_earlier {
            *known = Some(part);
        }
        is_earlier
    }

    /// Has with each object those that it names.
    fn follow(&mut self) {
        let objects = self.objects;
        let mut left: Vec<usize> = (0..objects.len()).collect();
        while let Some(object) = left.pop() {
            let part = self.part_of.get(object).copied().flatten();
            let names = objects.get(object).map(|object| &object.names);
            if let (Some(part), Some(names)) = (part, names) {
                let new = names.iter().copied();
                left.extend(new.filter(|named| self.bring_by(*named, part)));
            }
        }
    }

    /// Returns the bytes that a part brings.
    pub fn of_part<'a>(&self, program: &Program<'a>, part: usize) -> Result<Vec<Run<'a>>> {
        let mut runs = Vec::new();
        for data in &program.data {
            let (address, bytes) = segment(data)?;
            for run in self.runs(address..address + bytes.len() as u32, part) {
                let places = (run.start - address) as usize..(run.end - address) as usize;
                runs.push((run.start, bytes.get(places).because("a run of bytes")?));
            }
        }
        Ok(runs)
    }

    pub(super) fn runs(&self, segment: Range<u32>, part: usize) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        // From here on there have been only constants.
        let mut constant_from = segment.start;
        let mut at = segment.start;
        while at < segment.end {
            let (end, brought_by, is_constant) = self.piece(at, segment.end);
            if brought_by == Some(part) {
                match runs.last_mut() {
                    Some(last) if constant_from <= last.end && at - last.end <= self.bridge => {
                        last.end = end;
                    }
                    _ => runs.push(at..end),
                }
            }
            if !is_constant {
                constant_from = end;
            }
            at = end;
        }
        runs
    }

    /// Returns where the object ends that a byte is in, or what is in none, the part that brings it, and whether it is
    /// an object.
    fn piece(&self, at: u32, limit: u32) -> (u32, Option<usize>, bool) {
        if let Some(index) = containing(self.objects, at) {
            let end = self.objects.get(index).map_or(limit, |one| one.range.end);
            let part = self.part_of.get(index).copied().flatten();
            return (end.min(limit), part, true);
        }
        let next = self.objects.partition_point(|one| one.range.start <= at);
        let end = self.objects.get(next).map_or(limit, |one| one.range.start);
        (end.min(limit), Some(0), false)
    }
}

fn segment<'a>(data: &Data<'a>) -> Result<(u32, &'a [u8])> {
    if let DataKind::Active {
        memory_index: 0,
        offset_expr,
    } = &data.kind
        && let Ok(Operator::I32Const { value }) = offset_expr.get_operators_reader().read()
    {
        return Ok((value as u32, data.data));
    }
    Err(Failure::new("data of a kind that is not known here"))
}
