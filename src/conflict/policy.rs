//! The merge policies that compare or compute values: `sum`, `min`, `max` and the identity of items
//! in a `union`.

use std::cmp::Ordering;

use crate::conflict::fields::{object_or_empty, same};
use crate::model::config::merge_fields::{Policies, Policy};
use crate::util::json::decimal::Decimal;
use crate::util::json::equal::is_number;
use crate::util::json::{number, scan};
use crate::util::time;

/// Returns true if a body differs from its base in a summed field, or in the top-level field that
/// holds one.
#[must_use]
pub fn changes_a_sum(policies: &Policies, base: Option<&str>, body: &str) -> bool {
    let (base, body) = (object_or_empty(base), object_or_empty(Some(body)));
    policies
        .iter()
        .filter(|(_, policy)| **policy == Policy::Sum)
        .any(|(path, _)| {
            let top = path.split('.').next().unwrap_or_default();
            !same(base.get(top), body.get(top))
        })
}

/// Adds both sides' changes to the base, exactly where 128 bits hold the numbers; `None` if a side
/// is not a number.
pub(crate) fn sum(base: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> Option<String> {
    let sides = [
        base.filter(|base| *base != "null").unwrap_or("0"),
        ours?,
        theirs?,
    ];
    if !sides.iter().all(|side| is_number(side)) {
        return None;
    }
    let mut out = String::new();
    match exact(sides) {
        Some(total) => {
            total.push(&mut out);
            number::float(&out)?;
        }
        None => {
            let [Some(base), Some(ours), Some(theirs)] = sides.map(number::float) else {
                return None;
            };
            let total = ours + theirs - base;
            if !total.is_finite() {
                return None;
            }
            number::push_fraction(&mut out, total);
        }
    }
    Some(out)
}

fn exact(sides: [&str; 3]) -> Option<Decimal> {
    let [base, ours, theirs] = sides.map(Decimal::parse);
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let exponent = base.exponent().min(ours.exponent()).min(theirs.exponent());
    let total = ours
        .scaled(exponent)?
        .checked_add(theirs.scaled(exponent)?)?
        .checked_sub(base.scaled(exponent)?)?;
    Some(Decimal::from((total, exponent)))
}

/// Compares two numbers, times or strings; `None` if they are of different types.
pub(super) fn order(a: &str, b: &str) -> Option<Ordering> {
    if is_number(a) && is_number(b) {
        return Decimal::parse(a)?.order(&Decimal::parse(b)?);
    }
    let (a, b) = (scan::text(a)?, scan::text(b)?);
    // The same time can be written in several ways, whose order as strings is different.
    let times = time::parse(&a).zip(time::parse(&b));
    Some(
        times
            .map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
            .then_with(|| a.cmp(&b)),
    )
}
