//! A number-keyed map, backed by a sorted `Vec`, for keys that mostly arrive in ascending order,
//! such as sequence numbers of a log. Generates far less code per value type than `BTreeMap`.

/// A map with number keys, in order of key.
#[derive(Debug, Clone)]
pub struct SeqMap<V>(Vec<(u64, V)>);

impl<V> Default for SeqMap<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> SeqMap<V> {
    fn search(&self, key: u64) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| have.cmp(&key))
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&V> {
        self.search(key)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// Returns the value of a key, to change it.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.search(key)
            .ok()
            .and_then(|at| self.0.get_mut(at))
            .map(|(_, value)| value)
    }

    /// Sets a value. Costs as much as a push if the key is greater than all others.
    pub fn insert(&mut self, key: u64, value: V) {
        match self.search(key) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Removes and returns a value.
    pub fn remove(&mut self, key: u64) -> Option<V> {
        self.search(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Iterates over keys and values, in order of key.
    pub fn iter(&self) -> std::slice::Iter<'_, (u64, V)> {
        self.0.iter()
    }

    /// Returns the entries whose key is at least `key`, in order.
    #[must_use]
    pub fn from(&self, key: u64) -> &[(u64, V)] {
        let at = self.search(key).unwrap_or_else(|at| at);
        self.0.get(at..).unwrap_or_default()
    }
}

impl SeqMap<()> {
    /// Returns the keys, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<u64> {
        self.0.iter().map(|(key, ())| *key).collect()
    }

    /// Returns true if the map is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> IntoIterator for SeqMap<V> {
    type Item = (u64, V);
    type IntoIter = std::vec::IntoIter<(u64, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
