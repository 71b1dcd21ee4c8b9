//! The queries that read sets and ranges of rows.

use std::collections::{BTreeMap, HashMap};

use datum_sync::model::digest::Digest;

use super::super::connection::{Columns, Connection, Value};
use super::json;
use crate::rules::store::{AppliedOperation, Range, Result, Row, Scanned, Space, Stamp};
use crate::sql_stores::merge::{Ranges, first_versions};
use crate::sql_stores::{BoundedRows, and_one, signed};

pub(super) async fn stamps(
    connection: &mut impl Connection,
    space: i64,
    keys: &[(&str, &str)],
) -> Result<Vec<Option<Stamp>>> {
    let mut stamps = vec![None; keys.len()];
    let query = "SELECT k.key, e.version, e.deleted, t.user, t.id AS space_id
         FROM json_each(?2) AS k CROSS JOIN entity AS e LEFT JOIN space AS t ON t.no = e.moved_to
         WHERE e.space = ?1 AND e.entity = k.value ->> 0 AND e.id = k.value ->> 1";
    let values = vec![space.into(), json(&keys)?.into()];
    for row in connection.all(query, values).await? {
        let stamp = Stamp {
            version: row.number(1)?,
            deleted: row.integer(2)? != 0,
            moved_to: named(&row, 3)?,
        };
        if let Some(slot) = key_index(&row)?.and_then(|index| stamps.get_mut(index)) {
            *slot = Some(stamp);
        }
    }
    Ok(stamps)
}

pub(super) async fn applied(
    connection: &mut impl Connection,
    user: &str,
    no: i64,
    op_ids: &[&str],
) -> Result<Vec<Option<AppliedOperation>>> {
    let mut applied = vec![None; op_ids.len()];
    let query = "SELECT k.key, o.version, o.entity, o.id, o.left_version, t.user, t.id AS space_id
         FROM json_each(?2) AS k CROSS JOIN operation AS o LEFT JOIN space AS t ON t.no = o.space
         WHERE o.user = ?1 AND o.op_id = k.value";
    let values = vec![no.into(), json(&op_ids)?.into()];
    for row in connection.all(query, values).await? {
        let Some(index) = key_index(&row)? else {
            continue;
        };
        if let (Some(slot), Some(op_id)) = (applied.get_mut(index), op_ids.get(index)) {
            *slot = Some(AppliedOperation {
                op_id: (*op_id).to_owned(),
                entity: row.string(2)?,
                id: row.string(3)?,
                version: row.number(1)?,
                space: named(&row, 5)?.unwrap_or_else(|| Space::personal(user)),
                left: Some(row.number(4)?).filter(|left| *left > 0),
            });
        }
    }
    Ok(applied)
}

pub(super) async fn scan(
    connection: &mut impl Connection,
    space: i64,
    range: Range<'_>,
    limit: usize,
    max_bytes: usize,
) -> Result<Scanned> {
    let Some(entities) = range.entities else {
        let query = "SELECT e.entity, e.id, e.version, e.data, t.user, t.id AS space_id
             FROM entity AS e INDEXED BY entity_by_version
             LEFT JOIN space AS t ON t.no = e.moved_to
             WHERE e.space = ?1 AND e.version > ?2 AND (e.deleted = 0 OR e.version > ?3)
             ORDER BY e.version LIMIT ?4";
        let values = vec![
            space.into(),
            signed(range.after).into(),
            signed(range.live_until).into(),
            and_one(limit).into(),
        ];
        return page(connection, query, values, limit, max_bytes).await;
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
    let query = "SELECT e.entity, e.id, e.version, e.data, t.user, t.id AS space_id
         FROM json_each(?2) AS k CROSS JOIN entity AS e INDEXED BY entity_by_version
         LEFT JOIN space AS t ON t.no = e.moved_to
         WHERE e.space = ?1 AND e.version = k.value";
    let values = vec![space.into(), json(&versions)?.into()];
    page(ranges.connection, query, values, limit, max_bytes).await
}

/// The index of entity types.
struct SqliteRanges<'c, C> {
    connection: &'c mut C,
    space: i64,
    live_until: u64,
}

impl<C: Connection> Ranges for SqliteRanges<'_, C> {
    async fn read(&mut self, asked: &[(&str, u64)], most: usize) -> Result<Vec<(usize, u64)>> {
        let query = "SELECT k.key, e.version FROM json_each(?3) AS k CROSS JOIN entity AS e
             WHERE e.rowid IN (
               SELECT rowid FROM entity INDEXED BY entity_by_type
               WHERE space = ?1 AND entity = k.value ->> 0 AND version > k.value ->> 1
                 AND (deleted = 0 OR version > ?2)
               ORDER BY version LIMIT ?4)";
        let values = vec![
            self.space.into(),
            signed(self.live_until).into(),
            json(&asked)?.into(),
            i64::try_from(most).unwrap_or(i64::MAX).into(),
        ];
        let rows = self.connection.all(query, values).await?;
        let version = |row: &C::Row| {
            let place = usize::try_from(row.number(0)?).unwrap_or(usize::MAX);
            Ok((place, row.number(1)?))
        };
        rows.iter().map(version).collect()
    }
}

/// Reads rows until a limit is reached.
async fn page(
    connection: &mut impl Connection,
    query: &'static str,
    values: Vec<Value>,
    limit: usize,
    max_bytes: usize,
) -> Result<Scanned> {
    let mut page = BoundedRows::new(limit, max_bytes);
    let take = |row: &_| Ok(page.push(read_row(row)?));
    connection.each(query, values, take).await?;
    Ok(page.scanned)
}

pub(super) async fn count(
    connection: &mut impl Connection,
    space: i64,
    range: Range<'_>,
) -> Result<u64> {
    let query = match range.entities {
        None => {
            "SELECT count(*) FROM entity INDEXED BY entity_by_version
             WHERE space = ?1 AND version > ?2 AND (deleted = 0 OR version > ?3) AND ?4 IS NULL"
        }
        Some(_) => {
            "SELECT count(*)
             FROM json_each(?4) AS k CROSS JOIN entity AS e INDEXED BY entity_by_type
             WHERE e.space = ?1 AND e.entity = k.value
               AND e.version > ?2 AND (e.deleted = 0 OR e.version > ?3)"
        }
    };
    let entities = range.entities.map(|entities| json(&entities)).transpose()?;
    let values = vec![
        space.into(),
        signed(range.after).into(),
        signed(range.live_until).into(),
        entities.into(),
    ];
    let row = connection.first(query, values).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

/// Returns the index of the key that a row of `json_each` belongs to.
fn key_index(row: &impl Columns) -> Result<Option<usize>> {
    Ok(usize::try_from(row.integer(0)?).ok())
}

fn read_row(row: &impl Columns) -> Result<Row> {
    let data = row.text(3)?;
    let moved_to = match data {
        Some(_) => None,
        None => named(row, 4)?,
    };
    Ok(Row {
        entity: row.string(0)?,
        id: row.string(1)?,
        version: row.number(2)?,
        data: data.map(Into::into),
        moved_to,
    })
}

/// Returns the space whose `user` and `id` stand in two columns, if any.
fn named(row: &impl Columns, column: usize) -> Result<Option<Space>> {
    if let Some(user) = row.text(column)? {
        return Ok(Some(Space::personal(&user)));
    }
    let id = row.text(column.saturating_add(1))?;
    Ok(id.map(|id| Space::shared(&id)))
}

/// Returns the digests of these spaces, summed over them.
pub(super) async fn digests(
    connection: &mut impl Connection,
    spaces: &[i64],
) -> Result<BTreeMap<String, Digest>> {
    // Summed here: SQLite's `sum` fails where it overflows.
    let query = "SELECT d.entity, d.count, d.sum FROM json_each(?1) AS k CROSS JOIN digest AS d
         WHERE d.space = k.value";
    let values = vec![json(&spaces)?.into()];
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    for row in connection.all(query, values).await? {
        let digest = Digest {
            count: row.number(1)?,
            sum: row.integer(2)?.cast_unsigned(),
        };
        let all = digests.entry(row.string(0)?).or_default();
        *all = all.and(digest);
    }
    Ok(digests)
}

pub(super) async fn last_versions(
    connection: &mut impl Connection,
    spaces: &[i64],
    epoch: &str,
) -> Result<Option<Vec<u64>>> {
    // Space 0, which there is none of, stands for those that came later.
    let query = "SELECT space, seq FROM epoch_history
         WHERE epoch = ?1 AND (space = 0 OR space IN (SELECT value FROM json_each(?2)))";
    let values = vec![epoch.into(), json(&spaces)?.into()];
    let mut last: HashMap<i64, u64> = HashMap::new();
    for row in connection.all(query, values).await? {
        last.insert(row.integer(0)?, row.number(1)?);
    }
    let Some(later) = last.get(&0_i64).copied() else {
        return Ok(None);
    };
    let version = |space| last.get(space).copied().unwrap_or(later);
    Ok(Some(spaces.iter().map(version).collect()))
}
