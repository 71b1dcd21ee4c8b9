//! One transaction on PostgreSQL. Sets of keys are bound as arrays, so that a push of ten thousand
//! operations runs a handful of statements.
//!
//! A transaction that writes sees what others commit meanwhile (READ COMMITTED), so it locks the line
//! of a space before it reads anything of it, and then nothing of it changes any more.

mod list;
mod members;
mod read;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::space::Role;

use super::SCHEMA_VERSION;
use super::failure::corrupt;
use super::key::{key, user_key};
use super::statement::{Session, column, number, one, rows, run, sql};
use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Range, Reader, Result, Scanned, SharedState, Space,
    Stamp, Swept, Transaction,
};
use crate::sql_stores::Writing;

/// What the line of a space says.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    head: Head,
    members: u64,
}

/// A transaction, with the lines that it has locked.
#[derive(Debug)]
pub struct PostgresTx {
    session: Session,
    /// `None` for a space that there is no line of yet.
    locked: HashMap<Space, Option<Line>>,
    /// Where the end of a transaction that writes is noted.
    writing: Option<Writing>,
}

impl PostgresTx {
    pub(super) fn new(session: Session, writing: Option<Writing>) -> Self {
        Self {
            session,
            locked: HashMap::new(),
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

    /// Returns the line of a space, if there is one.
    async fn line(&mut self, space: &Space) -> Result<Option<Line>> {
        match self.locked.get(space) {
            Some(line) => Ok(*line),
            None => read::line(&mut self.session, &key(space)).await,
        }
    }

    /// Locks the line of a space, creating it if there is none.
    async fn create(&mut self, space: &Space) -> Result<Line> {
        self.lock(space).await?;
        if let Some(Some(line)) = self.locked.get(space) {
            return Ok(*line);
        }
        write::create_line(&mut self.session, &key(space)).await?;
        self.locked.insert(space.clone(), Some(Line::default()));
        Ok(Line::default())
    }

    async fn write_batch(
        &mut self,
        user: &str,
        space: &Space,
        batch: Batch,
        now_ms: u64,
    ) -> Result<()> {
        let own = Space::personal(user);
        if !batch.applied.is_empty() {
            self.create(&own).await?;
        }
        let mut line = self.create(space).await?;
        line.head.seq = batch.seq;
        let at = write::Place {
            space: &key(space),
            user: &key(&own),
            now_ms,
        };
        write::batch(&mut self.session, at, batch).await?;
        self.locked.insert(space.clone(), Some(line));
        Ok(())
    }

    async fn change_member(&mut self, id: &str, user: &str, role: Option<Role>) -> Result<()> {
        let space = Space::shared(id);
        let mut line = self.create(&space).await?;
        line.members = members::set(&mut self.session, id, user, role, line.members).await?;
        self.locked.insert(space, Some(line));
        Ok(())
    }

    async fn remove_space(&mut self, id: &str) -> Result<()> {
        let space = Space::shared(id);
        self.lock(&space).await?;
        members::end_space(&mut self.session, id).await?;
        if let Some(Some(line)) = self.locked.get_mut(&space) {
            line.members = 0;
        }
        Ok(())
    }
}

impl Transaction for PostgresTx {
    async fn identity(&mut self) -> Result<Identity> {
        let query = sql("SELECT i.value, e.value, pg_is_in_recovery(),
               (SELECT max(version) FROM datum_server.migration)::bigint
             FROM datum_server.setting AS i, datum_server.setting AS e
             WHERE i.name = 'serverId' AND e.name = 'epoch'");
        let found = one(&mut self.session, query).await?;
        let row = found.ok_or_else(|| corrupt("no server id"))?;
        // Who reads an old state would take back what was acknowledged, and who writes an old
        // schema would damage what a later version stores.
        if column(&row, 2)? {
            return Err(ServerError::unreachable("the database is a replica"));
        }
        if number(&row, 3)? > SCHEMA_VERSION {
            return Err(ServerError::unreachable(
                "a later version of this server has migrated the database; use that version",
            ));
        }
        Ok(Identity {
            server_id: column(&row, 0)?,
            epoch: column(&row, 1)?,
        })
    }

    async fn set_server_id(&mut self, server_id: &str) -> Result<()> {
        let done = write::server_id(&mut self.session, server_id).await;
        self.note(done)
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        let done = write::end_epoch(&mut self.session, epoch).await;
        self.note(done)
    }

    async fn last_versions_of_epoch(
        &mut self,
        spaces: &[Space],
        epoch: &str,
    ) -> Result<Option<Vec<u64>>> {
        read::last_versions(&mut self.session, spaces, epoch).await
    }

    async fn reader(&mut self, user: &str) -> Result<Reader> {
        list::reader(&mut self.session, user).await
    }

    async fn shared(&mut self, user: &str, id: &str) -> Result<SharedState> {
        let Some(line) = self.line(&Space::shared(id)).await? else {
            return Ok(SharedState::default());
        };
        Ok(SharedState {
            used: true,
            role: members::role(&mut self.session, id, user).await?,
            head: line.head,
            members: line.members,
        })
    }

    async fn head(&mut self, space: &Space) -> Result<Head> {
        let line = self.line(space).await?;
        Ok(line.unwrap_or_default().head)
    }

    async fn lock(&mut self, space: &Space) -> Result<()> {
        if !self.locked.contains_key(space) {
            let line = write::lock_line(&mut self.session, &key(space)).await?;
            self.locked.insert(space.clone(), line);
        }
        Ok(())
    }

    async fn stamps(&mut self, space: &Space, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        read::stamps(&mut self.session, &key(space), keys).await
    }

    async fn data(&mut self, space: &Space, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        let query = sql(
            "SELECT data FROM datum_server.entity WHERE space = $1 AND entity = $2 AND id = $3",
        );
        let query = query.bind(key(space)).bind(entity).bind(id);
        let Some(row) = one(&mut self.session, query).await? else {
            return Ok(None);
        };
        let data: Option<String> = column(&row, 0)?;
        Ok(data.map(Into::into))
    }

    async fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> Result<Vec<Option<AppliedOperation>>> {
        read::applied(&mut self.session, &user_key(user), op_ids).await
    }

    async fn digests(&mut self, spaces: &[Space]) -> Result<BTreeMap<String, Digest>> {
        read::digests(&mut self.session, spaces).await
    }

    async fn scan(
        &mut self,
        space: &Space,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        list::scan(&mut self.session, &key(space), range, limit, max_bytes).await
    }

    async fn count(&mut self, space: &Space, range: Range<'_>) -> Result<u64> {
        read::count(&mut self.session, &key(space), range).await
    }

    async fn write(&mut self, user: &str, space: &Space, batch: Batch, now_ms: u64) -> Result<()> {
        let done = self.write_batch(user, space, batch, now_ms).await;
        self.note(done)
    }

    async fn set_member(&mut self, id: &str, user: &str, role: Option<Role>) -> Result<()> {
        let done = self.change_member(id, user, role).await;
        self.note(done)
    }

    async fn end_space(&mut self, id: &str) -> Result<()> {
        let done = self.remove_space(id).await;
        self.note(done)
    }

    async fn members(&mut self, id: &str) -> Result<Vec<String>> {
        members::of(&mut self.session, id).await
    }

    async fn owners(&mut self, id: &str) -> Result<u64> {
        members::owners(&mut self.session, id).await
    }

    async fn spaces_of(&mut self, user: &str) -> Result<u64> {
        let writes = self.writing.is_some();
        members::spaces_of(&mut self.session, user, writes).await
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let query = sql("SELECT device, record FROM datum_server.device WHERE space = $1");
        let found = rows(&mut self.session, query.bind(user_key(user))).await?;
        found
            .iter()
            .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
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
            Ok(_) => {
                let at = (user_key(user), now_ms);
                write::device(&mut self.session, at, device, record, keep).await
            }
            Err(error) => Err(error),
        };
        self.note(done)
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        let delete = sql("DELETE FROM datum_server.device WHERE space = $1");
        run(&mut self.session, delete.bind(user_key(user))).await?;
        Ok(())
    }

    async fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> Result<Swept> {
        let done = write::sweep(
            &mut self.session,
            tombstones_before,
            operations_before,
            most,
        )
        .await;
        self.note(done)
    }

    async fn commit(self) -> Result<()> {
        let done = super::statement::in_time(self.session.tx.commit()).await;
        match self.writing {
            Some(writing) => writing.note(done),
            None => done,
        }
    }
}
