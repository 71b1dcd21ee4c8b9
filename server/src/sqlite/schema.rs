//! The schema and its migrations.

use super::connection::{Columns as _, Connection};
use crate::rules::ServerError;
use crate::rules::store::Result;

/// The migrations, in order. SQLite's `user_version` counts those that have run.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../sql/0001_rows.sql"),
    include_str!("../../sql/0002_epoch_history.sql"),
    include_str!("../../sql/0003_spaces.sql"),
];

/// Migrates the schema. A new database gets `epoch`.
///
/// # Errors
/// Errors of SQLite; a database with a schema newer than this program's, or with another program's tables.
pub async fn migrate(mut connection: impl Connection, epoch: &str) -> Result<()> {
    let version = connection.first("PRAGMA user_version", Vec::new()).await?;
    let version = version.map_or(Ok(0), |row| row.integer(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(ServerError::internal(
            "a later version of this server wrote the database; use that version",
        ));
    }
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\'";
    if done == 0 && connection.first(tables, Vec::new()).await?.is_some() {
        return Err(ServerError::internal(
            "the database has tables of another program; give sync a database of its own",
        ));
    }
    for script in MIGRATIONS.iter().skip(done) {
        connection.script(script).await?;
    }
    if done < MIGRATIONS.len() {
        connection.script("PRAGMA user_version = 3").await?;
    }
    connection
        .run(
            "INSERT INTO setting (name, value) VALUES ('epoch', ?1) ON CONFLICT (name) DO NOTHING",
            vec![epoch.into()],
        )
        .await?;
    // From the epoch if it has as many random digits: so a backup that is older than ids gets the
    // id that its database has got meanwhile.
    connection
        .run(
            "INSERT INTO setting (name, value)
             SELECT 'serverId', substr(x, 1, 8) || '-' || substr(x, 9, 4) || '-4' || substr(x, 14, 3)
               || '-a' || substr(x, 18, 3) || '-' || substr(x, 21, 12)
             FROM (SELECT iif(length(value) = 32, value, lower(hex(randomblob(16)))) AS x
                   FROM setting WHERE name = 'epoch')
             WHERE true ON CONFLICT (name) DO NOTHING",
            Vec::new(),
        )
        .await?;
    connection.commit().await
}
