//! Keeps the stored text of values that an app gives back unchanged.

use std::borrow::Cow;

use crate::util::collections::ordered_map::OrderedMap;
use crate::util::json::equal::{MAX_DEPTH, identity, same_parsed};
use crate::util::json::members::Members;
use crate::util::json::scan;
use crate::util::json::write::{Items, push_field};

/// Returns `given` with the text of `stored` wherever `JSON.parse` makes the same value of both:
/// the whole, or members and items within.
#[must_use]
pub fn keep<'a>(stored: &'a str, given: &'a str) -> Cow<'a, str> {
    kept(stored, given, MAX_DEPTH)
}

fn kept<'a>(stored: &'a str, given: &'a str, depth: u32) -> Cow<'a, str> {
    if same_parsed(stored, given) {
        return Cow::Borrowed(stored);
    }
    let deeper = depth.saturating_sub(1);
    let made = match (given.as_bytes().first(), stored.as_bytes().first()) {
        _ if depth == 0 => None,
        (Some(b'{'), Some(b'{')) => object(stored, given, deeper),
        (Some(b'['), Some(b'[')) => array(stored, given, deeper),
        _ => None,
    };
    made.map_or(Cow::Borrowed(given), Cow::Owned)
}

fn object(stored: &str, given: &str, depth: u32) -> Option<String> {
    let (stored, given) = (Members::parse(stored).ok()?, Members::parse(given).ok()?);
    let mut out = String::from("{");
    for (name, value) in given.iter() {
        let value = match stored.get(name) {
            Some(stored) => kept(stored, value, depth),
            None => Cow::Borrowed(value),
        };
        push_field(&mut out, name, &value);
    }
    out.push('}');
    Some(out)
}

/// Finds the stored item of each given one by its id or its value, or else by its place.
fn array(stored: &str, given: &str, depth: u32) -> Option<String> {
    let (stored, given) = (scan::array(stored).ok()?, scan::array(given).ok()?);
    let mut places: OrderedMap<usize> = OrderedMap::default();
    for (place, item) in stored.iter().enumerate() {
        places.insert(&identity(item, true), place);
    }
    let mut out = Items::new(0);
    for (place, item) in given.iter().enumerate() {
        let found = places.get(&identity(item, true)).copied();
        let value = match stored.get(found.unwrap_or(place)) {
            Some(stored) => kept(stored, item, depth),
            None => Cow::Borrowed(*item),
        };
        out.open().push_str(&value);
    }
    Some(out.close())
}
