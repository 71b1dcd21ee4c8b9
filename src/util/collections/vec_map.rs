//! A map from text for the few: entity types, scopes, users, the conflicts of one page. One sorted
//! vector, whose code is a fraction of a tree's for each type of value.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map whose keys are text, in order of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VecMap<V>(Vec<(Box<str>, V)>);

impl<V> Default for VecMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> VecMap<V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| (**have).cmp(key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.place(key)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        self.place(key)
            .ok()
            .and_then(|at| self.0.get_mut(at))
            .map(|(_, value)| value)
    }

    /// Whether a key has a value.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Sets a value, and gives back the one that it replaces.
    pub fn insert(&mut self, key: &str, value: V) -> Option<V> {
        match self.place(key) {
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

    /// Takes a value out.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        self.place(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// Keys and values, the values to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| &**key)
    }

    /// The values, in order of key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Default> VecMap<V> {
    /// The value of a key, made now if there is none.
    pub fn entry(&mut self, key: &str) -> &mut V {
        let at = match self.place(key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key.into(), V::default()));
                at
            }
        };
        #[allow(clippy::indexing_slicing)] // Present since the lines above.
        &mut self.0[at].1
    }
}

impl VecMap<u64> {
    /// Counts one more.
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
