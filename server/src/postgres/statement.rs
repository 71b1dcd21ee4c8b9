//! How statements are run.

use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Postgres, Row as _, Transaction};

use super::failure::{corrupt, failed};
use crate::rules::ServerError;
use crate::rules::store::Result;

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// How long the database may be silent, whatever its own limits are: the network may have lost it.
const SILENCE: Duration = Duration::from_secs(120);

/// The transaction of a request.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) tx: Transaction<'static, Postgres>,
    /// Whether statements keep a name on the connection, so that the next run of one is one round trip
    /// instead of two, and PostgreSQL need not parse it. A pooler such as PgBouncer in transaction mode
    /// gives the connection to another client when the transaction ends.
    pub(super) keeps_names: bool,
}

/// What a statement runs on.
pub(super) trait Connected: Send {
    /// Returns the connection, and whether statements may leave a name on it.
    fn parts(&mut self) -> (&mut PgConnection, bool);
}

impl Connected for Session {
    fn parts(&mut self) -> (&mut PgConnection, bool) {
        (&mut self.tx, self.keeps_names)
    }
}

impl Connected for PgConnection {
    fn parts(&mut self) -> (&mut PgConnection, bool) {
        (self, false)
    }
}

impl Connected for Transaction<'static, Postgres> {
    fn parts(&mut self) -> (&mut PgConnection, bool) {
        (self, false)
    }
}

/// Returns a statement.
pub(super) fn sql(text: &'static str) -> Query<'static> {
    sqlx::query(text)
}

/// Waits for the database, but not for ever.
pub(super) async fn in_time<R>(
    work: impl Future<Output = std::result::Result<R, sqlx::Error>>,
) -> Result<R> {
    match tokio::time::timeout(SILENCE, work).await {
        Ok(done) => done.map_err(failed),
        Err(late) => Err(ServerError::unreachable(late)),
    }
}

/// Returns all rows.
pub(super) async fn rows(on: &mut impl Connected, query: Query<'_>) -> Result<Vec<PgRow>> {
    let (connection, keeps_names) = on.parts();
    in_time(query.persistent(keeps_names).fetch_all(connection)).await
}

/// Returns the row, if there is one.
pub(super) async fn one(on: &mut impl Connected, query: Query<'_>) -> Result<Option<PgRow>> {
    let (connection, keeps_names) = on.parts();
    in_time(query.persistent(keeps_names).fetch_optional(connection)).await
}

/// Runs a statement. Returns how many rows it changed.
pub(super) async fn run(on: &mut impl Connected, query: Query<'_>) -> Result<u64> {
    let (connection, keeps_names) = on.parts();
    let done = in_time(query.persistent(keeps_names).execute(connection)).await?;
    Ok(done.rows_affected())
}

/// Returns a column.
pub(super) fn column<'r, T>(row: &'r PgRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    row.try_get(index).map_err(failed)
}

/// Returns a column that holds a number.
pub(super) fn number(row: &PgRow, index: usize) -> Result<u64> {
    let number: i64 = column(row, index)?;
    u64::try_from(number).map_err(corrupt)
}

/// Returns the place of a key in the array that was asked for; a column `WITH ORDINALITY`.
pub(super) fn place(row: &PgRow, index: usize) -> Result<usize> {
    let ordinal = number(row, index)?;
    Ok(usize::try_from(ordinal.saturating_sub(1)).unwrap_or(usize::MAX))
}
