//! Shared spaces and their members. What the members are is in the shared space, and the list of each
//! user in the user's own.

use datum_sync::model::space::Role;

use super::super::failure::corrupt;
use super::super::key::{shared_key, user_key};
use super::super::statement::{Session, column, number, one, rows, run, sql};
use crate::rules::store::Result;
use crate::sql_stores::{role_number, role_of};

/// Returns a user's role in a shared space.
pub(super) async fn role(session: &mut Session, id: &str, user: &str) -> Result<Option<Role>> {
    let query = sql("SELECT role FROM datum_server.member WHERE space = $1 AND member = $2");
    let Some(row) = one(session, query.bind(shared_key(id)).bind(user)).await? else {
        return Ok(None);
    };
    let stored: i16 = column(&row, 0)?;
    role_of(stored.into()).map_err(corrupt)
}

/// Makes a user a member, changes the role or ends the membership, in a space whose line is locked and
/// that has so many members. Returns how many it has then.
pub(super) async fn set(
    session: &mut Session,
    id: &str,
    user: &str,
    role: Option<Role>,
    members: u64,
) -> Result<u64> {
    let (space, own) = (shared_key(id), user_key(user));
    let number_of_role = i16::try_from(role_number(role)).unwrap_or_default();
    let before = self::role(session, id, user).await?;
    let members = members
        .saturating_sub(u64::from(before.is_some()))
        .saturating_add(u64::from(role.is_some()));
    let change = match role {
        None => {
            let delete = sql("DELETE FROM datum_server.member WHERE space = $1 AND member = $2");
            delete.bind(&space).bind(user)
        }
        Some(_) => {
            let upsert = sql(
                "INSERT INTO datum_server.member (space, member, role) VALUES ($1, $2, $3)
                 ON CONFLICT (space, member) DO UPDATE SET role = excluded.role",
            );
            upsert.bind(&space).bind(user).bind(number_of_role)
        }
    };
    run(session, change).await?;
    let count = sql("UPDATE datum_server.space SET members = $2 WHERE space = $1");
    let count = count.bind(&space).bind(crate::sql_stores::signed(members));
    run(session, count).await?;
    // The user's line is locked from here on, so the next number is nobody else's.
    let change = i64::from(role.is_some()).saturating_sub(i64::from(before.is_some()));
    let upsert = sql(
        "INSERT INTO datum_server.reader AS r (space, revision, spaces) VALUES ($1, 1, $2)
         ON CONFLICT (space) DO UPDATE SET revision = r.revision + 1, spaces = r.spaces + $2",
    );
    run(session, upsert.bind(&own).bind(change)).await?;
    let upsert = sql(
        "INSERT INTO datum_server.membership AS m (space, number, shared, role, joined)
         VALUES ($1,
           (SELECT coalesce(max(number), 0) + 1 FROM datum_server.membership WHERE space = $1), $2, $3,
           (SELECT revision FROM datum_server.reader WHERE space = $1))
         ON CONFLICT (space, shared) DO UPDATE SET
           role = excluded.role,
           joined = CASE WHEN m.role = 0 THEN excluded.joined ELSE m.joined END",
    );
    run(session, upsert.bind(&own).bind(id).bind(number_of_role)).await?;
    Ok(members)
}

/// Removes everything of a space but its line, which is locked.
pub(super) async fn end_space(session: &mut Session, id: &str) -> Result<()> {
    let space = shared_key(id);
    let users = of(session, id).await?;
    let users: Vec<String> = users.iter().map(|user| user_key(user)).collect();
    // In order: two spaces with the same members may end at once.
    let lock = sql("SELECT FROM datum_server.reader WHERE space = ANY($1)
         ORDER BY space FOR UPDATE");
    run(session, lock.bind(&users)).await?;
    for statement in [
        "UPDATE datum_server.reader SET revision = revision + 1, spaces = spaces - 1
         WHERE space = ANY($1) AND $2 <> ''",
        "UPDATE datum_server.membership SET role = 0 WHERE space = ANY($1) AND shared = $2",
    ] {
        run(session, sql(statement).bind(&users).bind(id)).await?;
    }
    for statement in [
        "DELETE FROM datum_server.member WHERE space = $1",
        "UPDATE datum_server.space SET members = 0 WHERE space = $1",
        "DELETE FROM datum_server.entity WHERE space = $1",
        "DELETE FROM datum_server.digest WHERE space = $1",
    ] {
        run(session, sql(statement).bind(&space)).await?;
    }
    Ok(())
}

/// Returns a space's members.
pub(super) async fn of(session: &mut Session, id: &str) -> Result<Vec<String>> {
    let query = sql("SELECT member FROM datum_server.member WHERE space = $1 ORDER BY member");
    let found = rows(session, query.bind(shared_key(id))).await?;
    found.iter().map(|row| column(row, 0)).collect()
}

/// Returns how many owners a space has; 2 stands for more.
pub(super) async fn owners(session: &mut Session, id: &str) -> Result<u64> {
    let query = sql("SELECT count(*) FROM (
           SELECT FROM datum_server.member WHERE space = $1 AND role = 3 LIMIT 2) AS owners");
    let found = one(session, query.bind(shared_key(id))).await?;
    number(&found.ok_or_else(|| corrupt("no count"))?, 0)
}

/// Returns how many shared spaces a user is in. A transaction that writes keeps others from changing
/// that.
pub(super) async fn spaces_of(session: &mut Session, user: &str, writes: bool) -> Result<u64> {
    let query = if writes {
        sql("SELECT spaces FROM datum_server.reader WHERE space = $1 FOR UPDATE")
    } else {
        sql("SELECT spaces FROM datum_server.reader WHERE space = $1")
    };
    let found = one(session, query.bind(user_key(user))).await?;
    found.map_or(Ok(0), |row| number(&row, 0))
}
