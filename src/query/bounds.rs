//! The values of one field that conditions leave, as bytes in the order of all values.

use crate::query::cell::Cell;
use crate::query::filter::{Operand, Test};
use crate::query::order;
use crate::query::read::Query;

/// Is greater than every byte that can follow a value in a key.
pub(super) const ABOVE: u8 = 0xff;

/// Which values of a field can satisfy the conditions.
#[derive(Debug)]
pub(super) enum KeyBounds {
    /// Any.
    All,
    /// These, in their order.
    Points(Vec<Box<[u8]>>),
    /// From, and to before.
    Range(Vec<u8>, Vec<u8>),
}

impl KeyBounds {
    /// Returns what conditions that must all hold leave of a field, and how many of them it
    /// stands for.
    pub(super) fn of(
        path: &[Vec<u8>],
        query: &Query,
        tests: &[(usize, &Test, bool)],
    ) -> (Self, usize) {
        let mut bounds = Self::All;
        let mut used = 0_usize;
        for (slot, test, holds) in tests {
            if query.paths.path(*slot) != path {
                continue;
            }
            let narrower = Self::of_test(test, *holds);
            match (narrower, &mut bounds) {
                (Self::All, _) => {}
                (narrower, Self::All) => {
                    bounds = narrower;
                    used = 1;
                }
                (Self::Range(from, to), Self::Range(least, most)) => {
                    *least = std::mem::take(least).max(from);
                    *most = std::mem::take(most).min(to);
                    used = used.saturating_add(1);
                }
                (points @ Self::Points(_), Self::Range(..)) => {
                    bounds = points;
                    used = 1;
                }
                _ => {}
            }
        }
        (bounds, used)
    }

    fn of_test(test: &Test, holds: bool) -> Self {
        let mut null = Vec::new();
        order::push(&mut null, Cell::Null);
        match test {
            Test::Null if holds => Self::Points(vec![null.into()]),
            Test::Null => {
                null.push(ABOVE);
                Self::Range(null, vec![ABOVE])
            }
            Test::Equals(operand) => Self::Points(vec![operand.bytes.clone()]),
            Test::In(values) => Self::Points(values.clone()),
            Test::Range(least, most) => {
                let class = least.as_ref().or(most.as_ref());
                let class = class.map_or(0, |(operand, _)| operand.class());
                let (first, beyond) = order::bounds(class);
                let end = |end: &Option<(Operand, bool)>, above: bool, open: u8| match end {
                    None => vec![open],
                    Some((operand, inclusive)) => {
                        let mut bytes = operand.bytes.to_vec();
                        if *inclusive == above {
                            bytes.push(ABOVE);
                        }
                        bytes
                    }
                };
                Self::Range(end(least, false, first), end(most, true, beyond))
            }
            Test::StartsWith(text) => {
                let mut least = Vec::new();
                order::push_prefix(&mut least, text);
                let most = [least.as_slice(), &[ABOVE]].concat();
                Self::Range(least, most)
            }
            _ => Self::All,
        }
    }
}
