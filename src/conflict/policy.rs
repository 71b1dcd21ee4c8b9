//! What becomes of a field that both sides changed, where its entity type's `mergeFields` says so.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::conflict::object;
use crate::model::config::merge_fields::{Policies, Policy};

/// Whether a body says another number than the base in a field that is summed, or anything else
/// anew in the top-level field that holds it.
#[must_use]
pub fn changes_a_sum(policies: &Policies, base: Option<&str>, body: &str) -> bool {
    let base = base.and_then(|base| object(base).ok()).unwrap_or_default();
    let body = object(body).unwrap_or_default();
    policies
        .iter()
        .filter(|(_, policy)| **policy == Policy::Sum)
        .any(|(path, _)| {
            let top = path.split('.').next().unwrap_or_default();
            base.get(top) != body.get(top)
        })
}

/// The base with both sides' changes added to it; none where one of them is no number.
pub(crate) fn sum(
    base: Option<&Value>,
    ours: Option<&Value>,
    theirs: Option<&Value>,
) -> Option<Number> {
    let zero = Value::from(0);
    let sides = [
        base.filter(|base| !base.is_null()).unwrap_or(&zero),
        ours?,
        theirs?,
    ];
    if let [Some(base), Some(ours), Some(theirs)] = sides.map(Value::as_i64) {
        let whole = ours
            .checked_add(theirs)
            .and_then(|both| both.checked_sub(base));
        if let Some(whole) = whole {
            return Some(Number::from(whole));
        }
    }
    let [Some(base), Some(ours), Some(theirs)] = sides.map(Value::as_f64) else {
        return None;
    };
    let total = decimal([base, ours, theirs]).unwrap_or(ours + theirs - base);
    // A whole number is written as one, as a browser would.
    if total == total.trunc() && total.abs() < EXACT {
        Some(Number::from(total as i64))
    } else {
        Number::from_f64(total)
    }
}

/// Below it, a fraction counts whole numbers exactly, and the sum of three of them.
const EXACT: f64 = 2_251_799_813_685_248.0;

/// The sum of numbers of at most nine decimal places, such as amounts of money, as a person would
/// have it: not 0.30000000000000004.
fn decimal(sides: [f64; 3]) -> Option<f64> {
    let mut scale = 1.0;
    for _ in 0..10 {
        let scaled = sides.map(|side| (side * scale).round_ties_even());
        if scaled
            .iter()
            .zip(sides)
            .all(|(scaled, side)| scaled.abs() < EXACT && *scaled / scale == side)
        {
            let [base, ours, theirs] = scaled;
            return Some((ours + theirs - base) / scale);
        }
        scale *= 10.0;
    }
    None
}

/// The order of two numbers, times or strings; none where they are of different kinds.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => {
            // The same time can be written in two ways, which are not in order as strings.
            let times = crate::util::time::parse(a).zip(crate::util::time::parse(b));
            Some(
                times
                    .map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
                    .then_with(|| a.cmp(b)),
            )
        }
        _ => None,
    }
}

/// By what an item of a set is known again: an object by its `id`, anything else by what it says.
pub(super) fn identity(item: &Value) -> String {
    match item.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => {
            ["#", &crate::util::json::serialize::to_string(id)].concat()
        }
        _ => crate::util::json::serialize::to_string(item),
    }
}
