//! What is wrong with a query: the path of the field, what it must be, and what was meant.

use crate::model::error::{Code, Error};

/// Returns the error for a part of a query, given what is wrong with it, such as `must be a string.`
#[inline(never)]
pub(super) fn fault(path: &str, problem: &str) -> Error {
    let text = if path.is_empty() {
        ["The query ", problem].concat()
    } else {
        ["The query: `", path, "` ", problem].concat()
    };
    Error::new(Code::InvalidArgument, text)
}

/// Words that other query languages have for ours.
const SYNONYMS: [(&str, &str); 27] = [
    ("eq", "equals"),
    ("is", "equals"),
    ("equal", "equals"),
    ("ne", "notEquals"),
    ("neq", "notEquals"),
    ("gt", "greaterThan"),
    ("above", "greaterThan"),
    ("gte", "greaterThanOrEqual"),
    ("ge", "greaterThanOrEqual"),
    ("lt", "lessThan"),
    ("below", "lessThan"),
    ("lte", "lessThanOrEqual"),
    ("le", "lessThanOrEqual"),
    ("in", "isIn"),
    ("anyOf", "isIn"),
    ("nin", "isNotIn"),
    ("notIn", "isNotIn"),
    ("noneOf", "isNotIn"),
    ("like", "contains"),
    ("ilike", "containsIgnoreCase"),
    ("regex", "matches"),
    ("includes", "arrayContains"),
    ("exists", "isNull"),
    ("filter", "where"),
    ("sort", "orderBy"),
    ("skip", "offset"),
    ("cursor", "after"),
];

/// Says that a name is not known, which one may have been meant, and which there are.
pub(super) fn unknown(path: &str, name: &str, known: &[&str]) -> Error {
    let mut problem = String::from("is not known; ");
    if let Some(meant) = meant(name, known) {
        problem.push_str("did you mean `");
        problem.push_str(meant);
        problem.push_str("`? ");
    }
    problem.push_str("Known are ");
    problem.push_str(&known.join(", "));
    problem.push('.');
    fault(&member(path, name), &problem)
}

/// Returns the path of a member.
pub(super) fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        [path, ".", name].concat()
    }
}

/// Returns the path of an item.
pub(super) fn item(path: &str, index: usize) -> String {
    [path, "[", &index.to_string(), "]"].concat()
}

fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let bare = name.trim_start_matches('$');
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == bare);
    let meant = synonym.map_or(bare, |(_, own)| *own);
    let (distance, nearest) = known
        .iter()
        .map(|known| (distance(meant, known), *known))
        .min()?;
    (distance <= 2).then_some(nearest)
}

/// Counts the letters to insert, remove or replace that make one word another; in any case.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.bytes().take(32).enumerate() {
        let mut diagonal = index;
        let mut left = index.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, compared) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = usize::from(!letter.eq_ignore_ascii_case(&compared));
            let least = diagonal
                .saturating_add(replaced)
                .min(cell.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = *cell;
            *cell = least;
            left = least;
        }
    }
    row.last().copied().unwrap_or_default()
}
