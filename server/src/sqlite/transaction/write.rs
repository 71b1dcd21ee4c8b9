//! The statements that write.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;
use sqlx::query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};

use super::{failed, json, signed};
use crate::rules::store::{AppliedOperation, Batch, Result, Row, Swept};

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

pub(super) async fn batch(
    connection: &mut SqliteConnection,
    account: i64,
    batch: Batch,
    now_ms: u64,
) -> Result<()> {
    let seq = query("UPDATE account SET seq = ?2 WHERE no = ?1")
        .bind(account)
        .bind(signed(batch.seq));
    run(connection, seq).await?;
    rows(connection, account, &batch.rows, now_ms).await?;
    applied(connection, account, &batch.applied, now_ms).await?;
    digests(connection, account, batch.digests).await
}

async fn rows(
    connection: &mut SqliteConnection,
    account: i64,
    rows: &[Row],
    now_ms: u64,
) -> Result<()> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let deleted = u8::from(row.data.is_none());
            let data = row.data.as_deref();
            (&row.entity, &row.id, row.version, deleted, data)
        })
        .collect();
    // `WHERE true` keeps SQLite from reading `ON` as a join.
    let upsert = query(
        "INSERT INTO entity (account, entity, id, version, deleted, written_at, data)
         SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3, value ->> 4
         FROM json_each(?2) WHERE true
         ON CONFLICT (account, entity, id) DO UPDATE SET
           version = excluded.version, deleted = excluded.deleted,
           written_at = excluded.written_at, data = excluded.data",
    );
    let upsert = upsert.bind(account).bind(json(&rows)?).bind(signed(now_ms));
    run(connection, upsert).await?;
    Ok(())
}

async fn applied(
    connection: &mut SqliteConnection,
    account: i64,
    operations: &[AppliedOperation],
    now_ms: u64,
) -> Result<()> {
    let operations: Vec<_> = operations
        .iter()
        .map(|applied| {
            (
                &applied.op_id,
                &applied.entity,
                &applied.id,
                applied.version,
            )
        })
        .collect();
    let insert = query(
        "INSERT INTO operation (account, op_id, entity, id, version, written_at)
         SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3
         FROM json_each(?2) WHERE true
         ON CONFLICT (account, op_id) DO UPDATE SET
           entity = excluded.entity, id = excluded.id,
           version = excluded.version, written_at = excluded.written_at",
    );
    let insert = insert
        .bind(account)
        .bind(json(&operations)?)
        .bind(signed(now_ms));
    run(connection, insert).await?;
    Ok(())
}

async fn digests(
    connection: &mut SqliteConnection,
    account: i64,
    digests: BTreeMap<String, Digest>,
) -> Result<()> {
    for (entity, digest) in digests {
        let upsert = query(
            "INSERT INTO digest (account, entity, count, sum) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, entity) DO UPDATE SET
               count = excluded.count, sum = excluded.sum",
        );
        let upsert = upsert
            .bind(account)
            .bind(entity)
            .bind(signed(digest.count))
            .bind(digest.sum.cast_signed());
        run(connection, upsert).await?;
    }
    Ok(())
}

pub(super) async fn device(
    connection: &mut SqliteConnection,
    account: i64,
    device: &str,
    record: &str,
    now_ms: u64,
    keep: usize,
) -> Result<()> {
    let upsert = query(
        "INSERT INTO device (account, device, written_at, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account, device) DO UPDATE SET
           written_at = excluded.written_at, record = excluded.record",
    );
    let upsert = upsert
        .bind(account)
        .bind(device)
        .bind(signed(now_ms))
        .bind(record);
    run(connection, upsert).await?;
    drop_silent_devices(connection, account, device, keep).await
}

/// Removes the least recently written devices until `keep` are left, `device` among them.
async fn drop_silent_devices(
    connection: &mut SqliteConnection,
    account: i64,
    device: &str,
    keep: usize,
) -> Result<()> {
    let others = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
    let delete = query(
        "DELETE FROM device WHERE account = ?1 AND device <> ?2 AND device IN (
           SELECT device FROM device WHERE account = ?1 AND device <> ?2
           ORDER BY written_at DESC, device DESC LIMIT -1 OFFSET ?3)",
    );
    run(connection, delete.bind(account).bind(device).bind(others)).await?;
    Ok(())
}

/// Replaces the epoch, and records where each user's history ended in the old one.
pub(super) async fn end_epoch(connection: &mut SqliteConnection, epoch: &str) -> Result<()> {
    let record = query(
        "INSERT OR IGNORE INTO epoch_history (account, epoch, seq)
         SELECT a.no, s.value, a.seq
         FROM (SELECT no, seq FROM account UNION ALL SELECT 0, 0) AS a, setting AS s
         WHERE s.name = 'epoch'",
    );
    run(connection, record).await?;
    let replace = query("UPDATE setting SET value = ?1 WHERE name = 'epoch'");
    run(connection, replace.bind(epoch)).await?;
    Ok(())
}

pub(super) async fn server_id(connection: &mut SqliteConnection, id: &str) -> Result<()> {
    let replace = query("UPDATE setting SET value = ?1 WHERE name = 'serverId'");
    run(connection, replace.bind(id)).await?;
    Ok(())
}

pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    tombstones_before: u64,
    operations_before: u64,
    most: u64,
) -> Result<Swept> {
    let (before, most) = (signed(tombstones_before), signed(most));
    let raise_floors = query(
        "UPDATE account SET floor = max(floor, gone.version) FROM (
           SELECT account, max(version) AS version FROM (
             SELECT account, version FROM entity
             WHERE deleted = 1 AND written_at < ?1 ORDER BY written_at, account, version LIMIT ?2
           ) GROUP BY account
         ) AS gone WHERE gone.account = account.no",
    );
    run(connection, raise_floors.bind(before).bind(most)).await?;
    let tombstones = query(
        "DELETE FROM entity WHERE rowid IN (
           SELECT rowid FROM entity
           WHERE deleted = 1 AND written_at < ?1 ORDER BY written_at, account, version LIMIT ?2)",
    );
    let operations = query(
        "DELETE FROM operation WHERE (account, op_id) IN (
           SELECT account, op_id FROM operation
           WHERE written_at < ?1 ORDER BY written_at LIMIT ?2)",
    );
    let operations = operations.bind(signed(operations_before)).bind(most);
    Ok(Swept {
        tombstones: run(connection, tombstones.bind(before).bind(most)).await?,
        operations: run(connection, operations).await?,
    })
}

/// Runs a statement. Returns how many rows it changed.
async fn run(connection: &mut SqliteConnection, statement: Query<'_>) -> Result<u64> {
    let done = statement.execute(connection).await.map_err(failed)?;
    Ok(done.rows_affected())
}
