//! One transaction on SQLite. Sets of keys are bound as one JSON parameter, so that a push of ten
//! thousand operations runs a handful of statements, each prepared once.

mod filter;
mod read;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite};

use super::writing::Writing;
use super::{corrupt, failed};
use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Range, Result, Scanned, Stamp, Swept, Transaction,
};

/// The account number of users who have not written yet.
const NO_ACCOUNT: i64 = -1;

/// A transaction, with the account number of the last user it was asked about.
#[derive(Debug)]
pub struct SqliteTx {
    tx: sqlx::Transaction<'static, Sqlite>,
    account: Option<(String, i64)>,
    /// Where the end of a transaction that writes is noted.
    writing: Option<Writing>,
}

impl SqliteTx {
    pub(super) const fn new(
        tx: sqlx::Transaction<'static, Sqlite>,
        writing: Option<Writing>,
    ) -> Self {
        Self {
            tx,
            account: None,
            writing,
        }
    }

    /// Notes whether a statement that writes succeeded.
    fn note<R>(&self, result: Result<R>) -> Result<R> {
        match &self.writing {
            Some(writing) if result.is_err() => writing.note(result),
            _ => result,
        }
    }

    /// Returns the user's account number, or [`NO_ACCOUNT`].
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
        let Some(row) = row else {
            return Ok(NO_ACCOUNT);
        };
        let no = row.try_get(0).map_err(failed)?;
        self.account = Some((user.to_owned(), no));
        Ok(no)
    }

    /// Returns the user's account number, creating the account if there is none.
    async fn create_account(&mut self, user: &str) -> Result<i64> {
        sqlx::query("INSERT INTO account (user) VALUES (?1) ON CONFLICT (user) DO NOTHING")
            .bind(user)
            .execute(&mut *self.tx)
            .await
            .map_err(failed)?;
        self.account(user).await
    }
}

impl Transaction for SqliteTx {
    async fn identity(&mut self) -> Result<Identity> {
        let query = sqlx::query(
            "SELECT i.value, e.value FROM setting AS i, setting AS e
             WHERE i.name = 'serverId' AND e.name = 'epoch'",
        );
        let row = query.fetch_one(&mut *self.tx).await.map_err(failed)?;
        Ok(Identity {
            server_id: row.try_get(0).map_err(failed)?,
            epoch: row.try_get(1).map_err(failed)?,
        })
    }

    async fn set_server_id(&mut self, server_id: &str) -> Result<()> {
        let done = write::server_id(&mut self.tx, server_id).await;
        self.note(done)
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        let done = write::end_epoch(&mut self.tx, epoch).await;
        self.note(done)
    }

    async fn last_version_of_epoch(&mut self, user: &str, epoch: &str) -> Result<Option<u64>> {
        let account = self.account(user).await?;
        let query = sqlx::query(
            "SELECT seq FROM epoch_history WHERE epoch = ?2 AND account IN (0, ?1)
             ORDER BY account DESC LIMIT 1",
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
        read::stamps(&mut self.tx, account, keys).await
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

    async fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> Result<Vec<Option<AppliedOperation>>> {
        let account = self.account(user).await?;
        read::applied(&mut self.tx, account, op_ids).await
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
        read::scan(&mut self.tx, account, range, limit, max_bytes).await
    }

    async fn count(&mut self, user: &str, range: Range<'_>) -> Result<u64> {
        let account = self.account(user).await?;
        read::count(&mut self.tx, account, range).await
    }

    async fn write(&mut self, user: &str, batch: Batch, now_ms: u64) -> Result<()> {
        let done = match self.create_account(user).await {
            Ok(account) => write::batch(&mut self.tx, account, batch, now_ms).await,
            Err(error) => Err(error),
        };
        self.note(done)
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
        let done = match self.create_account(user).await {
            Ok(no) => write::device(&mut self.tx, no, device, record, now_ms, keep).await,
            Err(error) => Err(error),
        };
        self.note(done)
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

    async fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> Result<Swept> {
        let done = write::sweep(&mut self.tx, tombstones_before, operations_before, most).await;
        self.note(done)
    }

    async fn commit(self) -> Result<()> {
        let done = self.tx.commit().await.map_err(failed);
        match self.writing {
            Some(writing) => writing.note(done),
            None => done,
        }
    }
}

/// Converts to SQLite's signed integers. Versions and times stay below 2^53, and larger numbers are
/// only compared with.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &SqliteRow, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column).map_err(failed)?;
    u64::try_from(number).map_err(corrupt)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(ServerError::internal)
}
