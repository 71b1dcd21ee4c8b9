//! Conditions on an entity, compiled, and whether they hold. Two-valued: a condition holds or does
//! not, and `not` turns that around.

use std::cmp::Ordering;

use crate::query::cell::Cell;
use crate::query::fields::{EntityRef, FieldPaths, Slots};
use crate::query::order;
use crate::query::pattern::{Pattern, Threads};
use crate::query::place::{Circle, Point};
use crate::query::text;

/// A condition. Fields are slots of [`FieldPaths`].
#[derive(Debug)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(usize, Test),
}

/// A condition on the value of one field.
#[derive(Debug)]
pub(super) enum Test {
    Null,
    Equals(Operand),
    /// One of these, in their order.
    In(Vec<Box<[u8]>>),
    /// Of the same type, and within the ends; each with true if it belongs to the range.
    Range(Option<(Operand, bool)>, Option<(Operand, bool)>),
    Contains(Box<[u8]>),
    /// The text has both cases made one.
    ContainsFolded(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Matches(Pattern),
    /// An array with one of these, in their order.
    HasAny(Vec<Box<[u8]>>),
    Near(Circle),
}

/// A value to compare with.
#[derive(Debug)]
pub(super) struct Operand {
    /// The value in the order of all values.
    pub(super) bytes: Box<[u8]>,
    class: u8,
    /// The value of a number, and the characters of a string: most comparisons need no more.
    quick: Quick,
}

#[derive(Debug)]
enum Quick {
    Number(f64),
    Text(Box<[u8]>),
    Other,
}

impl Operand {
    pub(super) fn new(cell: Cell<'_>) -> Self {
        let mut bytes = Vec::new();
        order::push(&mut bytes, cell);
        let quick = match cell {
            Cell::Number(number) => Quick::Number(number),
            _ => cell
                .text(&mut Vec::new())
                .map_or(Quick::Other, |text| Quick::Text(text.into())),
        };
        Self {
            bytes: bytes.into(),
            class: order::class(cell),
            quick,
        }
    }

    /// Returns the byte of the value's type.
    pub(super) const fn class(&self) -> u8 {
        self.class
    }

    /// Compares a value with this one; `None` if they have different types.
    fn order(&self, cell: Cell<'_>, room: &mut Vec<u8>) -> Option<Ordering> {
        if order::class(cell) != self.class {
            return None;
        }
        match (&self.quick, cell) {
            (Quick::Number(own), Cell::Number(number)) => number.partial_cmp(own),
            (Quick::Text(own), Cell::Text(text)) => Some(text.cmp(own)),
            _ => {
                room.clear();
                order::push(room, cell);
                Some(room.as_slice().cmp(&self.bytes))
            }
        }
    }
}

/// Room that comparisons use again for the next entity.
#[derive(Debug, Default)]
pub(super) struct Room {
    text: Vec<u8>,
    folded: Vec<u8>,
    threads: Threads,
}

/// An entity whose fields have been found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) paths: &'a FieldPaths,
    pub(super) slots: &'a Slots,
    pub(super) entity: &'a EntityRef<'a>,
}

impl<'a> Found<'a> {
    /// Returns the value of a field.
    pub(super) fn cell(&self, slot: usize) -> Cell<'a> {
        self.slots.cell(self.paths, slot, self.entity)
    }
}

impl Node {
    /// Returns true if the condition holds.
    pub(super) fn holds(&self, found: Found<'_>, room: &mut Room) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(found, room)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(found, room)),
            Self::Not(node) => !node.holds(found, room),
            Self::Test(slot, test) => test.holds(found.cell(*slot), room),
        }
    }
}

impl Test {
    fn holds(&self, cell: Cell<'_>, room: &mut Room) -> bool {
        match self {
            Self::Null => matches!(cell, Cell::Null),
            Self::Equals(operand) => operand.order(cell, &mut room.text) == Some(Ordering::Equal),
            Self::In(values) => is_among(values, cell, &mut room.text),
            Self::Range(least, most) => {
                let within = |end: &Option<(Operand, bool)>, beyond, room: &mut Room| {
                    end.as_ref().is_none_or(|(operand, inclusive)| {
                        match operand.order(cell, &mut room.text) {
                            Some(Ordering::Equal) => *inclusive,
                            Some(order) => order != beyond,
                            None => false,
                        }
                    })
                };
                within(least, Ordering::Less, room) && within(most, Ordering::Greater, room)
            }
            Self::HasAny(values) => cell
                .items()
                .any(|item| is_among(values, item, &mut room.text)),
            Self::Near(circle) => Point::read(cell).is_some_and(|point| circle.has(point)),
            _ => cell
                .text(&mut room.text)
                .is_some_and(|text| self.holds_of(text, &mut room.folded, &mut room.threads)),
        }
    }

    fn holds_of(&self, text: &[u8], folded: &mut Vec<u8>, threads: &mut Threads) -> bool {
        match self {
            Self::Contains(part) => text::contains(text, part),
            Self::ContainsFolded(part) => {
                folded.clear();
                text::push_folded(folded, text);
                text::contains(folded, part)
            }
            Self::StartsWith(part) => text.starts_with(part),
            Self::EndsWith(part) => text.ends_with(part),
            Self::Matches(pattern) => pattern.is_in(text, threads),
            _ => false,
        }
    }
}

fn is_among(values: &[Box<[u8]>], cell: Cell<'_>, room: &mut Vec<u8>) -> bool {
    room.clear();
    order::push(room, cell);
    values
        .binary_search_by(|value| (**value).cmp(room.as_slice()))
        .is_ok()
}
