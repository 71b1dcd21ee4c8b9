//! The queries that read sets and ranges of rows.

use std::collections::{BTreeMap, HashMap};

use datum_sync::model::digest::Digest;
use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query};

use super::write::Query;
use super::{failed, json, number};
use crate::rules::store::{AppliedOperation, Range, Result, Row, Scanned, Space, Stamp};
use crate::sql_stores::merge::{Ranges, first_versions};
use crate::sql_stores::{BoundedRows, and_one, signed};

pub(super) async fn stamps(
    connection: &mut SqliteConnection,
    space: i64,
    keys: &[(&str, &str)],
) -> Result<Vec<Option<Stamp>>> {
    let mut stamps = vec![None; keys.len()];
    let rows = query(
        "SELECT k.key, e.version, e.deleted, t.user, t.id
         FROM json_each(?2) AS k CROSS JOIN entity AS e LEFT JOIN space AS t ON t.no = e.moved_to
         WHERE e.space = ?1 AND e.entity = k.value ->> 0 AND e.id = k.value ->> 1",
    )
    .bind(space)
    .bind(json(&keys)?)
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    for row in rows {
        let stamp = Stamp {
            version: number(&row, 1)?,
            deleted: row.try_get(2).map_err(failed)?,
            moved_to: named(&row, 3)?,
        };
        if let Some(slot) = key_index(&row)?.and_then(|index| stamps.get_mut(index)) {
            *slot = Some(stamp);
        }
    }
    Ok(stamps)
}

pub(super) async fn applied(
    connection: &mut SqliteConnection,
    user: &str,
    no: i64,
    op_ids: &[&str],
) -> Result<Vec<Option<AppliedOperation>>> {
    let mut applied = vec![None; op_ids.len()];
    let rows = query(
        "SELECT k.key, o.version, o.entity, o.id, o.left_version, t.user, t.id
         FROM json_each(?2) AS k CROSS JOIN operation AS o LEFT JOIN space AS t ON t.no = o.space
         WHERE o.user = ?1 AND o.op_id = k.value",
    )
    .bind(no)
    .bind(json(&op_ids)?)
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    for row in rows {
        let Some(index) = key_index(&row)? else {
            continue;
        };
        if let (Some(slot), Some(op_id)) = (applied.get_mut(index), op_ids.get(index)) {
            *slot = Some(AppliedOperation {
                op_id: (*op_id).to_owned(),
                entity: row.try_get(2).map_err(failed)?,
                id: row.try_get(3).map_err(failed)?,
                version: number(&row, 1)?,
                space: named(&row, 5)?.unwrap_or_else(|| Space::personal(user)),
                left: Some(number(&row, 4)?).filter(|left| *left > 0),
            });
        }
    }
    Ok(applied)
}

pub(super) async fn scan(
    connection: &mut SqliteConnection,
    space: i64,
    range: Range<'_>,
    limit: usize,
    max_bytes: usize,
) -> Result<Scanned> {
    let Some(entities) = range.entities else {
        let query = query(
            "SELECT e.entity, e.id, e.version, e.data, t.user, t.id
             FROM entity AS e INDEXED BY entity_by_version
             LEFT JOIN space AS t ON t.no = e.moved_to
             WHERE e.space = ?1 AND e.version > ?2 AND (e.deleted = 0 OR e.version > ?3)
             ORDER BY e.version LIMIT ?4",
        );
        let query = query
            .bind(space)
            .bind(signed(range.after))
            .bind(signed(range.live_until))
            .bind(and_one(limit));
        return page(query, connection, limit, max_bytes).await;
    };
    // Neither the rows of other types are read nor any row twice: first which rows the page may
    // have, from an index that has no data, and then those. In the order of the list, without a
    // sorter, which would read all of them before the first.
    let mut ranges = SqliteRanges {
        connection,
        space,
        live_until: range.live_until,
    };
    let versions = first_versions(&mut ranges, entities, range.after, limit).await?;
    let query = query(
        "SELECT e.entity, e.id, e.version, e.data, t.user, t.id
         FROM json_each(?2) AS k CROSS JOIN entity AS e INDEXED BY entity_by_version
         LEFT JOIN space AS t ON t.no = e.moved_to
         WHERE e.space = ?1 AND e.version = k.value",
    );
    let query = query.bind(space).bind(json(&versions)?);
    page(query, ranges.connection, limit, max_bytes).await
}

/// The index of entity types.
struct SqliteRanges<'c> {
    connection: &'c mut SqliteConnection,
    space: i64,
    live_until: u64,
}

impl Ranges for SqliteRanges<'_> {
    async fn read(&mut self, asked: &[(&str, u64)], most: usize) -> Result<Vec<(usize, u64)>> {
        let rows = query(
            "SELECT k.key, e.version FROM json_each(?3) AS k CROSS JOIN entity AS e
             WHERE e.rowid IN (
               SELECT rowid FROM entity INDEXED BY entity_by_type
               WHERE space = ?1 AND entity = k.value ->> 0 AND version > k.value ->> 1
                 AND (deleted = 0 OR version > ?2)
               ORDER BY version LIMIT ?4)",
        );
        let rows = rows
            .bind(self.space)
            .bind(signed(self.live_until))
            .bind(json(&asked)?)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let found = rows.fetch_all(&mut *self.connection).await;
        let found = found.map_err(failed)?;
        found
            .iter()
            .map(|row| {
                let place = usize::try_from(number(row, 0)?).unwrap_or(usize::MAX);
                Ok((place, number(row, 1)?))
            })
            .collect()
    }
}

/// Reads rows until a limit is reached.
async fn page(
    query: Query<'_>,
    connection: &mut SqliteConnection,
    limit: usize,
    max_bytes: usize,
) -> Result<Scanned> {
    let mut rows = query.fetch(connection);
    let mut page = BoundedRows::new(limit, max_bytes);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        if !page.push(read_row(&row)?) {
            break;
        }
    }
    Ok(page.scanned)
}

pub(super) async fn count(
    connection: &mut SqliteConnection,
    space: i64,
    range: Range<'_>,
) -> Result<u64> {
    let query = match range.entities {
        None => query(
            "SELECT count(*) FROM entity INDEXED BY entity_by_version
             WHERE space = ?1 AND version > ?2 AND (deleted = 0 OR version > ?3) AND ?4 IS NULL",
        ),
        Some(_) => query(
            "SELECT count(*)
             FROM json_each(?4) AS k CROSS JOIN entity AS e INDEXED BY entity_by_type
             WHERE e.space = ?1 AND e.entity = k.value
               AND e.version > ?2 AND (e.deleted = 0 OR e.version > ?3)",
        ),
    };
    let entities = range.entities.map(|entities| json(&entities)).transpose()?;
    let query = query
        .bind(space)
        .bind(signed(range.after))
        .bind(signed(range.live_until))
        .bind(entities);
    number(&query.fetch_one(connection).await.map_err(failed)?, 0)
}

/// Returns the index of the key that a row of `json_each` belongs to.
fn key_index(row: &SqliteRow) -> Result<Option<usize>> {
    let index: i64 = row.try_get(0).map_err(failed)?;
    Ok(usize::try_from(index).ok())
}

fn read_row(row: &SqliteRow) -> Result<Row> {
    let data: Option<String> = row.try_get(3).map_err(failed)?;
    let moved_to = match data {
        Some(_) => None,
        None => named(row, 4)?,
    };
    Ok(Row {
        entity: row.try_get(0).map_err(failed)?,
        id: row.try_get(1).map_err(failed)?,
        version: number(row, 2)?,
        data: data.map(Into::into),
        moved_to,
    })
}

/// Returns the space whose `user` and `id` stand in two columns, if any.
fn named(row: &SqliteRow, column: usize) -> Result<Option<Space>> {
    let user: Option<&str> = row.try_get(column).map_err(failed)?;
    if let Some(user) = user {
        return Ok(Some(Space::personal(user)));
    }
    let id: Option<&str> = row.try_get(column.saturating_add(1)).map_err(failed)?;
    Ok(id.map(Space::shared))
}

/// Returns the digests of these spaces, summed over them.
pub(super) async fn digests(
    connection: &mut SqliteConnection,
    spaces: &[i64],
) -> Result<BTreeMap<String, Digest>> {
    // Summed here: SQLite's `sum` fails where it overflows.
    let rows = query(
        "SELECT d.entity, d.count, d.sum FROM json_each(?1) AS k CROSS JOIN digest AS d
         WHERE d.space = k.value",
    );
    let rows = rows.bind(json(&spaces)?);
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    for row in rows.fetch_all(connection).await.map_err(failed)? {
        let sum: i64 = row.try_get(2).map_err(failed)?;
        let digest = Digest {
            count: number(&row, 1)?,
            sum: sum.cast_unsigned(),
        };
        let entity: String = row.try_get(0).map_err(failed)?;
        let all = digests.entry(entity).or_default();
        *all = all.and(digest);
    }
    Ok(digests)
}

pub(super) async fn last_versions(
    connection: &mut SqliteConnection,
    spaces: &[i64],
    epoch: &str,
) -> Result<Option<Vec<u64>>> {
    // Space 0, which there is none of, stands for those that came later.
    let rows = query(
        "SELECT space, seq FROM epoch_history
         WHERE epoch = ?1 AND (space = 0 OR space IN (SELECT value FROM json_each(?2)))",
    );
    let rows = rows.bind(epoch).bind(json(&spaces)?);
    let mut last: HashMap<i64, u64> = HashMap::new();
    for row in rows.fetch_all(connection).await.map_err(failed)? {
        last.insert(row.try_get(0).map_err(failed)?, number(&row, 1)?);
    }
    let Some(later) = last.get(&0_i64).copied() else {
        return Ok(None);
    };
    let version = |space| last.get(space).copied().unwrap_or(later);
    Ok(Some(spaces.iter().map(version).collect()))
}
