//! The schema. Its version is in a table of its own.

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, raw_sql};

use super::failure::{corrupt, failed};
use super::statement::{column, in_time, number, one, run, sql};
use super::{PostgresOptions, SCHEMA_VERSION};
use crate::rules::ServerError;
use crate::rules::store::Result;
use crate::sql_stores::signed;

/// The migrations, in order.
const MIGRATIONS: [&str; 1] = [include_str!("../../sql/postgres/0001_rows.sql")];
const _: () = assert!(MIGRATIONS.len() as u64 == SCHEMA_VERSION);
/// What stands in a script where a table may be partitioned.
const BY_SPACE: &str = "/* BY SPACE */";
/// The tables that are partitioned by space, if any is.
const TABLES: [&str; 9] = [
    "space",
    "entity",
    "digest",
    "epoch_history",
    "member",
    "reader",
    "membership",
    "operation",
    "device",
];

/// Brings the schema up to date. A new database gets `epoch`.
pub(super) async fn migrate(pool: &PgPool, options: &PostgresOptions, epoch: &str) -> Result<()> {
    let mut tx = pool.begin().await.map_err(failed)?;
    check(&mut tx).await?;
    // One process at a time; the lock ends with the transaction, so a pooler may be in between.
    run(&mut tx, sql("SELECT pg_advisory_xact_lock(431131751789)")).await?;
    let done = version(&mut tx).await?;
    if done > SCHEMA_VERSION {
        return Err(ServerError::internal(
            "a later version of this server wrote the database; use that version",
        ));
    }
    if done == SCHEMA_VERSION {
        return in_time(tx.commit()).await;
    }
    let scripts = MIGRATIONS.iter().zip(1_u64..);
    for (script, version) in scripts.filter(|(_, version)| *version > done) {
        if version == 1 {
            begin(&mut tx, options.partitions, script).await?;
        } else {
            in_time(raw_sql(*script).execute(&mut *tx)).await?;
        }
        let note = sql("INSERT INTO datum_server.migration (version) VALUES ($1)");
        run(&mut tx, note.bind(signed(version))).await?;
    }
    let epoch = sql(
        "INSERT INTO datum_server.setting (name, value)
         VALUES ('epoch', $1), ('serverId', gen_random_uuid()::text) ON CONFLICT (name) DO NOTHING",
    )
    .bind(epoch);
    run(&mut tx, epoch).await?;
    in_time(tx.commit()).await
}

/// Refuses a database that this server cannot use.
async fn check(connection: &mut PgConnection) -> Result<()> {
    let query = sql(
        "SELECT pg_is_in_recovery(), current_setting('server_encoding'),
           current_setting('server_version_num')::bigint, current_setting('transaction_read_only')",
    );
    let found = one(connection, query).await?;
    let row = found.ok_or_else(|| corrupt("no settings"))?;
    if column(&row, 0)? {
        return Err(ServerError::internal(
            "the database is a replica, which cannot be written; name the primary",
        ));
    }
    let encoding: String = column(&row, 1)?;
    if encoding != "UTF8" {
        return Err(ServerError::internal(format!(
            "the database's encoding is {encoding}, which cannot have every text; create it with \
             `createdb --encoding=UTF8 --template=template0`"
        )));
    }
    let version = number(&row, 2)?;
    if version < 140_000 {
        return Err(ServerError::internal(format!(
            "PostgreSQL's version is {}; 14 or later is needed",
            version / 10_000
        )));
    }
    let read_only: String = column(&row, 3)?;
    if read_only == "on" {
        return Err(ServerError::internal(
            "the database is read-only (default_transaction_read_only); this server writes",
        ));
    }
    Ok(())
}

/// Returns how many migrations have run.
async fn version(connection: &mut PgConnection) -> Result<u64> {
    let exists = sql("SELECT to_regclass('datum_server.migration') IS NOT NULL");
    let row = one(connection, exists).await?;
    if !row.map_or(Ok(false), |row| column(&row, 0))? {
        return Ok(0);
    }
    let last = sql("SELECT coalesce(max(version), 0)::bigint FROM datum_server.migration");
    let row = one(connection, last).await?;
    row.map_or(Ok(0), |row| number(&row, 0))
}

/// Creates everything, with as many partitions of each table, or none.
async fn begin(connection: &mut PgConnection, partitions: u32, script: &str) -> Result<()> {
    let by_space = if partitions > 0 {
        "PARTITION BY HASH (space)"
    } else {
        ""
    };
    let mut all = format!(
        "CREATE SCHEMA IF NOT EXISTS datum_server;
         CREATE TABLE datum_server.migration (
           version bigint NOT NULL PRIMARY KEY,
           at      timestamptz NOT NULL DEFAULT now()
         );
         {}",
        script.replace(BY_SPACE, by_space)
    );
    for (table, part) in TABLES
        .iter()
        .flat_map(|table| (0..partitions).map(move |part| (table, part)))
    {
        all.push_str(&format!(
            "CREATE TABLE datum_server.{table}_p{part} PARTITION OF datum_server.{table}
             FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part});"
        ));
    }
    in_time(raw_sql(AssertSqlSafe(all)).execute(connection)).await?;
    Ok(())
}
