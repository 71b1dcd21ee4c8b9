//! Queries: which entities an app asks for, and in which order.
//!
//! [`read::Query`] is checked once, from the JSON text that crosses the border. Everything else works on
//! the bytes of entities, and parses no more of them than the fields that the query names:
//! [`evaluator::Evaluator`] says whether an entity is in the result, [`select::Select`] collects a page,
//! [`live::LiveQuery`] keeps a result up to date, and [`index::Indexes`] find candidates without
//! looking at every entity.
//!
//! # What a query means
//!
//! **A missing field reads as null**, and so does a path that leads through a value without such a part.
//! Part of an array is its index: `tags.0`. Of two members of one name the last counts, as in
//! `JSON.parse`.
//!
//! **All values have one order**: null, false, true, numbers, strings, arrays, objects. Numbers are compared as
//! floats of 64 bits, as `JSON.parse` reads them, and negative zero is zero. Strings are compared by code point, which is the
//! order of their UTF-8 and of PostgreSQL's collation "C"; JavaScript's `<` goes by UTF-16 units, which
//! differs only for characters beyond U+FFFF. Arrays are compared item by item, objects member by member in
//! order of name. Values are equal if neither is before the other, so the order of members makes no difference.
//!
//! **Conditions hold or do not**: there is no third value. `notEquals`, `isNotIn` and `not` hold exactly where
//! `equals`, `isIn` and the condition do not, also for null. **A range has one type**: `lessThan: 5` is about numbers, and
//! neither null nor a string is less than 5, though both have a place in the order. Conditions on text hold for strings only, those on arrays for arrays only.
//!
//! **The order is total**: entities that are equal in all keys are in order of id, then of space, in the direction of the last
//! key. Null is below all values, so first in ascending order and last in descending order, unless `nulls` says otherwise.

mod bounds;
mod cell;
mod cursor;
pub mod evaluator;
mod field_index;
pub mod fields;
mod filter;
pub mod index;
mod key_set;
pub mod live;
mod number;
mod order;
mod pattern;
mod place;
pub mod planner;
pub mod read;
pub mod select;
pub mod sort_key;
mod sorted;
mod text;
mod walk;
