//! Which index a query is read by, if any.
//!
//! An index helps with conditions that must all hold: equal values of its first fields, then a range of
//! the next one. If what is left of its fields is the order that is asked for, its entities come in that
//! order, and a limit ends the reading. Every candidate is still evaluated, so an index
//! decides about time alone.

use crate::query::bounds::{ABOVE, KeyBounds};
use crate::query::field_index::FieldIndex;
use crate::query::filter::{Node, Test};
use crate::query::read::Query;
use crate::query::sort_key::{self, is_descending};

/// The most ranges of one index: `isIn` on two fields has one for each pair.
const MAX_RANGES: usize = 1_000;

/// How a query is read.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessPath {
    /// The index, as a number in the order of declaration; `None` for a look at every entity.
    pub index: Option<usize>,
    /// The entities come in the order of the query: the first ones are those that it wants.
    pub in_order: bool,
    /// How many entities are looked at, at most; `None` for every one.
    pub rows: Option<usize>,
    /// Why, for people.
    pub reason: String,
    /// Places in the index: from, and to before.
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) backwards: bool,
}

/// What one index can do for a query.
struct Offer {
    path: AccessPath,
    cost: usize,
}

/// Chooses among indexes.
pub(super) fn plan(indexes: &[FieldIndex], query: &Query) -> AccessPath {
    let mut tests = Vec::new();
    let is_plain = conjunction(&query.filter, &mut tests);
    let mut best: Option<Offer> = None;
    for (at, index) in indexes.iter().enumerate() {
        if let Some(offer) = offer(at, index, query, &tests, is_plain)
            && best.as_ref().is_none_or(|best| offer.cost < best.cost)
        {
            best = Some(offer);
        }
    }
    // By id is the order in which every entity is read, so the first ones are enough.
    let in_order = query.order.is_empty();
    let all = indexes.first().map_or(0, |index| index.keys.places().len());
    let scan = if in_order && query.limit.is_some() {
        all / 2
    } else {
        all
    };
    let reason = match best {
        Some(best) if best.cost <= scan => return best.path,
        Some(best) => [
            "It costs less to look at every entity than to fetch the ",
            &best.path.rows.unwrap_or_default().to_string(),
            " that the best index finds.",
        ]
        .concat(),
        None if indexes.is_empty() => "There is no index.".to_owned(),
        None => "No index begins with a field that a condition fixes, or that the order begins with. A condition within `or` or `not`, and one that looks into a text or an array, fixes none.".to_owned(),
    };
    AccessPath {
        index: None,
        in_order,
        rows: None,
        reason,
        ranges: Vec::new(),
        backwards: false,
    }
}

/// Collects the conditions that must all hold. Returns true if they are all that there is.
fn conjunction<'q>(node: &'q Node, tests: &mut Vec<(usize, &'q Test, bool)>) -> bool {
    match node {
        Node::All(nodes) => {
            let mut is_plain = true;
            for node in nodes {
                is_plain &= conjunction(node, tests);
            }
            is_plain
        }
        Node::Test(slot, test) => {
            tests.push((*slot, test, true));
            true
        }
        Node::Not(inner) => match &**inner {
            Node::Test(slot, test @ Test::Null) => {
                tests.push((*slot, test, false));
                true
            }
            _ => false,
        },
        Node::Any(_) => false,
    }
}

fn offer(
    at: usize,
    index: &FieldIndex,
    query: &Query,
    tests: &[(usize, &Test, bool)],
    is_plain: bool,
) -> Option<Offer> {
    let mut starts: Vec<Vec<u8>> = vec![Vec::new()];
    // The bytes of the values that are fixed, up to each field.
    let mut lengths = vec![0_usize];
    let mut exact = 0_usize;
    let mut range = None;
    for key in &index.order {
        let (bounds, used) = KeyBounds::of(index.paths.path(key.slot), query, tests);
        match bounds {
            KeyBounds::Points(points)
                if starts.len().saturating_mul(points.len()) <= MAX_RANGES =>
            {
                exact = exact.saturating_add(used);
                let extended = starts.iter().flat_map(|start| {
                    points
                        .iter()
                        .map(|point| [start.as_slice(), point].concat())
                });
                starts = extended.collect();
                lengths.push(starts.first().map_or(0, Vec::len));
            }
            KeyBounds::Range(least, most) => {
                exact = exact.saturating_add(used);
                range = Some((least, most));
                break;
            }
            _ => break,
        }
    }
    let fixed = lengths.len().saturating_sub(1);
    let (in_order, backwards, sorted_from) = sorted(index, query, fixed, starts.len());
    if fixed == 0 && range.is_none() && !in_order {
        return None;
    }
    let places = index.keys.places();
    let after = query.after.as_deref().filter(|_| in_order);
    let mut ranges = Vec::with_capacity(starts.len());
    let mut rows = 0_usize;
    for start in &starts {
        let (mut least, mut most) = (start.clone(), start.clone());
        match &range {
            Some((from, to)) => {
                least.extend_from_slice(from);
                most.extend_from_slice(to);
            }
            None => most.push(ABOVE),
        }
        if let Some(after) = after {
            let length = lengths.get(sorted_from).copied().unwrap_or_default();
            let mut key = start.get(..length).unwrap_or_default().to_vec();
            key.extend_from_slice(after);
            if backwards {
                sort_key::reverse(key.get_mut(length..).unwrap_or_default());
                most = most.min(key);
            } else {
                // Behind the entity itself.
                key.push(ABOVE);
                least = least.max(key);
            }
        }
        let (from, to) = (places.rank(&least), places.rank(&most));
        if from < to {
            rows = rows.saturating_add(to.saturating_sub(from));
            ranges.push((from, to));
        }
    }
    let is_exact = is_plain && exact >= tests.len();
    let wanted = query.limit.filter(|_| in_order).map(|limit| {
        let wanted = query.offset.saturating_add(limit).saturating_add(1);
        // Conditions that are left may pass over any number.
        if is_exact { wanted } else { rows / 2 }
    });
    let read = wanted.map_or(rows, |wanted| wanted.min(rows));
    // An entity that is fetched by its id costs about two that are read in turn.
    let cost = read.saturating_mul(2);
    let reason = reason(index, fixed, range.is_some(), in_order);
    Some(Offer {
        path: AccessPath {
            index: Some(at),
            in_order,
            rows: Some(rows),
            reason,
            ranges,
            backwards,
        },
        cost,
    })
}

/// Returns true if the entities of an index come in the order of the query, true if they do from the
/// end, and how many of its fields come before those of the order.
fn sorted(index: &FieldIndex, query: &Query, fixed: usize, starts: usize) -> (bool, bool, usize) {
    let backwards = is_descending(&query.order);
    let Some(before) = index.order.len().checked_sub(query.order.len()) else {
        return (false, false, 0);
    };
    let mut pairs = index.order.iter().skip(before).zip(&query.order);
    let fits = starts == 1
        && before <= fixed
        && pairs.all(|(own, asked)| {
            asked.descending == backwards
                && asked.nulls_first.is_none()
                && index.paths.path(own.slot) == query.paths.path(asked.slot)
        });
    (fits, fits && backwards, before)
}

fn reason(index: &FieldIndex, fixed: usize, has_range: bool, in_order: bool) -> String {
    let mut text = String::new();
    let narrowed = fixed.saturating_add(usize::from(has_range));
    for (at, key) in index.order.iter().take(narrowed).enumerate() {
        text.push_str(if at >= fixed {
            "Range: "
        } else if at == 0 {
            "Equal: "
        } else {
            ", "
        });
        text.push_str(&index.paths.text(key.slot));
        if at.saturating_add(1) >= fixed {
            text.push_str(". ");
        }
    }
    text.push_str(if in_order {
        "In the order that is asked for."
    } else {
        "Sorted afterwards."
    });
    text
}
