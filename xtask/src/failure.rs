//! Errors of commands: a message for the person who reads it.

use std::fmt;

/// The result of a command or a part of it.
pub type Result<T> = std::result::Result<T, Failure>;

/// A message that says what went wrong and, if possible, what to do about it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Makes a failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Adds context to an error or to a missing value.
pub trait Because<T> {
    /// `doing` is the context, such as "reading pkg.json".
    fn because(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Because<T> for std::result::Result<T, E> {
    fn because(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Failure::new(format!("{doing}: {cause}")))
    }
}

impl<T> Because<T> for Option<T> {
    fn because(self, doing: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Failure::new(doing.to_string()))
    }
}
