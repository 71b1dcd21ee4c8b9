//! The members of a JSON object as slices of its text, found by name.

use std::borrow::Cow;

use crate::util::collections::sort::sort;
use crate::util::json::scan::{self, ScanError};

/// The members of an object, each with the text of its value. Of equal names the last one counts,
/// as in `JSON.parse`.
#[derive(Debug, Default)]
pub struct Members<'a> {
    /// In the order of the text.
    list: Vec<(Cow<'a, str>, &'a str)>,
    /// Indexes into `list` in order of name.
    by_name: Vec<usize>,
}

impl<'a> Members<'a> {
    /// Parses an object.
    ///
    /// # Errors
    /// Fails if the text is not an object.
    pub fn parse(json: &'a str) -> Result<Self, ScanError> {
        let mut list = scan::object(json)?;
        loop {
            let mut named: Vec<(&str, usize)> = list
                .iter()
                .enumerate()
                .map(|(index, (name, _))| (name.as_ref(), index))
                .collect();
            sort(&mut named);
            let mut keeps = vec![true; list.len()];
            for (one, next) in named.iter().zip(named.iter().skip(1)) {
                if let Some(keep) = keeps.get_mut(one.1) {
                    *keep = one.0 != next.0;
                }
            }
            if !keeps.contains(&false) {
                let by_name = named.iter().map(|(_, index)| *index).collect();
                return Ok(Self { list, by_name });
            }
            let mut keeps = keeps.into_iter();
            list.retain(|_| keeps.next() == Some(true));
        }
    }

    /// Returns the text of a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let name_of = |index: &usize| self.list.get(*index).map(|(name, _)| name.as_ref());
        let found = self
            .by_name
            .binary_search_by(|index| name_of(index).cmp(&Some(name)))
            .ok()?;
        let (_, value) = self.list.get(*self.by_name.get(found)?)?;
        Some(value)
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns true if there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Iterates over names and values in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.list
            .iter()
            .map(|(name, value)| (name.as_ref(), *value))
    }

    /// Iterates over names and values in order of name.
    pub fn sorted(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.by_name
            .iter()
            .filter_map(|index| self.list.get(*index))
            .map(|(name, value)| (name.as_ref(), *value))
    }
}
