//! The merge policies that compare or compute values: `sum`, `min`, `max` and the identity of items
//! in a `union`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::conflict::fields::object_or_empty;
use crate::model::config::merge_fields::{Policies, Policy};
use crate::util::json::serialize::to_string;
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
            base.get(top) != body.get(top)
        })
}

/// Adds both sides' changes to the base; `None` if a side is not a number.
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
    // A whole result is written without a fraction, as a browser would.
    if total == total.trunc() && total.abs() < EXACT {
        Some(Number::from(total as i64))
    } else {
        Number::from_f64(total)
    }
}

/// Below this, an `f64` holds whole numbers and sums of three of them exactly.
const EXACT: f64 = 2_251_799_813_685_248.0;

/// Sums numbers of at most nine decimal places, such as money, exactly: 0.3, not
/// 0.30000000000000004.
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

/// Compares two numbers, times or strings; `None` if they are of different types.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => {
            // The same time can be written in several ways, whose order as strings is different.
            let times = time::parse(a).zip(time::parse(b));
            Some(
                times
                    .map_or(Ordering::Equal, |(a, b)| a.cmp(&b))
                    .then_with(|| a.cmp(b)),
            )
        }
        _ => None,
    }
}

/// Returns what identifies an item of a set: the `id` of an object, or else the value itself.
pub(super) fn identity(item: &Value) -> String {
    match item.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => ["#", &to_string(id)].concat(),
        _ => to_string(item),
    }
}
