//! The field in which each entity on the server says which version of the app's schema it has:
//! `schemaField` of the config. A server stores it as any other field, and need not know of it.
//!
//! A stored body has the server's value. The body itself may be of a later version, that of its
//! log.

use std::borrow::Cow;

use crate::model::entity::Fields;

/// The field's name, and the app's own version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaField {
    pub name: String,
    pub version: u32,
}

impl SchemaField {
    /// Returns the version that a body names; `None` if it names none.
    #[must_use]
    pub fn of(&self, body: &str) -> Option<u32> {
        Fields::parse(body).ok()?.get(&self.name)?.parse().ok()
    }

    /// Returns a body as it is sent: with the app's version, unless it names a later one.
    #[must_use]
    pub fn stated<'a>(&self, body: &'a str) -> Cow<'a, str> {
        if self.of(body).is_some_and(|version| version >= self.version) {
            return Cow::Borrowed(body);
        }
        let version = self.version.to_string();
        Cow::Owned(self.with(body, Some(&version)))
    }

    /// Returns a migrated body with the value that the stored one has.
    #[must_use]
    pub fn kept(&self, stored: &str, migrated: &str) -> String {
        let stored = Fields::parse(stored).unwrap_or_default();
        self.with(migrated, stored.get(&self.name))
    }

    fn with(&self, body: &str, value: Option<&str>) -> String {
        let mut fields = Fields::parse(body).unwrap_or_default();
        fields.0.retain(|(name, _)| **name != *self.name);
        if let Some(value) = value {
            fields.0.push((Cow::Borrowed(&self.name), value));
        }
        fields.to_json()
    }
}
