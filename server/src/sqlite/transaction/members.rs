//! Shared spaces and their members.

use datum_sync::model::space::Role;

use super::super::connection::{Columns, Connection};
use super::super::corrupt;
use crate::rules::store::{Head, Joined, Reader, Result, SharedState};
use crate::sql_stores::{role_number, role_of};

/// Returns the number of a user's own space, its head and the revision of the list, and how long
/// that is.
pub(super) async fn reader(
    connection: &mut impl Connection,
    user: &str,
) -> Result<Option<(i64, Reader, u64)>> {
    let query = "SELECT no, seq, floor, revision, members FROM space WHERE user = ?1";
    let Some(row) = connection.first(query, vec![user.into()]).await? else {
        return Ok(None);
    };
    let reader = Reader {
        head: head(&row, 1)?,
        revision: row.number(3)?,
        spaces: Vec::new(),
    };
    Ok(Some((row.integer(0)?, reader, row.number(4)?)))
}

/// Returns a user's shared spaces with their numbers, in the order of joining.
pub(super) async fn joined(
    connection: &mut impl Connection,
    user: i64,
) -> Result<Vec<(i64, Joined)>> {
    let query = "SELECT s.no, s.seq, s.floor, s.id, m.number, m.role
         FROM member AS m CROSS JOIN space AS s ON s.no = m.space
         WHERE m.user = ?1 AND m.role > 0 ORDER BY m.joined";
    let rows = connection.all(query, vec![user.into()]).await?;
    let joined = |row: &_| {
        let joined = Joined {
            id: Columns::string(row, 3)?.into(),
            number: Columns::number(row, 4)?,
            role: role(row, 5)?.ok_or_else(|| corrupt("a role"))?,
            head: head(row, 1)?,
        };
        Ok((Columns::integer(row, 0)?, joined))
    };
    rows.iter().map(joined).collect()
}

/// Returns the number of a shared space, and what one user finds there.
pub(super) async fn shared(
    connection: &mut impl Connection,
    user: &str,
    id: &str,
) -> Result<Option<(i64, SharedState)>> {
    let query = "SELECT s.no, s.seq, s.floor, s.members, m.role FROM space AS s
         LEFT JOIN member AS m
           ON m.space = s.no AND m.user = (SELECT no FROM space WHERE user = ?2)
         WHERE s.id = ?1";
    let found = connection.first(query, vec![id.into(), user.into()]);
    let Some(row) = found.await? else {
        return Ok(None);
    };
    let state = SharedState {
        used: true,
        role: role(&row, 4)?,
        head: head(&row, 1)?,
        members: row.number(3)?,
    };
    Ok(Some((row.integer(0)?, state)))
}

pub(super) async fn set(
    connection: &mut impl Connection,
    space: i64,
    user: i64,
    role: Option<Role>,
) -> Result<()> {
    let count = "UPDATE space SET revision = revision + (no = ?2), members = members + ?3 - ifnull(
           (SELECT role > 0 FROM member WHERE space = ?1 AND user = ?2), 0)
         WHERE no IN (?1, ?2)";
    let member = i64::from(role.is_some());
    let values = vec![space.into(), user.into(), member.into()];
    connection.run(count, values).await?;
    let upsert =
        "INSERT INTO member (user, number, space, role, joined)
         SELECT ?2, (SELECT ifnull(max(number), 0) + 1 FROM member WHERE user = ?2), ?1, ?3, revision
         FROM space WHERE no = ?2
         ON CONFLICT (space, user) DO UPDATE SET
           role = excluded.role, joined = iif(role = 0, excluded.joined, joined)";
    let values = vec![space.into(), user.into(), role_number(role).into()];
    connection.run(upsert, values).await?;
    Ok(())
}

/// Removes everything of a space but its line.
pub(super) async fn end_space(connection: &mut impl Connection, space: i64) -> Result<()> {
    for statement in [
        "UPDATE space SET revision = revision + 1, members = members - 1
         WHERE no IN (SELECT user FROM member WHERE space = ?1 AND role > 0)",
        "UPDATE member SET role = 0 WHERE space = ?1",
        "UPDATE space SET members = 0 WHERE no = ?1",
        "DELETE FROM entity WHERE space = ?1",
        "DELETE FROM digest WHERE space = ?1",
    ] {
        connection.run(statement, vec![space.into()]).await?;
    }
    Ok(())
}

pub(super) async fn of(connection: &mut impl Connection, space: i64) -> Result<Vec<String>> {
    let query = "SELECT u.user FROM member AS m CROSS JOIN space AS u ON u.no = m.user
         WHERE m.space = ?1 AND m.role > 0 ORDER BY u.user";
    let rows = connection.all(query, vec![space.into()]).await?;
    rows.iter().map(|row| row.string(0)).collect()
}

pub(super) async fn owners(connection: &mut impl Connection, space: i64) -> Result<u64> {
    let query = "SELECT count(*) FROM (SELECT 1 FROM member WHERE space = ?1 AND role = 3 LIMIT 2)";
    let row = connection.first(query, vec![space.into()]).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

pub(super) async fn spaces_of(connection: &mut impl Connection, user: &str) -> Result<u64> {
    let query = "SELECT members FROM space WHERE user = ?1";
    let row = connection.first(query, vec![user.into()]).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

fn head(row: &impl Columns, column: usize) -> Result<Head> {
    Ok(Head {
        seq: row.number(column)?,
        floor: row.number(column.saturating_add(1))?,
    })
}

/// Returns the role in a column, if it holds any.
fn role(row: &impl Columns, column: usize) -> Result<Option<Role>> {
    role_of(row.signed(column)?.unwrap_or_default()).map_err(corrupt)
}
