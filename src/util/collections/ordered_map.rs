//! A map from text for the many: rows, operations. One order of keys for all types of value, since
//! such code is made anew for each type that it holds; the values lie in a vector beside it.

use crate::util::collections::run_index::RunIndex;

/// A map whose keys are text, in order of key.
#[derive(Debug)]
pub struct OrderedMap<V> {
    places: RunIndex,
    values: Vec<Option<V>>,
    free: Vec<usize>,
}

impl<V> Default for OrderedMap<V> {
    fn default() -> Self {
        Self {
            places: RunIndex::default(),
            values: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<V> OrderedMap<V> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(self.places.get(key)?)?.as_ref()
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.values.get_mut(self.places.get(key)?)?.as_mut()
    }

    /// Sets a value, and gives back the one that it replaces.
    pub fn insert(&mut self, key: &str, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(key) {
            return Some(std::mem::replace(old, value));
        }
        let free = self.free.pop();
        let at = free.unwrap_or(self.values.len());
        match self.values.get_mut(at) {
            Some(place) => *place = Some(value),
            None => self.values.push(Some(value)),
        }
        self.places.insert(key, at);
        None
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let at = self.places.remove(key)?;
        self.free.push(at);
        self.values.get_mut(at)?.take()
    }

    /// Keys and values, in order, from `after` on.
    pub fn after<'a>(
        &'a self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a V)> + use<'a, V> {
        self.places
            .after(after)
            .filter_map(|(key, at)| Some((key, self.values.get(at)?.as_ref()?)))
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.after(None)
    }

    /// The values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter().flatten()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.len() == 0
    }
}
