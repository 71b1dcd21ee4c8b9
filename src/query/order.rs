//! The order of all values, as bytes: two values compare as what is written of them here.
//!
//! Null comes first, then false and true, numbers, strings, arrays and objects. Filters, sort keys,
//! indexes and cursors all use these bytes, so that they cannot disagree.
//!
//! A value is a byte for its type and then: a number as its bits, changed so that their order is
//! that of the numbers; a string as its characters, with `00 FF` for a zero, and `00` behind the
//! last; an array as its items, an object as its members in order of name, and `01` behind the
//! last. Types are from 0x10 to 0x6F, so what follows a value never compares like a part of it, nor
//! does it once all bytes are inverted for a descending order.

use crate::query::cell::Cell;
use crate::query::walk::decode;

const NULL: u8 = 0x10;
const FALSE: u8 = 0x20;
const TRUE: u8 = 0x21;
const NUMBER: u8 = 0x30;
const TEXT: u8 = 0x40;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;

const END_OF_TEXT: u8 = 0;
const END_OF_ITEMS: u8 = 1;

/// Before and behind every value, ascending and descending.
const NULL_FIRST: u8 = 0x02;
const NULL_LAST: u8 = 0xfd;

/// Deeper values are compared by their text.
const MAX_DEPTH: u32 = 128;

/// Returns the byte of a value's type: the same for all strings, and for true and false.
pub(super) const fn class(cell: Cell<'_>) -> u8 {
    match cell {
        Cell::Null => NULL,
        Cell::Bool(_) => FALSE,
        Cell::Number(_) => NUMBER,
        Cell::Text(_) | Cell::Escaped(_) => TEXT,
        Cell::Array(_) => ARRAY,
        Cell::Object(_) => OBJECT,
    }
}

/// Returns the least bytes of a type, and bytes that are greater than those of all its values.
pub(super) const fn bounds(class: u8) -> (u8, u8) {
    (class, class.saturating_add(0x10))
}

/// Appends a value.
pub(super) fn push(out: &mut Vec<u8>, cell: Cell<'_>) {
    push_at(out, cell, MAX_DEPTH);
}

/// Appends a value as one part of a sort key.
pub(super) fn push_part(
    out: &mut Vec<u8>,
    cell: Cell<'_>,
    descending: bool,
    nulls_first: Option<bool>,
) {
    let start = out.len();
    match (cell, nulls_first) {
        (Cell::Null, Some(first)) => return out.push(if first { NULL_FIRST } else { NULL_LAST }),
        _ => push(out, cell),
    }
    if descending {
        invert(out.get_mut(start..).unwrap_or_default());
    }
}

/// Turns the order of bytes around.
pub(super) fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// Appends the characters of a string as they begin in the order, without its end: every string
/// that starts with them has these bytes first.
pub(super) fn push_prefix(out: &mut Vec<u8>, text: &[u8]) {
    out.push(TEXT);
    push_text(out, text);
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut parts = text.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend([0, 0xff]);
        out.extend_from_slice(part);
    }
}

fn push_at(out: &mut Vec<u8>, cell: Cell<'_>, depth: u32) {
    let Some(deeper) = depth.checked_sub(1) else {
        out.push(class(cell));
        if let Cell::Array(text) | Cell::Object(text) = cell {
            push_text(out, text);
        }
        return out.push(END_OF_TEXT);
    };
    match cell {
        Cell::Null => out.push(NULL),
        Cell::Bool(false) => out.push(FALSE),
        Cell::Bool(true) => out.push(TRUE),
        Cell::Number(number) => {
            let bits = (number + 0.0).to_bits();
            let sign = 1 << 63;
            let ordered = if bits & sign == 0 { bits | sign } else { !bits };
            out.push(NUMBER);
            out.extend(ordered.to_be_bytes());
        }
        Cell::Text(text) => {
            push_prefix(out, text);
            out.push(END_OF_TEXT);
        }
        Cell::Escaped(text) => {
            out.push(TEXT);
            let start = out.len();
            decode(text, out);
            if out.get(start..).unwrap_or_default().contains(&0) {
                let decoded = out.split_off(start);
                push_text(out, &decoded);
            }
            out.push(END_OF_TEXT);
        }
        Cell::Array(_) => {
            out.push(ARRAY);
            cell.items().for_each(|item| push_at(out, item, deeper));
            out.push(END_OF_ITEMS);
        }
        Cell::Object(_) => {
            out.push(OBJECT);
            for (name, value) in sorted_members(cell) {
                push_at(out, Cell::Text(&name), deeper);
                push_at(out, value, deeper);
            }
            out.push(END_OF_ITEMS);
        }
    }
}

/// Returns the members of an object in order of name; of equal names the last one, as `JSON.parse`.
fn sorted_members(cell: Cell<'_>) -> Vec<(Vec<u8>, Cell<'_>)> {
    let mut members: Vec<(Vec<u8>, Cell<'_>)> = Vec::new();
    for (escaped, value) in cell.members() {
        let mut name = Vec::with_capacity(escaped.len());
        decode(escaped, &mut name);
        match members.binary_search_by(|(have, _)| have.cmp(&name)) {
            Ok(at) => {
                if let Some((_, old)) = members.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => members.insert(at, (name, value)),
        }
    }
    members
}
