//! How statements are run.

use std::future::Future;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{Postgres, Row as _};

use super::failure::{corrupt, failed};
use crate::rules::ServerError;
use crate::rules::store::Result;

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// How long the database may be silent, whatever its own limits are: the network may have lost it.
const SILENCE: Duration = Duration::from_secs(120);

/// Returns a statement. It leaves no name behind on the connection: a pooler such as PgBouncer gives
/// that to another client when the transaction ends.
pub(super) fn sql(text: &'static str) -> Query<'static> {
    sqlx::query(text).persistent(false)
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
pub(super) async fn rows(connection: &mut PgConnection, query: Query<'_>) -> Result<Vec<PgRow>> {
    in_time(query.fetch_all(connection)).await
}

/// Returns the row, if there is one.
pub(super) async fn one(connection: &mut PgConnection, query: Query<'_>) -> Result<Option<PgRow>> {
    in_time(query.fetch_optional(connection)).await
}

/// Runs a statement. Returns how many rows it changed.
pub(super) async fn run(connection: &mut PgConnection, query: Query<'_>) -> Result<u64> {
    Ok(in_time(query.execute(connection)).await?.rows_affected())
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
