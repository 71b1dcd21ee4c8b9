//! One transaction on SQLite. Sets of keys travel as one JSON parameter, so that a push of ten
//! thousand operations is a handful of statements, each prepared once.

use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite};

use super::{corrupt, failed};
use crate::rules::ServerError;
use crate::rules::store::{
    Batch, Head, Range, Remembered, Result, Row, Scanned, Stamp, Swept, Transaction,
};

/// A transaction, and the number of the user that it is about.
#[derive(Debug)]
pub struct SqliteTx {
    tx: sqlx::Transaction<'static, Sqlite>,
    account: Option<(String, i64)>,
}

impl SqliteTx {
    pub(super) const fn new(tx: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self { tx, account: None }
    }

    /// The user's number, or one that nobody has.
    async fn account(&mut self, user: &str) -> Result<i64> {
        if let Some((known, no)) = &self.account
            && known == user
        {
            return Ok(*no);
        }
        let row = sqlx::query("SELECT no FROM account WHERE user = ?1")
            .bind(user)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(-1) };
        let no = row.try_get(0).map_err(failed)?;
        self.account = Some((user.to_owned(), no));
        Ok(no)
    }

    /// The user's number, given now if need be.
    async fn make_account(&mut self, user: &str) -> Result<i64> {
        sqlx::query("INSERT INTO account (user) VALUES (?1) ON CONFLICT (user) DO NOTHING")
            .bind(user)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        self.account(user).await
    }

    async fn scan_one(
        &mut self,
        account: i64,
        entity: Option<&str>,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let query = match entity {
            None => sqlx::query(
                "SELECT entity, id, version, data FROM entity INDEXED BY entity_by_version
                 WHERE account = ?1 AND version > ?2 AND (deleted = 0 OR version > ?3) AND ?4 IS NULL ORDER BY version LIMIT ?5",
            ),
            Some(_) => sqlx::query(
                "SELECT entity, id, version, data FROM entity INDEXED BY entity_by_type
                 WHERE account = ?1 AND version > ?2 AND (deleted = 0 OR version > ?3) AND entity = ?4 ORDER BY version LIMIT ?5",
            ),
        };
        let limit_and_one = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let query = query
            .bind(account)
            .bind(signed(range.after))
            .bind(signed(range.live_until))
            .bind(entity)
            .bind(limit_and_one);
        let mut rows = query.fetch(&mut *self.tx);
        let mut scanned = Scanned::default();
        let mut bytes = 0_usize;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let row = read_row(&row)?;
            bytes = bytes.saturating_add(row.bytes());
            if !scanned.rows.is_empty() && (scanned.rows.len() >= limit || bytes > max_bytes) {
                scanned.more = true;
                break;
            }
            scanned.rows.push(row);
        }
        Ok(scanned)
    }
}

impl Transaction for SqliteTx {
    async fn epoch(&mut self) -> Result<String> {
        let row = sqlx::query("SELECT value FROM setting WHERE name = 'epoch'")
            .fetch_one(&mut *self.tx)
            .await
            .map_err(failed)?;
        row.try_get(0).map_err(failed)
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        // Account 0 is nobody's: its line says that the epoch was here, for users who came later.
        let ended = "INSERT OR IGNORE INTO ended (account, epoch, seq)
             SELECT a.no, s.value, a.seq FROM (SELECT no, seq FROM account UNION ALL SELECT 0, 0) AS a, setting AS s WHERE s.name = 'epoch'";
        sqlx::query(ended)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        sqlx::query("UPDATE setting SET value = ?1 WHERE name = 'epoch'")
            .bind(epoch)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn kept(&mut self, user: &str, epoch: &str) -> Result<Option<u64>> {
        let account = self.account(user).await?;
        let query = sqlx::query(
            "SELECT seq FROM ended WHERE epoch = ?2 AND account IN (0, ?1) ORDER BY account DESC LIMIT 1",
        );
        let row = query
            .bind(account)
            .bind(epoch)
            .fetch_optional(&mut *self.tx)
            .await
            .map_err(failed)?;
        row.map(|row| number(&row, 0)).transpose()
    }

    async fn head(&mut self, user: &str) -> Result<Head> {
        let query = sqlx::query("SELECT seq, floor FROM account WHERE user = ?1").bind(user);
        let Some(row) = query.fetch_optional(&mut *self.tx).await.map_err(failed)? else {
            return Ok(Head::default());
        };
        Ok(Head {
            seq: number(&row, 0)?,
            floor: number(&row, 1)?,
        })
    }

    async fn stamps(&mut self, user: &str, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        let account = self.account(user).await?;
        let mut stamps = vec![None; keys.len()];
        let query = sqlx::query(
            "SELECT k.key, e.version, e.deleted FROM json_each(?2) AS k CROSS JOIN entity AS e
             WHERE e.account = ?1 AND e.entity = k.value ->> 0 AND e.id = k.value ->> 1",
        );
        for row in query
            .bind(account)
            .bind(json(&keys)?)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed)?
        {
            let stamp = Stamp {
                version: number(&row, 1)?,
                deleted: row.try_get(2).map_err(failed)?,
            };
            if let Some(place) = place(&row)?.and_then(|place| stamps.get_mut(place)) {
                *place = Some(stamp);
            }
        }
        Ok(stamps)
    }

    async fn data(&mut self, user: &str, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        let account = self.account(user).await?;
        let query =
            sqlx::query("SELECT data FROM entity WHERE account = ?1 AND entity = ?2 AND id = ?3")
                .bind(account)
                .bind(entity)
                .bind(id);
        let Some(row) = query.fetch_optional(&mut *self.tx).await.map_err(failed)? else {
            return Ok(None);
        };
        let data: Option<String> = row.try_get(0).map_err(failed)?;
        Ok(data.map(Into::into))
    }

    async fn remembered(&mut self, user: &str, op_ids: &[&str]) -> Result<Vec<Option<Remembered>>> {
        let account = self.account(user).await?;
        let mut known = vec![None; op_ids.len()];
        let query = sqlx::query(
            "SELECT k.key, o.version, o.entity, o.id FROM json_each(?2) AS k CROSS JOIN operation AS o
             WHERE o.account = ?1 AND o.op_id = k.value",
        );
        for row in query
            .bind(account)
            .bind(json(&op_ids)?)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed)?
        {
            let Some(place) = place(&row)? else { continue };
            if let (Some(slot), Some(op_id)) = (known.get_mut(place), op_ids.get(place)) {
                let (entity, id) = (
                    row.try_get(2).map_err(failed)?,
                    row.try_get(3).map_err(failed)?,
                );
                *slot = Some(Remembered {
                    op_id: (*op_id).to_owned(),
                    entity,
                    id,
                    version: number(&row, 1)?,
                });
            }
        }
        Ok(known)
    }

    async fn digests(&mut self, user: &str) -> Result<BTreeMap<String, Digest>> {
        let account = self.account(user).await?;
        let rows =
            sqlx::query("SELECT entity, count, sum FROM digest WHERE account = ?1").bind(account);
        let mut digests = BTreeMap::new();
        for row in rows.fetch_all(&mut *self.tx).await.map_err(failed)? {
            let sum: i64 = row.try_get(2).map_err(failed)?;
            digests.insert(
                row.try_get(0).map_err(failed)?,
                Digest {
                    count: number(&row, 1)?,
                    sum: sum.cast_unsigned(),
                },
            );
        }
        Ok(digests)
    }

    async fn scan(
        &mut self,
        user: &str,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let account = self.account(user).await?;
        let Some(entities) = range.entities else {
            return self.scan_one(account, None, range, limit, max_bytes).await;
        };
        // One range per entity type, merged: a filter never makes SQLite walk the rows of the other
        // types.
        let mut merged: BTreeMap<u64, Row> = BTreeMap::new();
        let mut cut = u64::MAX;
        for entity in entities {
            let found = self
                .scan_one(account, Some(entity), range, limit, max_bytes)
                .await?;
            if let (true, Some(last)) = (found.more, found.rows.last()) {
                cut = cut.min(last.version);
            }
            merged.extend(found.rows.into_iter().map(|row| (row.version, row)));
        }
        let mut scanned = Scanned {
            rows: Vec::new(),
            more: cut != u64::MAX,
        };
        let mut bytes = 0_usize;
        for (version, row) in merged {
            bytes = bytes.saturating_add(row.bytes());
            if !scanned.rows.is_empty()
                && (scanned.rows.len() >= limit || bytes > max_bytes || version > cut)
            {
                scanned.more = true;
                break;
            }
            scanned.rows.push(row);
        }
        Ok(scanned)
    }

    async fn count(&mut self, user: &str, range: Range<'_>) -> Result<u64> {
        let account = self.account(user).await?;
        let query = match range.entities {
            None => sqlx::query(
                "SELECT count(*) FROM entity INDEXED BY entity_by_version
                 WHERE account = ?1 AND version > ?2 AND (deleted = 0 OR version > ?3) AND ?4 IS NULL",
            ),
            Some(_) => sqlx::query(
                "SELECT count(*) FROM json_each(?4) AS k CROSS JOIN entity AS e INDEXED BY entity_by_type
                 WHERE e.account = ?1 AND e.entity = k.value AND e.version > ?2 AND (e.deleted = 0 OR e.version > ?3)",
            ),
        };
        let entities = range.entities.map(|some| json(&some)).transpose()?;
        let query = query
            .bind(account)
            .bind(signed(range.after))
            .bind(signed(range.live_until))
            .bind(entities);
        number(&query.fetch_one(&mut *self.tx).await.map_err(failed)?, 0)
    }

    async fn write(&mut self, user: &str, batch: Batch, now_ms: u64) -> Result<()> {
        let account = self.make_account(user).await?;
        let now = signed(now_ms);
        sqlx::query("UPDATE account SET seq = ?2 WHERE no = ?1")
            .bind(account)
            .bind(signed(batch.seq))
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        let rows: Vec<_> = batch
            .rows
            .iter()
            .map(|row| {
                (
                    &row.entity,
                    &row.id,
                    row.version,
                    u8::from(row.data.is_none()),
                    row.data.as_deref(),
                )
            })
            .collect();
        let query = sqlx::query(
            "INSERT INTO entity (account, entity, id, version, deleted, written_at, data)
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3, value ->> 4 FROM json_each(?2) WHERE true
             ON CONFLICT (account, entity, id) DO UPDATE SET
               version = excluded.version, deleted = excluded.deleted, written_at = excluded.written_at, data = excluded.data",
        );
        query
            .bind(account)
            .bind(json(&rows)?)
            .bind(now)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        let operations: Vec<_> = batch
            .operations
            .iter()
            .map(|known| (&known.op_id, &known.entity, &known.id, known.version))
            .collect();
        let query = sqlx::query(
            "INSERT INTO operation (account, op_id, entity, id, version, written_at)
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?3 FROM json_each(?2)",
        );
        query
            .bind(account)
            .bind(json(&operations)?)
            .bind(now)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        for (entity, digest) in batch.digests {
            let query = sqlx::query(
                "INSERT INTO digest (account, entity, count, sum) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account, entity) DO UPDATE SET count = excluded.count, sum = excluded.sum",
            );
            let query = query
                .bind(account)
                .bind(entity)
                .bind(signed(digest.count))
                .bind(digest.sum.cast_signed());
            query.execute(&mut *self.tx).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let account = self.account(user).await?;
        let rows =
            sqlx::query("SELECT device, record FROM device WHERE account = ?1").bind(account);
        let rows = rows.fetch_all(&mut *self.tx).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get(0).map_err(failed)?,
                    row.try_get(1).map_err(failed)?,
                ))
            })
            .collect()
    }

    async fn put_device(
        &mut self,
        user: &str,
        device: &str,
        record: &str,
        now_ms: u64,
        keep: usize,
    ) -> Result<()> {
        let account = self.make_account(user).await?;
        let query = sqlx::query(
            "INSERT INTO device (account, device, written_at, record) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, device) DO UPDATE SET written_at = excluded.written_at, record = excluded.record",
        );
        query
            .bind(account)
            .bind(device)
            .bind(signed(now_ms))
            .bind(record)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        let query = sqlx::query(
            "DELETE FROM device WHERE account = ?1 AND device <> ?2 AND device IN (
               SELECT device FROM device WHERE account = ?1 AND device <> ?2 ORDER BY written_at DESC, device DESC LIMIT -1 OFFSET ?3)",
        );
        let others = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
        query
            .bind(account)
            .bind(device)
            .bind(others)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        let account = self.account(user).await?;
        sqlx::query("DELETE FROM device WHERE account = ?1")
            .bind(account)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn sweep(&mut self, tombstones_before: u64, operations_before: u64) -> Result<Swept> {
        let before = signed(tombstones_before);
        let query = sqlx::query(
            "UPDATE account SET floor = max(floor, gone.version) FROM (
               SELECT account, max(version) AS version FROM entity WHERE deleted = 1 AND written_at < ?1 GROUP BY account
             ) AS gone WHERE gone.account = account.no",
        );
        query
            .bind(before)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        let query =
            sqlx::query("DELETE FROM entity WHERE deleted = 1 AND written_at < ?1").bind(before);
        let tombstones = query
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?
            .rows_affected();
        let query = sqlx::query("DELETE FROM operation WHERE written_at < ?1")
            .bind(signed(operations_before));
        let operations = query
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?
            .rows_affected();
        Ok(Swept {
            tombstones,
            operations,
        })
    }

    async fn commit(self) -> Result<()> {
        self.tx.commit().await.map_err(failed)
    }
}

/// SQLite's integers are signed; versions and times stay below 2^53, other numbers are only
/// compared.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &SqliteRow, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column).map_err(failed)?;
    u64::try_from(number).map_err(corrupt)
}

/// The place in the list that a row of `json_each` answers.
fn place(row: &SqliteRow) -> Result<Option<usize>> {
    let place: i64 = row.try_get(0).map_err(failed)?;
    Ok(usize::try_from(place).ok())
}

fn read_row(row: &SqliteRow) -> Result<Row> {
    let data: Option<String> = row.try_get(3).map_err(failed)?;
    Ok(Row {
        entity: row.try_get(0).map_err(failed)?,
        id: row.try_get(1).map_err(failed)?,
        version: number(row, 2)?,
        data: data.map(Into::into),
    })
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(ServerError::internal)
}
