//! Compares JSON values where they stand in their texts.
//!
//! The order of members, white space and the way in which a string is escaped make no difference.
//! Strings are compared by UTF-16 units, so that half a surrogate pair is equal to itself only.

use crate::util::json::decimal::Decimal;
use crate::util::json::members::Members;
use crate::util::json::number;
use crate::util::json::scan;
use crate::util::json::write::{push_name, push_string};

/// Values deeper than this are compared by their bytes.
pub const MAX_DEPTH: u32 = 128;

/// How two numbers are compared, as they are written.
type Numbers = fn(&str, &str) -> bool;

/// Returns true if two JSON texts have the same value. Numbers are compared as decimals: `10` and
/// `1.0e1` are equal, 9007199254740992 and 9007199254740993 are not.
#[must_use]
pub fn same_value(a: &str, b: &str) -> bool {
    same(a, b, same_decimal, MAX_DEPTH)
}

/// Returns true if `JSON.parse` makes the same value of two texts: numbers are compared as floats
/// of 64 bits.
#[must_use]
pub fn same_parsed(a: &str, b: &str) -> bool {
    same(a, b, same_float, MAX_DEPTH)
}

fn same(a: &str, b: &str, numbers: Numbers, depth: u32) -> bool {
    let space = [' ', '\n', '\r', '\t'];
    let (a, b) = (a.trim_matches(space), b.trim_matches(space));
    if a == b {
        return true;
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return false;
    };
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let (Ok(a), Ok(b)) = (Members::parse(a), Members::parse(b)) else {
                return false;
            };
            let equals = |((name, a), (other, b)): ((&str, &str), (&str, &str))| {
                name == other && same(a, b, numbers, deeper)
            };
            a.len() == b.len() && a.sorted().zip(b.sorted()).all(equals)
        }
        (Some(b'['), Some(b'[')) => {
            let (Ok(a), Ok(b)) = (scan::array(a), scan::array(b)) else {
                return false;
            };
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, numbers, deeper))
        }
        (Some(b'"'), Some(b'"')) => units(a).eq(units(b)),
        (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => numbers(a, b),
        _ => false,
    }
}

fn same_decimal(a: &str, b: &str) -> bool {
    let (a, b) = (Decimal::parse(a), Decimal::parse(b));
    a.is_some() && a == b
}

fn same_float(a: &str, b: &str) -> bool {
    let read = |text: &str| {
        let limit = if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
        number::float(text).unwrap_or(limit)
    };
    same_decimal(a, b) || read(a) == read(b)
}

/// Returns a text that is the same for values that [`same_value`] finds equal, and for no others.
#[must_use]
pub fn canonical(json: &str) -> String {
    let mut out = String::new();
    push_canonical(&mut out, json, false, MAX_DEPTH);
    out
}

/// Returns what identifies an item of an array: the `id` of an object, or else its value. If
/// `parsed` is true, it is the same for values of which `JSON.parse` makes the same.
#[must_use]
pub fn identity(item: &str, parsed: bool) -> String {
    let id = Members::parse(item).ok().and_then(|item| item.get("id"));
    let id = id.filter(|id| id.starts_with('"') || is_number(id));
    let mut out = String::from(if id.is_some() { "#" } else { "" });
    push_canonical(&mut out, id.unwrap_or(item), parsed, MAX_DEPTH);
    out
}

/// Returns true if a JSON value is a number.
#[must_use]
pub fn is_number(json: &str) -> bool {
    matches!(json.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

fn push_canonical(out: &mut String, json: &str, parsed: bool, depth: u32) {
    let deeper = depth.saturating_sub(1);
    match json.as_bytes().first().filter(|_| depth > 0) {
        Some(b'{') => {
            let members = Members::parse(json).unwrap_or_default();
            out.push('{');
            for (index, (name, value)) in members.sorted().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_name(out, name);
                out.push(':');
                push_canonical(out, value, parsed, deeper);
            }
            out.push('}');
        }
        Some(b'[') => {
            out.push('[');
            for (index, item) in scan::array(json).unwrap_or_default().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_canonical(out, item, parsed, deeper);
            }
            out.push(']');
        }
        Some(b'"') => match scan::text(json) {
            Some(text) => push_string(out, &text),
            // Half a surrogate pair has no character: the units stand for the string.
            None => {
                for unit in units(json) {
                    out.push_str("\\u");
                    out.push_str(&unit.to_string());
                }
            }
        },
        Some(b'-' | b'0'..=b'9') => match (parsed, Decimal::parse(json)) {
            // Negative zero is zero to an app that writes it back.
            (true, _) => number::push_fraction(out, number::float(json).unwrap_or(f64::NAN) + 0.0),
            (false, Some(number)) => number.push(out),
            (false, None) => out.push_str(json),
        },
        _ => out.push_str(json),
    }
}

/// Returns true if a valid text has a string with half a surrogate pair, which only an escape can
/// write.
#[must_use]
pub fn has_lone_surrogate(json: &str) -> bool {
    let mut high = false;
    let mut rest = json;
    if !json.as_bytes().windows(2).any(|pair| pair == b"\\u") {
        return false;
    }
    while let Some(byte) = rest.as_bytes().first() {
        let (unit, len) = if *byte == b'\\' { escape(rest) } else { (0, 1) };
        let low = (0xdc00..0xe000).contains(&unit);
        if high != low {
            return true;
        }
        high = (0xd800..0xdc00).contains(&unit);
        rest = match rest.get(len..) {
            Some(rest) => rest,
            // Within a character of several bytes.
            None => rest
                .get(rest.chars().next().map_or(1, char::len_utf8)..)
                .unwrap_or_default(),
        };
    }
    false
}

/// Returns the UTF-16 unit of the escape at the start of a text, and how long the escape is.
fn escape(text: &str) -> (u16, usize) {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        Some(b'u') => {
            let unit = text
                .get(2..6)
                .and_then(|digits| u16::from_str_radix(digits, 16).ok());
            (unit.unwrap_or_default(), 6)
        }
        Some(b'b') => (8, 2),
        Some(b'f') => (12, 2),
        Some(b'n') => (10, 2),
        Some(b'r') => (13, 2),
        Some(b't') => (9, 2),
        Some(other) => (u16::from(*other), 2),
        None => (0, 1),
    }
}

/// Iterates over the UTF-16 units of a JSON string.
fn units(json: &str) -> impl Iterator<Item = u16> {
    let mut rest = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default();
    let mut second = None;
    std::iter::from_fn(move || {
        if let Some(unit) = second.take() {
            return Some(unit);
        }
        let character = rest.chars().next()?;
        if character == '\\' {
            let (unit, len) = escape(rest);
            rest = rest.get(len..).unwrap_or_default();
            return Some(unit);
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        let mut both = [0; 2];
        let mut encoded = character.encode_utf16(&mut both).iter().copied();
        let first = encoded.next();
        second = encoded.next();
        first
    })
}
