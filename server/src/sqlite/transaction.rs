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

use super::connection::{Columns as _, Connection};
use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Range, Reader, Result, Scanned, SharedState, Space,
    Stamp, Swept, Transaction,
};

/// The number of spaces that nobody has written into yet.
const NO_SPACE: i64 = -1;

/// A transaction, with the numbers of the spaces that it was asked about.
#[derive(Debug)]
pub struct SqliteTx<C> {
    connection: C,
    numbers: HashMap<Space, i64>,
}

impl<C: Connection> SqliteTx<C> {
    /// Takes a connection in a transaction.
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            numbers: HashMap::new(),
        }
    }

    /// Returns a space's number, or [`NO_SPACE`].
    async fn number(&mut self, space: &Space) -> Result<i64> {
        if let Some(known) = self.numbers.get(space) {
            return Ok(*known);
        }
        let (query, name) = match space {
            Space::Personal(user) => ("SELECT no FROM space WHERE user = ?1", user),
            Space::Shared(id) => ("SELECT no FROM space WHERE id = ?1", id),
        };
        let values = vec![name.as_ref().into()];
        let Some(row) = self.connection.first(query, values).await? else {
            return Ok(NO_SPACE);
        };
        let no = row.integer(0)?;
        self.numbers.insert(space.clone(), no);
        Ok(no)
    }

    /// Returns the number of a user's own space, which stands for the user too.
    async fn user(&mut self, user: &str) -> Result<i64> {
        self.number(&Space::personal(user)).await
    }

    /// Returns a space's number, creating the space if there is none.
    async fn create(&mut self, space: &Space) -> Result<i64> {
        let (statement, name) = match space {
            Space::Personal(user) => (
                "INSERT INTO space (user) VALUES (?1) ON CONFLICT (user) DO NOTHING",
                user,
            ),
            Space::Shared(id) => (
                "INSERT INTO space (id) VALUES (?1) ON CONFLICT (id) DO NOTHING",
                id,
            ),
        };
        let values = vec![name.as_ref().into()];
        self.connection.run(statement, values).await?;
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
        write::batch(&mut self.connection, (user, no), &places, batch, now_ms).await
    }
}

impl<C: Connection> Transaction for SqliteTx<C> {
    async fn identity(&mut self) -> Result<Identity> {
        let query = "SELECT i.value AS server_id, e.value AS epoch FROM setting AS i, setting AS e
             WHERE i.name = 'serverId' AND e.name = 'epoch'";
        let row = self.connection.first(query, Vec::new()).await?;
        let row = row.ok_or_else(|| ServerError::internal("the database has no identity"))?;
        Ok(Identity {
            server_id: row.string(0)?,
            epoch: row.string(1)?,
        })
    }

    async fn set_server_id(&mut self, server_id: &str) -> Result<()> {
        write::server_id(&mut self.connection, server_id).await
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        write::end_epoch(&mut self.connection, epoch).await
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
        read::last_versions(&mut self.connection, &numbers, epoch).await
    }

    async fn reader(&mut self, user: &str) -> Result<Reader> {
        let own = Space::personal(user);
        let Some((no, mut reader, spaces)) = members::reader(&mut self.connection, user).await?
        else {
            return Ok(Reader::default());
        };
        self.numbers.insert(own, no);
        if spaces > 0 {
            for (no, joined) in members::joined(&mut self.connection, no).await? {
                self.numbers.insert(Space::Shared(joined.id.clone()), no);
                reader.spaces.push(joined);
            }
        }
        Ok(reader)
    }

    async fn shared(&mut self, user: &str, id: &str) -> Result<SharedState> {
        let Some((no, state)) = members::shared(&mut self.connection, user, id).await? else {
            return Ok(SharedState::default());
        };
        self.numbers.insert(Space::shared(id), no);
        Ok(state)
    }

    async fn head(&mut self, space: &Space) -> Result<Head> {
        let (query, name) = match space {
            Space::Personal(user) => ("SELECT seq, floor FROM space WHERE user = ?1", user),
            Space::Shared(id) => ("SELECT seq, floor FROM space WHERE id = ?1", id),
        };
        let values = vec![name.as_ref().into()];
        let Some(row) = self.connection.first(query, values).await? else {
            return Ok(Head::default());
        };
        Ok(Head {
            seq: row.number(0)?,
            floor: row.number(1)?,
        })
    }

    async fn stamps(&mut self, space: &Space, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        let no = self.number(space).await?;
        read::stamps(&mut self.connection, no, keys).await
    }

    async fn data(&mut self, space: &Space, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        let no = self.number(space).await?;
        let query = "SELECT data FROM entity WHERE space = ?1 AND entity = ?2 AND id = ?3";
        let values = vec![no.into(), entity.into(), id.into()];
        let Some(row) = self.connection.first(query, values).await? else {
            return Ok(None);
        };
        Ok(row.text(0)?.map(Into::into))
    }

    async fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> Result<Vec<Option<AppliedOperation>>> {
        let no = self.user(user).await?;
        read::applied(&mut self.connection, user, no, op_ids).await
    }

    async fn digests(&mut self, spaces: &[Space]) -> Result<BTreeMap<String, Digest>> {
        let mut numbers = Vec::with_capacity(spaces.len());
        for space in spaces {
            numbers.push(self.number(space).await?);
        }
        read::digests(&mut self.connection, &numbers).await
    }

    async fn scan(
        &mut self,
        space: &Space,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let no = self.number(space).await?;
        read::scan(&mut self.connection, no, range, limit, max_bytes).await
    }

    async fn count(&mut self, space: &Space, range: Range<'_>) -> Result<u64> {
        let no = self.number(space).await?;
        read::count(&mut self.connection, no, range).await
    }

    async fn write(&mut self, user: &str, space: &Space, batch: Batch, now_ms: u64) -> Result<()> {
        self.write_batch(user, space, batch, now_ms).await
    }

    async fn set_member(&mut self, id: &str, user: &str, role: Option<Role>) -> Result<()> {
        let space = self.known(&Space::shared(id)).await?;
        let user = self.known(&Space::personal(user)).await?;
        members::set(&mut self.connection, space, user, role).await
    }

    async fn end_space(&mut self, id: &str) -> Result<()> {
        let no = self.number(&Space::shared(id)).await?;
        members::end_space(&mut self.connection, no).await
    }

    async fn members(&mut self, id: &str) -> Result<Vec<String>> {
        let no = self.number(&Space::shared(id)).await?;
        members::of(&mut self.connection, no).await
    }

    async fn owners(&mut self, id: &str) -> Result<u64> {
        let no = self.number(&Space::shared(id)).await?;
        members::owners(&mut self.connection, no).await
    }

    async fn spaces_of(&mut self, user: &str) -> Result<u64> {
        members::spaces_of(&mut self.connection, user).await
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let no = self.user(user).await?;
        let query = "SELECT device, record FROM device WHERE user = ?1";
        let rows = self.connection.all(query, vec![no.into()]).await?;
        rows.iter()
            .map(|row| Ok((row.string(0)?, row.string(1)?)))
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
        let no = self.create(&Space::personal(user)).await?;
        write::device(&mut self.connection, no, device, record, now_ms, keep).await
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        let no = self.user(user).await?;
        let statement = "DELETE FROM device WHERE user = ?1";
        self.connection.run(statement, vec![no.into()]).await?;
        Ok(())
    }

    async fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> Result<Swept> {
        write::sweep(
            &mut self.connection,
            tombstones_before,
            operations_before,
            most,
        )
        .await
    }

    async fn commit(self) -> Result<()> {
        self.connection.commit().await
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(ServerError::internal)
}
