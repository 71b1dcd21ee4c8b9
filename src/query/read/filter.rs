//! Reads `where`.

use crate::model::error::Result;
use crate::query::cell::Cell;
use crate::query::fields::FieldPaths;
use crate::query::filter::{Node, Operand, Test};
use crate::query::pattern::Pattern;
use crate::query::place::{Circle, Point};
use crate::query::read::fault::{fault, item, member, unknown};
use crate::query::read::field;
use crate::query::text;
use crate::util::collections::sort::sort;
use crate::util::json::members::Members;
use crate::util::json::scan;

/// The deepest nesting of `and`, `or` and `not`.
const MAX_DEPTH: u32 = 32;

/// The most conditions, and the most values of all `isIn`, `isNotIn` and `arrayContainsAny`.
const MAX_CONDITIONS: usize = 1_000;
const MAX_VALUES: usize = 10_000;

const OPERATORS: [&str; 18] = [
    "equals",
    "notEquals",
    "greaterThan",
    "greaterThanOrEqual",
    "lessThan",
    "lessThanOrEqual",
    "between",
    "isIn",
    "isNotIn",
    "isNull",
    "contains",
    "containsIgnoreCase",
    "startsWith",
    "endsWith",
    "matches",
    "arrayContains",
    "arrayContainsAny",
    "withinDistance",
];

/// Reads the conditions of one query.
pub(super) struct FilterReader<'q> {
    paths: &'q mut FieldPaths,
    conditions: usize,
    values: usize,
}

impl<'q> FilterReader<'q> {
    pub(super) fn new(paths: &'q mut FieldPaths) -> Self {
        Self {
            paths,
            conditions: 0,
            values: 0,
        }
    }

    /// Reads a condition, given the path at which it stands.
    pub(super) fn node(&mut self, json: &str, at: &str) -> Result<Node> {
        self.nested(json, at, MAX_DEPTH)
    }

    fn nested(&mut self, json: &str, at: &str, depth: u32) -> Result<Node> {
        const FORM: &str =
            "must be a condition, such as { field: \"done\", equals: false } or { and: [...] }.";
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(fault(at, "is nested deeper than 32 levels."));
        };
        let Ok(members) = Members::parse(json) else {
            return Err(fault(at, FORM));
        };
        for name in ["and", "or", "not"] {
            let Some(value) = members.get(name) else {
                continue;
            };
            let inner = member(at, name);
            if members.len() > 1 {
                return Err(fault(
                    &inner,
                    "stands beside other members. Put each condition into an object of its own, within `and` or `or`.",
                ));
            }
            if name == "not" {
                return Ok(Node::Not(Box::new(self.nested(value, &inner, deeper)?)));
            }
            let mut nodes = Vec::new();
            for (index, value) in list(value, &inner, "conditions")?.iter().enumerate() {
                nodes.push(self.nested(value, &item(&inner, index), deeper)?);
            }
            return Ok(if name == "and" {
                Node::All(nodes)
            } else {
                Node::Any(nodes)
            });
        }
        let Some(field) = members.get("field") else {
            return Err(fault(at, FORM));
        };
        let path = field::read(field, &member(at, "field"))?;
        let slot = self.paths.slot(&path);
        let mut nodes = Vec::new();
        for (name, value) in members.iter().filter(|(name, _)| *name != "field") {
            self.conditions = self.conditions.saturating_add(1);
            if self.conditions > MAX_CONDITIONS {
                return Err(fault(
                    at,
                    "is the 1,001st condition; a query has at most 1,000. For one field and many values, use `isIn`.",
                ));
            }
            nodes.push(self.test(slot, name, value, at)?);
        }
        match nodes.len() {
            0 => Err(fault(
                at,
                "has no operator beside `field`. An operand that is undefined is as if it was not there; for no value, write isNull: true.",
            )),
            1 => Ok(nodes.remove(0)),
            _ => Ok(Node::All(nodes)),
        }
    }

    fn test(&mut self, slot: usize, name: &str, value: &str, at: &str) -> Result<Node> {
        if !OPERATORS.contains(&name) {
            return Err(unknown(at, name, &OPERATORS));
        }
        let at = &member(at, name);
        let cell = Cell::read(value.as_bytes());
        let test = match name {
            "equals" | "notEquals" => match cell {
                Cell::Null => Test::Null,
                _ => Test::Equals(Operand::new(cell)),
            },
            "isNull" => match cell {
                Cell::Bool(_) => Test::Null,
                _ => return Err(fault(at, "must be true or false.")),
            },
            "greaterThan" => Test::Range(Some((end(cell, at)?, false)), None),
            "greaterThanOrEqual" => Test::Range(Some((end(cell, at)?, true)), None),
            "lessThan" => Test::Range(None, Some((end(cell, at)?, false))),
            "lessThanOrEqual" => Test::Range(None, Some((end(cell, at)?, true))),
            "between" => between(cell, at)?,
            "isIn" | "isNotIn" => Test::In(self.values(value, at)?),
            "arrayContainsAny" => Test::HasAny(self.values(value, at)?),
            "arrayContains" => Test::HasAny(vec![Operand::new(cell).bytes]),
            "withinDistance" => Test::Near(circle(cell, at)?),
            _ => of_text(name, cell, at)?,
        };
        let test = Node::Test(slot, test);
        let negated = matches!(name, "notEquals" | "isNotIn")
            || (name == "isNull" && matches!(cell, Cell::Bool(false)));
        Ok(if negated {
            Node::Not(Box::new(test))
        } else {
            test
        })
    }

    /// Reads values, and sorts them.
    fn values(&mut self, json: &str, at: &str) -> Result<Vec<Box<[u8]>>> {
        let mut values: Vec<Box<[u8]>> = list(json, at, "values")?
            .iter()
            .map(|value| Operand::new(Cell::read(value.as_bytes())).bytes)
            .collect();
        self.values = self.values.saturating_add(values.len());
        if self.values > MAX_VALUES {
            return Err(fault(
                at,
                "has too many values: a query has at most 10,000.",
            ));
        }
        sort(&mut values);
        values.dedup();
        Ok(values)
    }
}

/// Reads an array, whose items are called `what`.
fn list<'a>(json: &'a str, at: &str, what: &str) -> Result<Vec<&'a str>> {
    scan::array(json).map_err(|_| fault(at, &["must be an array of ", what, "."].concat()))
}

/// Reads the end of a range.
fn end(cell: Cell<'_>, at: &str) -> Result<Operand> {
    match cell {
        Cell::Null => Err(fault(
            at,
            "must not be null, which is neither more nor less than a value; NaN becomes null, too. For no value, write isNull: true.",
        )),
        _ => Ok(Operand::new(cell)),
    }
}

fn between(cell: Cell<'_>, at: &str) -> Result<Test> {
    let mut ends = cell.items();
    let (Some(least), Some(most), None) = (ends.next(), ends.next(), ends.next()) else {
        return Err(fault(
            at,
            "must be an array of two values, the least and the greatest.",
        ));
    };
    let least = end(least, &item(at, 0))?;
    let most = end(most, &item(at, 1))?;
    if least.class() != most.class() {
        return Err(fault(
            at,
            "must have two values of one type: a range is of numbers, or of strings.",
        ));
    }
    Ok(Test::Range(Some((least, true)), Some((most, true))))
}

fn of_text(name: &str, cell: Cell<'_>, at: &str) -> Result<Test> {
    let mut room = Vec::new();
    let Some(operand) = cell.text(&mut room) else {
        let problem = match (name, cell) {
            ("matches", _) => {
                "must be a string, such as \"^INV-[0-9]+$\": of a regular expression, pass its `source`."
            }
            ("contains", _) => "must be a string. For a value in an array, use `arrayContains`.",
            _ => "must be a string.",
        };
        return Err(fault(at, problem));
    };
    Ok(match name {
        "contains" => Test::Contains(operand.into()),
        "containsIgnoreCase" => {
            let mut folded = Vec::new();
            text::push_folded(&mut folded, operand);
            Test::ContainsFolded(folded.into())
        }
        "startsWith" => Test::StartsWith(operand.into()),
        "endsWith" => Test::EndsWith(operand.into()),
        _ => Test::Matches(
            Pattern::new(operand).map_err(|problem| fault(at, &[&problem, "."].concat()))?,
        ),
    })
}

fn circle(cell: Cell<'_>, at: &str) -> Result<Circle> {
    let mut metres = None;
    for (name, value) in cell.members() {
        match name {
            b"metres" => metres = Some(value),
            b"latitude" | b"longitude" => {}
            _ => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                return Err(unknown(at, name, &["latitude", "longitude", "metres"]));
            }
        }
    }
    let Some(centre) = Point::read(cell) else {
        return Err(fault(
            at,
            "must be { latitude, longitude, metres }, with a latitude from -90 to 90 and a longitude from -180 to 180 degrees.",
        ));
    };
    match metres {
        Some(Cell::Number(metres)) if metres >= 0.0 => Ok(Circle::new(centre, metres)),
        _ => Err(fault(&member(at, "metres"), "must be a number from 0.")),
    }
}
