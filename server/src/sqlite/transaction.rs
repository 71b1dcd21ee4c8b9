//! One transaction on SQLite. Sets of keys are bound as one JSON parameter, so that a push of ten
//! thousand operations runs a handful of statements, each prepared once.

mod members;
mod read;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::space::Role;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite};

use super::{corrupt, failed};
use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Range, Reader, Result, Scanned, SharedState, Space,
    Stamp, Swept, Transaction,
};
use crate::sql_stores::Writing;

/// The number of spaces that nobody has written into yet.
const NO_SPACE: i64 = -1;

/// A transaction, with the numbers of the spaces that it was asked about.
#[derive(Debug)]
pub struct SqliteTx {
    tx: sqlx::Transaction<'static, Sqlite>,
    numbers: HashMap<Space, i64>,
    /// Where the end of a transaction that writes is noted.
    writing: Option<Writing>,
}

impl SqliteTx {
    pub(super) fn new(tx: sqlx::Transaction<'static, Sqlite>, writing: Option<Writing>) -> Self {
        Self {
            tx,
            numbers: HashMap::new(),
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

    /// Returns a space's number, or [`NO_SPACE`].
    async fn number(&mut self, space: &Space) -> Result<i64> {
        if let Some(known) = self.numbers.get(space) {
            return Ok(*known);
        }
        let query = match space {
            Space::Personal(user) => {
                sqlx::query("SELECT no FROM space WHERE user = ?1").bind(user.as_ref())
            }
            Space::Shared(id) => {
                sqlx::query("SELECT no FROM space WHERE id = ?1").bind(id.as_ref())
            }
        };
        let row = query.fetch_optional(&mut *self.tx).await.map_err(failed)?;
        let Some(row) = row else {
            return Ok(NO_SPACE);
        };
        let no = row.try_get(0).map_err(failed)?;
        self.numbers.insert(space.clone(), no);
        Ok(no)
    }

    /// Returns the number of a user's own space, which stands for the user too.
    async fn user(&mut self, user: &str) -> Result<i64> {
        self.number(&Space::personal(user)).await
    }

    /// Returns a space's number, creating the space if there is none.
    async fn create(&mut self, space: &Space) -> Result<i64> {
        let query = match space {
            Space::Personal(user) => {
                sqlx::query("INSERT INTO space (user) VALUES (?1) ON CONFLICT (user) DO NOTHING")
                    .bind(user.as_ref())
            }
            Space::Shared(id) => {
                sqlx::query("INSERT INTO space (id) VALUES (?1) ON CONFLICT (id) DO NOTHING")
                    .bind(id.as_ref())
            }
        };
        query.execute(&mut *self.tx).await.map_err(failed)?;
        self.number(space).await
    }

    /// Like [`Self::create`], for a space that is likely there.
    async fn known(&mut self, space: &Space) -> Result<i64> {
        match self.number(space).await? {
            NO_SPACE => self.create(space).await,
            no => Ok(no),
        }
    }

    async fn write_batch(
        &mut self,
        user: &str,
        space: &Space,
        batch: Batch,
        now_ms: u64,
    ) -> Result<()> {
        let no = self.create(space).await?;
        let user = match space {
            Space::Personal(own) if own.as_ref() == user => no,
            _ => self.create(&Space::personal(user)).await?,
        };
        let mut places = BTreeMap::from([(space.clone(), no)]);
        let moved = batch.rows.iter().filter_map(|row| row.moved_to.as_ref());
        let named = batch.applied.iter().map(|applied| &applied.space);
        for other in moved.chain(named) {
            if !places.contains_key(other) {
                places.insert(other.clone(), self.create(other).await?);
            }
        }
        write::batch(&mut self.tx, (user, no), &places, batch, now_ms).await
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

    async fn last_versions_of_epoch(
        &mut self,
        spaces: &[Space],
        epoch: &str,
    ) -> Result<Option<Vec<u64>>> {
        let mut numbers = Vec::with_capacity(spaces.len());
        for space in spaces {
            numbers.push(self.number(space).await?);
        }
        read::last_versions(&mut self.tx, &numbers, epoch).await
    }

    async fn reader(&mut self, user: &str) -> Result<Reader> {
        let own = Space::personal(user);
        let Some((no, mut reader, spaces)) = members::reader(&mut self.tx, user).await? else {
            return Ok(Reader::default());
        };
        self.numbers.insert(own, no);
        if spaces > 0 {
            for (no, joined) in members::joined(&mut self.tx, no).await? {
                self.numbers.insert(Space::Shared(joined.id.clone()), no);
                reader.spaces.push(joined);
            }
        }
        Ok(reader)
    }

    async fn shared(&mut self, user: &str, id: &str) -> Result<SharedState> {
        let Some((no, state)) = members::shared(&mut self.tx, user, id).await? else {
            return Ok(SharedState::default());
        };
        self.numbers.insert(Space::shared(id), no);
        Ok(state)
    }

    async fn head(&mut self, space: &Space) -> Result<Head> {
        let query = match space {
            Space::Personal(user) => {
                sqlx::query("SELECT seq, floor FROM space WHERE user = ?1").bind(user.as_ref())
            }
            Space::Shared(id) => {
                sqlx::query("SELECT seq, floor FROM space WHERE id = ?1").bind(id.as_ref())
            }
        };
        let Some(row) = query.fetch_optional(&mut *self.tx).await.map_err(failed)? else {
            return Ok(Head::default());
        };
        Ok(Head {
            seq: number(&row, 0)?,
            floor: number(&row, 1)?,
        })
    }

    async fn stamps(&mut self, space: &Space, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        let no = self.number(space).await?;
        read::stamps(&mut self.tx, no, keys).await
    }

    async fn data(&mut self, space: &Space, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        let no = self.number(space).await?;
        let query =
            sqlx::query("SELECT data FROM entity WHERE space = ?1 AND entity = ?2 AND id = ?3")
                .bind(no)
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
        let no = self.user(user).await?;
        read::applied(&mut self.tx, user, no, op_ids).await
    }

    async fn digests(&mut self, spaces: &[Space]) -> Result<BTreeMap<String, Digest>> {
        let mut numbers = Vec::with_capacity(spaces.len());
        for space in spaces {
            numbers.push(self.number(space).await?);
        }
        read::digests(&mut self.tx, &numbers).await
    }

    async fn scan(
        &mut self,
        space: &Space,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let no = self.number(space).await?;
        read::scan(&mut self.tx, no, range, limit, max_bytes).await
    }

    async fn count(&mut self, space: &Space, range: Range<'_>) -> Result<u64> {
        let no = self.number(space).await?;
        read::count(&mut self.tx, no, range).await
    }

    async fn write(&mut self, user: &str, space: &Space, batch: Batch, now_ms: u64) -> Result<()> {
        let done = self.write_batch(user, space, batch, now_ms).await;
        self.note(done)
    }

    async fn set_member(&mut self, id: &str, user: &str, role: Option<Role>) -> Result<()> {
        let space = self.known(&Space::shared(id)).await;
        let space = self.note(space)?;
        let user = self.known(&Space::personal(user)).await;
        let user = self.note(user)?;
        let done = members::set(&mut self.tx, space, user, role).await;
        self.note(done)
    }

    async fn end_space(&mut self, id: &str) -> Result<()> {
        let no = self.number(&Space::shared(id)).await?;
        let done = members::end_space(&mut self.tx, no).await;
        self.note(done)
    }

    async fn members(&mut self, id: &str) -> Result<Vec<String>> {
        let no = self.number(&Space::shared(id)).await?;
        members::of(&mut self.tx, no).await
    }

    async fn owners(&mut self, id: &str) -> Result<u64> {
        let no = self.number(&Space::shared(id)).await?;
        members::owners(&mut self.tx, no).await
    }

    async fn spaces_of(&mut self, user: &str) -> Result<u64> {
        members::spaces_of(&mut self.tx, user).await
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let no = self.user(user).await?;
        let rows = sqlx::query("SELECT device, record FROM device WHERE user = ?1").bind(no);
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
        let done = match self.create(&Space::personal(user)).await {
            Ok(no) => write::device(&mut self.tx, no, device, record, now_ms, keep).await,
            Err(error) => Err(error),
        };
        self.note(done)
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        let no = self.user(user).await?;
        sqlx::query("DELETE FROM device WHERE user = ?1")
            .bind(no)
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

fn number(row: &SqliteRow, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column).map_err(failed)?;
    u64::try_from(number).map_err(corrupt)
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(ServerError::internal)
}
