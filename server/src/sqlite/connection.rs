//! What the statements of the store need of a connection to SQLite that is in a transaction.

use std::future::Future;

use super::corrupt;
use crate::rules::store::Result;

/// A value that is bound to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

/// A row of a result.
pub trait Columns: Send {
    /// Returns the whole number in a column; `None` for NULL.
    ///
    /// # Errors
    /// Fails if the column holds something else.
    fn signed(&self, column: usize) -> Result<Option<i64>>;
    /// Returns the text in a column; `None` for NULL.
    ///
    /// # Errors
    /// Fails if the column holds something else.
    fn text(&self, column: usize) -> Result<Option<String>>;

    /// Returns a whole number that must be there.
    ///
    /// # Errors
    /// Fails if the column holds something else.
    fn integer(&self, column: usize) -> Result<i64> {
        self.signed(column)?.ok_or_else(|| corrupt("NULL"))
    }

    /// Returns a version, a count or a time.
    ///
    /// # Errors
    /// Fails if the column holds something else.
    fn number(&self, column: usize) -> Result<u64> {
        u64::try_from(self.integer(column)?).map_err(corrupt)
    }

    /// Returns text that must be there.
    ///
    /// # Errors
    /// Fails if the column holds something else.
    fn string(&self, column: usize) -> Result<String> {
        self.text(column)?.ok_or_else(|| corrupt("NULL"))
    }
}

impl Columns for Vec<Value> {
    fn signed(&self, column: usize) -> Result<Option<i64>> {
        match self.get(column) {
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt("no whole number")),
        }
    }

    fn text(&self, column: usize) -> Result<Option<String>> {
        match self.get(column) {
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt("no text")),
        }
    }
}

/// A connection in a transaction, which ends without effect if this is dropped. The values are those of `?1`, `?2`
/// and so on. The columns of a query have different names: some drivers give a row as an object.
pub trait Connection: Send {
    /// The rows of its results.
    type Row: Columns;

    /// Runs a query, and gives `take` row after row until that returns false.
    fn each(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
        take: impl FnMut(&Self::Row) -> Result<bool> + Send,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Runs a query and returns all rows.
    fn all(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Vec<Self::Row>>> + Send;

    /// Runs a query of one row at most.
    fn first(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<Option<Self::Row>>> + Send {
        async move { Ok(self.all(query, values).await?.into_iter().next()) }
    }

    /// Runs a statement that writes. Returns how many rows it changed.
    fn run(
        &mut self,
        statement: &'static str,
        values: Vec<Value>,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Runs several statements without values.
    fn script(&mut self, statements: &'static str) -> impl Future<Output = Result<()>> + Send;

    /// Commits.
    fn commit(self) -> impl Future<Output = Result<()>> + Send;
}
