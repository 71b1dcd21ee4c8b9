//! The statements that write.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;

use super::super::connection::Connection;
use super::json;
use crate::rules::store::{AppliedOperation, Batch, Result, Row, Space, Swept};
use crate::sql_stores::signed;

pub(super) async fn batch(
    connection: &mut impl Connection,
    (user, space): (i64, i64),
    numbers: &BTreeMap<Space, i64>,
    batch: Batch,
    now_ms: u64,
) -> Result<()> {
    let statement = "UPDATE space SET seq = ?2 WHERE no = ?1";
    let values = vec![space.into(), signed(batch.seq).into()];
    connection.run(statement, values).await?;
    rows(connection, space, numbers, &batch.rows, now_ms).await?;
    applied(connection, user, numbers, &batch.applied, now_ms).await?;
    digests(connection, space, batch.digests).await
}

async fn rows(
    connection: &mut impl Connection,
    space: i64,
    numbers: &BTreeMap<Space, i64>,
    rows: &[Row],
    now_ms: u64,
) -> Result<()> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let deleted = u8::from(row.data.is_none());
            let data = row.data.as_deref();
            let moved_to = row.moved_to.as_ref().and_then(|to| numbers.get(to));
            (&row.entity, &row.id, row.version, deleted, data, moved_to)
        })
        .collect();
    // `WHERE true` keeps SQLite from reading `ON` as a join.
    let upsert =
        "INSERT INTO entity (space, entity, id, version, deleted, written_at, data, moved_to)
         SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3, value ->> 4, value ->> 5
         FROM json_each(?2) WHERE true
         ON CONFLICT (space, entity, id) DO UPDATE SET
           version = excluded.version, deleted = excluded.deleted,
           written_at = excluded.written_at, data = excluded.data, moved_to = excluded.moved_to";
    let values = vec![space.into(), json(&rows)?.into(), signed(now_ms).into()];
    connection.run(upsert, values).await?;
    Ok(())
}

async fn applied(
    connection: &mut impl Connection,
    user: i64,
    numbers: &BTreeMap<Space, i64>,
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
                // 0 is the user's own.
                numbers
                    .get(&applied.space)
                    .filter(|no| **no != user)
                    .unwrap_or(&0),
                applied.left.unwrap_or_default(),
            )
        })
        .collect();
    let insert =
        "INSERT INTO operation (user, op_id, entity, id, version, space, left_version, written_at)
         SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, ?3
         FROM json_each(?2) WHERE true
         ON CONFLICT (user, op_id) DO UPDATE SET
           entity = excluded.entity, id = excluded.id, version = excluded.version,
           space = excluded.space, left_version = excluded.left_version,
           written_at = excluded.written_at";
    let values = vec![
        user.into(),
        json(&operations)?.into(),
        signed(now_ms).into(),
    ];
    connection.run(insert, values).await?;
    Ok(())
}

async fn digests(
    connection: &mut impl Connection,
    space: i64,
    digests: BTreeMap<String, Digest>,
) -> Result<()> {
    for (entity, digest) in digests {
        let upsert = "INSERT INTO digest (space, entity, count, sum) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (space, entity) DO UPDATE SET
               count = excluded.count, sum = excluded.sum";
        let values = vec![
            space.into(),
            entity.into(),
            signed(digest.count).into(),
            digest.sum.cast_signed().into(),
        ];
        connection.run(upsert, values).await?;
    }
    Ok(())
}

pub(super) async fn device(
    connection: &mut impl Connection,
    user: i64,
    device: &str,
    record: &str,
    now_ms: u64,
    keep: usize,
) -> Result<()> {
    let upsert = "INSERT INTO device (user, device, written_at, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user, device) DO UPDATE SET
           written_at = excluded.written_at, record = excluded.record";
    let values = vec![
        user.into(),
        device.into(),
        signed(now_ms).into(),
        record.into(),
    ];
    connection.run(upsert, values).await?;
    drop_silent_devices(connection, user, device, keep).await
}

/// Removes the least recently written devices until `keep` are left, `device` among them.
async fn drop_silent_devices(
    connection: &mut impl Connection,
    user: i64,
    device: &str,
    keep: usize,
) -> Result<()> {
    let others = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
    let delete = "DELETE FROM device WHERE user = ?1 AND device <> ?2 AND device IN (
           SELECT device FROM device WHERE user = ?1 AND device <> ?2
           ORDER BY written_at DESC, device DESC LIMIT -1 OFFSET ?3)";
    let values = vec![user.into(), device.into(), others.into()];
    connection.run(delete, values).await?;
    Ok(())
}

/// Replaces the epoch, and records where each space's history ended in the old one.
pub(super) async fn end_epoch(connection: &mut impl Connection, epoch: &str) -> Result<()> {
    let record = "INSERT OR IGNORE INTO epoch_history (space, epoch, seq)
         SELECT a.no, s.value, a.seq
         FROM (SELECT no, seq FROM space UNION ALL SELECT 0, 0) AS a, setting AS s
         WHERE s.name = 'epoch'";
    connection.run(record, Vec::new()).await?;
    let replace = "UPDATE setting SET value = ?1 WHERE name = 'epoch'";
    connection.run(replace, vec![epoch.into()]).await?;
    Ok(())
}

pub(super) async fn server_id(connection: &mut impl Connection, id: &str) -> Result<()> {
    let replace = "UPDATE setting SET value = ?1 WHERE name = 'serverId'";
    connection.run(replace, vec![id.into()]).await?;
    Ok(())
}

pub(super) async fn sweep(
    connection: &mut impl Connection,
    tombstones_before: u64,
    operations_before: u64,
    most: u64,
) -> Result<Swept> {
    let raise_floors = "UPDATE space SET floor = max(floor, gone.version) FROM (
           SELECT space, max(version) AS version FROM (
             SELECT space, version FROM entity
             WHERE deleted = 1 AND written_at < ?1 ORDER BY written_at, space, version LIMIT ?2
           ) GROUP BY space
         ) AS gone WHERE gone.space = space.no";
    let tombstones = "DELETE FROM entity WHERE rowid IN (
           SELECT rowid FROM entity
           WHERE deleted = 1 AND written_at < ?1 ORDER BY written_at, space, version LIMIT ?2)";
    let operations = "DELETE FROM operation WHERE (user, op_id) IN (
           SELECT user, op_id FROM operation
           WHERE written_at < ?1 ORDER BY written_at LIMIT ?2)";
    let before = |time: u64| vec![signed(time).into(), signed(most).into()];
    let values = before(tombstones_before);
    connection.run(raise_floors, values.clone()).await?;
    Ok(Swept {
        tombstones: connection.run(tombstones, values).await?,
        operations: connection
            .run(operations, before(operations_before))
            .await?,
    })
}
