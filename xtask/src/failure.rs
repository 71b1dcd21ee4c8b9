//! Why a command could not go on, in words for a person.

use std::fmt;

/// What a command answers.
pub type Result<T> = std::result::Result<T, Failure>;

/// A message that says what went wrong and, where it can, what to do about it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this message.
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

/// Adds what was being done to an error or to an absent value.
pub trait Because<T> {
    /// `doing` names the action and its object: "reading pkg.json".
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
