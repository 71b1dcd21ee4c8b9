//! Reads the members of objects that JavaScript has checked.

use serde_json::Value;

/// The members of an object. They are in range, since `src/js/options.js` has the rules and refuses
/// all others; what is absent, null or of another type reads as `None`.
#[derive(Clone, Copy, Debug)]
pub struct CheckedObject<'a>(pub &'a Value);

impl<'a> CheckedObject<'a> {
    /// Returns a member of any type.
    #[must_use]
    pub fn value(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Returns a string.
    #[must_use]
    pub fn text(self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }

    /// Returns the id of a space: empty for null, which is the user's own.
    #[must_use]
    pub fn space(self, name: &str) -> Option<String> {
        self.0
            .get(name)
            .map(|id| id.as_str().unwrap_or_default().to_owned())
    }

    /// Returns a boolean.
    #[must_use]
    pub fn flag(self, name: &str) -> Option<bool> {
        self.value(name)?.as_bool()
    }

    /// Returns a number.
    #[must_use]
    pub fn number(self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    /// Returns a whole number.
    #[must_use]
    pub fn whole(self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    /// Returns an array of strings.
    #[must_use]
    pub fn texts(self, name: &str) -> Option<Vec<String>> {
        let items = self.value(name)?.as_array()?.iter();
        Some(
            items
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect(),
        )
    }

    /// Returns an array of arrays of strings; a string alone is an array of one.
    #[must_use]
    pub fn lists(self, name: &str) -> Vec<Vec<String>> {
        let items = self.value(name).and_then(Value::as_array);
        let list = |item: &Value| match item.as_array() {
            Some(parts) => parts
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            None => item.as_str().map(str::to_owned).into_iter().collect(),
        };
        items.into_iter().flatten().map(list).collect()
    }

    /// Returns the value that a string names.
    #[must_use]
    pub fn choice<T: Copy>(self, name: &str, among: &[(&str, T)]) -> Option<T> {
        let chosen = self.value(name)?.as_str()?;
        among
            .iter()
            .find(|(known, _)| *known == chosen)
            .map(|(_, value)| *value)
    }

    /// Returns a member that is an object; what is none has no members.
    #[must_use]
    pub fn object(self, name: &str) -> Option<Self> {
        self.value(name).map(Self)
    }

    /// Returns each member.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries = self.0.as_object().into_iter().flatten();
        entries.map(|(name, value)| (name.as_str(), Self(value)))
    }
}
