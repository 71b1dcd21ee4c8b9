//! The statements that write.

use std::collections::BTreeMap;

use datum_sync::model::digest::Digest;

use super::super::failure::corrupt;
use super::super::key::key;
use super::super::statement::{Session, column, number, one, rows, run, sql};
use super::Line;
use crate::rules::ServerError;
use crate::rules::store::{AppliedOperation, Batch, Head, Result, Row, Swept};
use crate::sql_stores::signed;

/// Where and when a push writes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The space of the rows.
    pub(super) space: &'a str,
    /// The space of the operations' author.
    pub(super) user: &'a str,
    pub(super) now_ms: u64,
}

/// Locks the line of a space; none if there is none.
pub(super) async fn lock_line(session: &mut Session, space: &str) -> Result<Option<Line>> {
    let query =
        sql("SELECT seq, floor, members FROM datum_server.space WHERE space = $1 FOR UPDATE");
    let found = one(session, query.bind(space)).await?;
    found
        .map(|row| {
            Ok(Line {
                head: Head {
                    seq: number(&row, 0)?,
                    floor: number(&row, 1)?,
                },
                members: number(&row, 2)?,
            })
        })
        .transpose()
}

/// Creates the line of a space that there was none of when it was to be locked.
pub(super) async fn create_line(session: &mut Session, space: &str) -> Result<()> {
    let insert =
        sql("INSERT INTO datum_server.space (space) VALUES ($1) ON CONFLICT (space) DO NOTHING");
    if run(session, insert.bind(space)).await? == 0 {
        // What this transaction knows of the space is from before.
        return Err(ServerError::contended(
            "another transaction began the space",
        ));
    }
    Ok(())
}

pub(super) async fn batch(session: &mut Session, at: Place<'_>, batch: Batch) -> Result<()> {
    let seq = sql("UPDATE datum_server.space SET seq = $2 WHERE space = $1");
    let seq = seq.bind(at.space).bind(signed(batch.seq));
    run(session, seq).await?;
    put_rows(session, at, &batch.rows).await?;
    put_operations(session, at, batch.applied).await?;
    put_digests(session, at.space, &batch.digests).await
}

async fn put_rows(session: &mut Session, at: Place<'_>, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let entities: Vec<&str> = rows.iter().map(|row| row.entity.as_str()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let versions: Vec<i64> = rows.iter().map(|row| signed(row.version)).collect();
    let data: Vec<Option<&str>> = rows.iter().map(|row| row.data.as_deref()).collect();
    let moved: Vec<Option<String>> = rows
        .iter()
        .map(|row| row.moved_to.as_ref().map(key))
        .collect();
    let upsert = sql("INSERT INTO datum_server.entity
           (space, entity, id, version, deleted, written_at, data, moved_to)
         SELECT $1, entity, id, version, data IS NULL, $2, data, moved_to
         FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
           AS r(entity, id, version, data, moved_to)
         ON CONFLICT (space, entity, id) DO UPDATE SET
           version = excluded.version, deleted = excluded.deleted,
           written_at = excluded.written_at, data = excluded.data, moved_to = excluded.moved_to");
    let upsert = upsert.bind(at.space).bind(signed(at.now_ms));
    let upsert = upsert.bind(&entities).bind(&ids).bind(&versions);
    run(session, upsert.bind(&data).bind(&moved)).await?;
    Ok(())
}

async fn put_operations(
    session: &mut Session,
    at: Place<'_>,
    operations: Vec<AppliedOperation>,
) -> Result<()> {
    if operations.is_empty() {
        return Ok(());
    }
    // The last record of each: a statement cannot change a row twice.
    let last: BTreeMap<String, AppliedOperation> = operations
        .into_iter()
        .map(|applied| (applied.op_id.clone(), applied))
        .collect();
    let all = || last.values();
    let op_ids: Vec<&str> = all().map(|applied| applied.op_id.as_str()).collect();
    let named: Vec<String> = all().map(|applied| key(&applied.space)).collect();
    let entities: Vec<&str> = all().map(|applied| applied.entity.as_str()).collect();
    let ids: Vec<&str> = all().map(|applied| applied.id.as_str()).collect();
    let versions: Vec<i64> = all().map(|applied| signed(applied.version)).collect();
    let left: Vec<i64> = all()
        .map(|applied| signed(applied.left.unwrap_or_default()))
        .collect();
    let upsert = sql("INSERT INTO datum_server.operation
           (space, op_id, named, entity, id, version, left_version, written_at)
         SELECT $1, op_id, named, entity, id, version, left_version, $2
         FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[])
           AS o(op_id, named, entity, id, version, left_version)
         ON CONFLICT (space, op_id) DO UPDATE SET
           named = excluded.named, entity = excluded.entity, id = excluded.id,
           version = excluded.version, left_version = excluded.left_version,
           written_at = excluded.written_at");
    let upsert = upsert.bind(at.user).bind(signed(at.now_ms));
    let upsert = upsert.bind(&op_ids).bind(&named).bind(&entities);
    let upsert = upsert.bind(&ids).bind(&versions).bind(&left);
    run(session, upsert).await?;
    Ok(())
}

async fn put_digests(
    session: &mut Session,
    space: &str,
    digests: &BTreeMap<String, Digest>,
) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let entities: Vec<&str> = digests.keys().map(String::as_str).collect();
    let counts: Vec<i64> = digests
        .values()
        .map(|digest| signed(digest.count))
        .collect();
    let sums: Vec<i64> = digests
        .values()
        .map(|digest| digest.sum.cast_signed())
        .collect();
    let upsert = sql("INSERT INTO datum_server.digest (space, entity, count, sum)
         SELECT $1, entity, count, sum
         FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS d(entity, count, sum)
         ON CONFLICT (space, entity) DO UPDATE SET count = excluded.count, sum = excluded.sum");
    let upsert = upsert.bind(space).bind(&entities);
    run(session, upsert.bind(&counts).bind(&sums)).await?;
    Ok(())
}

/// Writes a device's record, and removes the least recently written others beyond `keep`.
pub(super) async fn device(
    session: &mut Session,
    (user, now_ms): (String, u64),
    device: &str,
    record: &str,
    keep: usize,
) -> Result<()> {
    let upsert = sql(
        "INSERT INTO datum_server.device (space, device, written_at, record)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (space, device) DO UPDATE SET
           written_at = excluded.written_at, record = excluded.record",
    );
    let upsert = upsert.bind(&user).bind(device).bind(signed(now_ms));
    run(session, upsert.bind(record)).await?;
    let others = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
    let delete = sql("DELETE FROM datum_server.device
         WHERE space = $1 AND device = ANY(ARRAY(
           SELECT device FROM datum_server.device WHERE space = $1 AND device <> $2
           ORDER BY written_at DESC, device DESC OFFSET $3))");
    run(session, delete.bind(&user).bind(device).bind(others)).await?;
    Ok(())
}

/// Replaces the epoch, and records where each space's history ended in the old one.
pub(super) async fn end_epoch(session: &mut Session, epoch: &str) -> Result<()> {
    // Until then nobody writes.
    run(
        session,
        sql("LOCK TABLE datum_server.space IN EXCLUSIVE MODE"),
    )
    .await?;
    for statement in [
        "INSERT INTO datum_server.epoch_history (space, epoch, seq)
         SELECT a.space, s.value, a.seq FROM datum_server.space AS a, datum_server.setting AS s
         WHERE s.name = 'epoch' ON CONFLICT (space, epoch) DO NOTHING",
        "INSERT INTO datum_server.epoch SELECT value FROM datum_server.setting WHERE name = 'epoch'
         ON CONFLICT (epoch) DO NOTHING",
    ] {
        run(session, sql(statement)).await?;
    }
    let replace = sql("UPDATE datum_server.setting SET value = $1 WHERE name = 'epoch'");
    run(session, replace.bind(epoch)).await?;
    Ok(())
}

pub(super) async fn server_id(session: &mut Session, id: &str) -> Result<()> {
    let replace = sql("UPDATE datum_server.setting SET value = $1 WHERE name = 'serverId'");
    run(session, replace.bind(id)).await?;
    Ok(())
}

pub(super) async fn sweep(
    session: &mut Session,
    tombstones_before: u64,
    operations_before: u64,
    most: u64,
) -> Result<Swept> {
    let tombstones = tombstones(session, tombstones_before, most).await?;
    let operations = sql("DELETE FROM datum_server.operation AS o USING (
           SELECT space, op_id FROM datum_server.operation
           WHERE written_at < $1 ORDER BY written_at LIMIT $2
         ) AS old WHERE o.space = old.space AND o.op_id = old.op_id AND o.written_at < $1");
    let operations = operations
        .bind(signed(operations_before))
        .bind(signed(most));
    Ok(Swept {
        tombstones,
        operations: run(session, operations).await?,
    })
}

async fn tombstones(session: &mut Session, before: u64, most: u64) -> Result<u64> {
    let find = sql("SELECT space, version FROM datum_server.entity
         WHERE deleted AND written_at < $1 ORDER BY written_at, space, version LIMIT $2");
    let found = rows(session, find.bind(signed(before)).bind(signed(most))).await?;
    let (mut spaces, mut versions) = (Vec::new(), Vec::new());
    let mut floors: BTreeMap<String, i64> = BTreeMap::new();
    for row in &found {
        let (space, version): (String, i64) = (column(row, 0)?, column(row, 1)?);
        let floor = floors.entry(space.clone()).or_default();
        *floor = version.max(*floor);
        spaces.push(space);
        versions.push(version);
    }
    if spaces.is_empty() {
        return Ok(0);
    }
    let (lines, floors): (Vec<String>, Vec<i64>) = floors.into_iter().unzip();
    // Nobody writes into the spaces from here on: a push decides by the floor and the tombstones.
    let lock =
        sql("SELECT FROM datum_server.space WHERE space = ANY($1) ORDER BY space FOR UPDATE");
    run(session, lock.bind(&lines)).await?;
    let raise = sql(
        "UPDATE datum_server.space AS s SET floor = greatest(s.floor, gone.floor)
         FROM unnest($1::text[], $2::bigint[]) AS gone(space, floor) WHERE s.space = gone.space",
    );
    if run(session, raise.bind(&lines).bind(&floors)).await? == 0 {
        return Err(corrupt("tombstones of no space"));
    }
    // A row that has been written again meanwhile has another version.
    let delete = sql("DELETE FROM datum_server.entity AS e
         USING unnest($1::text[], $2::bigint[]) AS gone(space, version)
         WHERE e.space = gone.space AND e.version = gone.version AND e.deleted");
    run(session, delete.bind(&spaces).bind(&versions)).await
}
