//! A map from numbers that mostly arrive in ascending order, such as places in a log. One sorted
//! vector, whose code is a fraction of a tree's for each type of value.

/// A map whose keys are numbers, in order of key.
#[derive(Debug, Clone)]
pub struct SeqMap<V>(Vec<(u64, V)>);

impl<V> Default for SeqMap<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> SeqMap<V> {
    fn place(&self, key: u64) -> Result<usize, usize> {
        self.0.binary_search_by(|(have, _)| have.cmp(&key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&V> {
        self.place(key)
            .ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| value)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.place(key)
            .ok()
            .and_then(|at| self.0.get_mut(at))
            .map(|(_, value)| value)
    }

    /// Sets a value. The cost is that of a push where the key is greater than all others.
    pub fn insert(&mut self, key: u64, value: V) {
        match self.place(key) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: u64) -> Option<V> {
        self.place(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (u64, V)> {
        self.0.iter()
    }

    /// Keys and values whose key is at least this, in order.
    #[must_use]
    pub fn from(&self, key: u64) -> &[(u64, V)] {
        let at = self.place(key).unwrap_or_else(|at| at);
        self.0.get(at..).unwrap_or_default()
    }
}

impl SeqMap<()> {
    /// The keys.
    #[must_use]
    pub fn keys(&self) -> Vec<u64> {
        self.0.iter().map(|(key, ())| *key).collect()
    }

    /// Whether there is none.
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
