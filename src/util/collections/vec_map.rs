//! A string-keyed map for small collections, backed by a sorted `Vec`: entity types, scopes, users.
//! Generates far less code per value type than `BTreeMap`. `litemap` does the same; its license
//! (Unicode-3.0) is not one that this package takes.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map with string keys, in order of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VecMap<V>(Vec<(Box<str>, V)>);

impl<V> Default for VecMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> VecMap<V> {
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn search(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| (**have).cmp(key))
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.search(key)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// Returns the value of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.search(key)
            .ok()
            .and_then(|at| self.0.get_mut(at))
            .map(|(_, value)| value)
    }

    /// Returns true if the key is present.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.search(key).is_ok()
    }

    /// Sets a value and returns the one that it replaces.
    pub fn insert(&mut self, key: &str, value: V) -> Option<V> {
        match self.search(key) {
            Ok(at) => self
                .0
                .get_mut(at)
                .map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (key.into(), value));
                None
            }
        }
    }

    /// Removes and returns a value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        self.search(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Removes all keys but those for which `keeps` holds.
    pub fn retain(&mut self, keeps: &dyn Fn(&str) -> bool) {
        self.0.retain(|(key, _)| keeps(key));
    }

    /// Iterates over keys and values, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// Iterates over keys and mutable values, in order of key.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// As [`Self::iter`], from the first key that is not less than this one.
    pub fn from(&self, key: &str) -> impl Iterator<Item = (&str, &V)> {
        let at = self.search(key).unwrap_or_else(|at| at);
        self.0.iter().skip(at).map(|(key, value)| (&**key, value))
    }

    /// Iterates over the keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| &**key)
    }

    /// Iterates over the values, in order of key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the map is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Default> VecMap<V> {
    /// Returns the value of a key, inserting the default if there is none.
    pub fn entry(&mut self, key: &str) -> &mut V {
        let at = match self.search(key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key.into(), V::default()));
                at
            }
        };
        #[allow(clippy::indexing_slicing)] // Present by the lines above.
        &mut self.0[at].1
    }
}

impl VecMap<u64> {
    /// Increments the count of a key.
    pub fn count(&mut self, key: &str) {
        let n = self.entry(key);
        *n = n.saturating_add(1);
    }
}

impl<V> IntoIterator for VecMap<V> {
    type Item = (Box<str>, V);
    type IntoIter = std::vec::IntoIter<(Box<str>, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<V: Serialize> Serialize for VecMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'a, V> FromIterator<(&'a str, V)> for VecMap<V> {
    fn from_iter<I: IntoIterator<Item = (&'a str, V)>>(items: I) -> Self {
        let mut map = Self::default();
        for (key, value) in items {
            map.insert(key, value);
        }
        map
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for VecMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<V>(VecMap<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = VecMap<V>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    self.0.insert(&key, value);
                }
                Ok(self.0)
            }
        }
        deserializer.deserialize_map(Object(Self::default()))
    }
}
