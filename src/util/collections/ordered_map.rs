//! A string-keyed map for large collections, such as rows and operations. One index of keys serves
//! all value types, since generic code is compiled once for each; the values are in a vector beside
//! it.

use crate::util::collections::run_index::RunIndex;

/// A map with string keys, in order of key.
#[derive(Debug)]
pub struct OrderedMap<V> {
    index: RunIndex,
    values: Vec<Option<V>>,
    free: Vec<usize>,
}

impl<V> Default for OrderedMap<V> {
    fn default() -> Self {
        Self {
            index: RunIndex::default(),
            values: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<V> OrderedMap<V> {
    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(self.index.get(key)?)?.as_ref()
    }

    /// Returns the value of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(self.index.get(key)?)?.as_mut()
    }

    /// Sets a value and returns the one that it replaces.
    pub fn insert(&mut self, key: &str, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        let free = self.free.pop();
        let at = free.unwrap_or(self.values.len());
        match self.values.get_mut(at) {
            Some(slot) => *slot = Some(value),
            None => self.values.push(Some(value)),
        }
        self.index.insert(key, at);
        None
    }

    /// Removes and returns a value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.index.remove(key)?;
        self.free.push(at);
        self.values.get_mut(at)?.take()
    }

    /// Drops the last entries, about so many. Returns how many.
    pub fn shed(&mut self, most: usize) -> usize {
        let mut shed = 0_usize;
        while shed < most {
            let Some(run) = self.index.pop_run() else {
                break;
            };
            shed = shed.saturating_add(run.len());
            for (_, at) in run {
                if let Some(slot) = self.values.get_mut(at) {
                    *slot = None;
                }
            }
        }
        shed
    }

    /// Iterates over keys and values after a key, in order.
    pub fn after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a V)> + use<'a, V> {
        self.index
            .after(after)
            .filter_map(|(key, at)| Some((key, self.values.get(at)?.as_ref()?)))
    }

    /// Iterates over keys and values, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.after(None)
    }

    /// Iterates over the values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter().flatten()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns true if the map is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }
}
