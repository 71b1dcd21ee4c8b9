//! Shared spaces and their members.

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query};

use datum_sync::model::space::Role;

use super::write::run;
use super::{corrupt, failed, number};
use crate::rules::store::{Head, Joined, Reader, Result, SharedState};
use crate::sql_stores::{role_number, role_of};

/// Returns the number of a user's own space, its head and the revision of the list, and how long
/// that is.
pub(super) async fn reader(
    connection: &mut SqliteConnection,
    user: &str,
) -> Result<Option<(i64, Reader, u64)>> {
    let found = query("SELECT no, seq, floor, revision, members FROM space WHERE user = ?1")
        .bind(user)
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    let Some(row) = found else {
        return Ok(None);
    };
    let reader = Reader {
        head: head(&row, 1)?,
        revision: number(&row, 3)?,
        spaces: Vec::new(),
    };
    Ok(Some((
        row.try_get(0).map_err(failed)?,
        reader,
        number(&row, 4)?,
    )))
}

/// Returns a user's shared spaces with their numbers, in the order of joining.
pub(super) async fn joined(
    connection: &mut SqliteConnection,
    user: i64,
) -> Result<Vec<(i64, Joined)>> {
    let rows = query(
        "SELECT s.no, s.seq, s.floor, s.id, m.number, m.role
         FROM member AS m CROSS JOIN space AS s ON s.no = m.space
         WHERE m.user = ?1 AND m.role > 0 ORDER BY m.joined",
    );
    let rows = rows
        .bind(user)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let joined = |row: &SqliteRow| {
        let id: String = row.try_get(3).map_err(failed)?;
        let joined = Joined {
            id: id.into(),
            number: number(row, 4)?,
            role: role(row, 5)?.ok_or_else(|| corrupt("a role"))?,
            head: head(row, 1)?,
        };
        Ok((row.try_get(0).map_err(failed)?, joined))
    };
    rows.iter().map(joined).collect()
}

/// Returns the number of a shared space, and what one user finds there.
pub(super) async fn shared(
    connection: &mut SqliteConnection,
    user: &str,
    id: &str,
) -> Result<Option<(i64, SharedState)>> {
    let found = query(
        "SELECT s.no, s.seq, s.floor, s.members, m.role FROM space AS s
         LEFT JOIN member AS m
           ON m.space = s.no AND m.user = (SELECT no FROM space WHERE user = ?2)
         WHERE s.id = ?1",
    );
    let found = found.bind(id).bind(user).fetch_optional(connection);
    let Some(row) = found.await.map_err(failed)? else {
        return Ok(None);
    };
    let state = SharedState {
        used: true,
        role: role(&row, 4)?,
        head: head(&row, 1)?,
        members: number(&row, 3)?,
    };
    Ok(Some((row.try_get(0).map_err(failed)?, state)))
}

pub(super) async fn set(
    connection: &mut SqliteConnection,
    space: i64,
    user: i64,
    role: Option<Role>,
) -> Result<()> {
    let count = query(
        "UPDATE space SET revision = revision + (no = ?2), members = members + ?3 - ifnull(
           (SELECT role > 0 FROM member WHERE space = ?1 AND user = ?2), 0)
         WHERE no IN (?1, ?2)",
    );
    let count = count.bind(space).bind(user);
    run(connection, count.bind(i64::from(role.is_some()))).await?;
    let upsert = query(
        "INSERT INTO member (user, number, space, role, joined)
         SELECT ?2, (SELECT ifnull(max(number), 0) + 1 FROM member WHERE user = ?2), ?1, ?3, revision
         FROM space WHERE no = ?2
         ON CONFLICT (space, user) DO UPDATE SET
           role = excluded.role, joined = iif(role = 0, excluded.joined, joined)",
    );
    let upsert = upsert.bind(space).bind(user).bind(role_number(role));
    run(connection, upsert).await?;
    Ok(())
}

/// Removes everything of a space but its line.
pub(super) async fn end_space(connection: &mut SqliteConnection, space: i64) -> Result<()> {
    for statement in [
        "UPDATE space SET revision = revision + 1, members = members - 1
         WHERE no IN (SELECT user FROM member WHERE space = ?1 AND role > 0)",
        "UPDATE member SET role = 0 WHERE space = ?1",
        "UPDATE space SET members = 0 WHERE no = ?1",
        "DELETE FROM entity WHERE space = ?1",
        "DELETE FROM digest WHERE space = ?1",
    ] {
        run(connection, query(statement).bind(space)).await?;
    }
    Ok(())
}

pub(super) async fn of(connection: &mut SqliteConnection, space: i64) -> Result<Vec<String>> {
    let rows = query(
        "SELECT u.user FROM member AS m CROSS JOIN space AS u ON u.no = m.user
         WHERE m.space = ?1 AND m.role > 0 ORDER BY u.user",
    );
    let rows = rows
        .bind(space)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(failed))
        .collect()
}

pub(super) async fn owners(connection: &mut SqliteConnection, space: i64) -> Result<u64> {
    let row =
        query("SELECT count(*) FROM (SELECT 1 FROM member WHERE space = ?1 AND role = 3 LIMIT 2)");
    let row = row
        .bind(space)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    number(&row, 0)
}

pub(super) async fn spaces_of(connection: &mut SqliteConnection, user: &str) -> Result<u64> {
    let row = query("SELECT members FROM space WHERE user = ?1").bind(user);
    let row = row.fetch_optional(connection).await.map_err(failed)?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

fn head(row: &SqliteRow, column: usize) -> Result<Head> {
    Ok(Head {
        seq: number(row, column)?,
        floor: number(row, column.saturating_add(1))?,
    })
}

/// Returns the role in a column, if it holds any.
fn role(row: &SqliteRow, column: usize) -> Result<Option<Role>> {
    let stored: Option<i64> = row.try_get(column).map_err(failed)?;
    role_of(stored.unwrap_or_default()).map_err(corrupt)
}
