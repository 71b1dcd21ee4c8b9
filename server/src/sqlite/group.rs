//! Group commit: the writes that come while one is under way share its transaction, and wait for the
//! disk together. Each has a savepoint, so that one which fails undoes nothing of the others, and none
//! is answered before the commit.

use std::sync::Arc;

use sqlx::sqlite::SqlitePool;
use sqlx::{Executor as _, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::file::{ACQUIRE, failed};
use crate::rules::ServerError;
use crate::rules::store::Result;
use crate::sql_stores::Writing;

/// The most writes of one transaction: the first one is answered only after the last one.
const MOST: u32 = 64;

/// The one connection that writes. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pool: SqlitePool,
    turn: Arc<Mutex<Groups>>,
    pub(super) writing: Writing,
}

/// The transaction that is open, if there is one.
#[derive(Debug, Default)]
struct Groups {
    open: Option<Group>,
    /// How many there have been.
    begun: u64,
}

/// A transaction of several writes.
#[derive(Debug)]
struct Group {
    tx: Transaction<'static, Sqlite>,
    /// How many writes it has to commit.
    writes: u32,
    /// How it has ended, for these.
    end: watch::Sender<Option<Result<()>>>,
}

/// A write, alone on the connection until it ends. It has no effect unless it is committed.
#[derive(Debug)]
pub(super) struct GroupedWrite {
    writer: Writer,
    turn: Option<OwnedMutexGuard<Groups>>,
    /// Whether it has begun the transaction. It commits it, too.
    leads: bool,
}

impl Writer {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            turn: Arc::default(),
            writing: Writing::default(),
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins a write, in its turn.
    pub(super) async fn begin(&self) -> Result<GroupedWrite> {
        // A request that its client gives up meanwhile would leave half of a statement behind.
        let beginning = tokio::spawn(self.clone().begin_in_turn());
        beginning.await.map_err(ServerError::internal)?
    }

    async fn begin_in_turn(self) -> Result<GroupedWrite> {
        let turn = tokio::time::timeout(ACQUIRE, self.turn.clone().lock_owned());
        let mut write = GroupedWrite {
            turn: Some(turn.await.map_err(ServerError::busy)?),
            writer: self,
            leads: false,
        };
        write.enter().await?;
        Ok(write)
    }

    /// Ends a write, and commits the transaction if this is its last one.
    async fn leave(self, mut turn: OwnedMutexGuard<Groups>, leads: bool, keeps: bool) {
        let Some(group) = &mut turn.open else { return };
        let ended = if keeps {
            group.tx.execute("RELEASE one").await
        } else {
            group
                .tx
                .execute(sqlx::raw_sql("ROLLBACK TO one; RELEASE one"))
                .await
        };
        if let Err(error) = ended {
            // SQLite has ended the transaction, as on a full disk: all of it is undone.
            let error = ServerError::storage_failed(error);
            if let Some(group) = turn.open.take() {
                group.end.send_replace(Some(Err(error)));
            }
            return;
        }
        group.writes = group.writes.saturating_add(u32::from(keeps));
        let is_full = group.writes >= MOST;
        if leads && !is_full {
            // Behind those that wait by now. They go first.
            let number = turn.begun;
            drop(turn);
            turn = self.turn.clone().lock_owned().await;
            if turn.begun != number {
                return;
            }
        } else if !is_full {
            return;
        }
        if let Some(group) = turn.open.take() {
            self.end(group).await;
        }
    }

    async fn end(&self, group: Group) {
        let done = if group.writes == 0 {
            group.tx.rollback().await.map_err(failed)
        } else {
            self.writing.note(group.tx.commit().await.map_err(failed))
        };
        group.end.send_replace(Some(done));
    }
}

impl GroupedWrite {
    async fn enter(&mut self) -> Result<()> {
        let Some(groups) = self.turn.as_deref_mut() else {
            return Err(over());
        };
        if groups.open.is_none() {
            // Not deferred: SQLite refuses the first write of a transaction that has read before
            // another one committed.
            let tx = self.writer.pool.begin_with("BEGIN IMMEDIATE").await;
            groups.open = Some(Group {
                tx: self.writer.writing.note(tx.map_err(failed))?,
                writes: 0,
                end: watch::Sender::new(None),
            });
            groups.begun = groups.begun.wrapping_add(1);
            self.leads = true;
        }
        let connection = self.connection()?;
        connection.execute("SAVEPOINT one").await.map_err(failed)?;
        Ok(())
    }

    /// Returns the connection.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        let groups = self.turn.as_deref_mut();
        let group = groups.and_then(|groups| groups.open.as_mut());
        group.map(|group| &mut *group.tx).ok_or_else(over)
    }

    pub(super) fn writing(&self) -> &Writing {
        &self.writer.writing
    }

    /// Commits, together with others. Fails if the whole transaction does.
    pub(super) async fn commit(mut self) -> Result<()> {
        let turn = self.turn.take().ok_or_else(over)?;
        let mut end = match &turn.open {
            Some(group) => group.end.subscribe(),
            None => return Err(over()),
        };
        // It ends also if nobody waits for it any more: others may.
        tokio::spawn(self.writer.clone().leave(turn, self.leads, true));
        let end = end.wait_for(Option::is_some).await;
        let end = end.map_err(ServerError::storage_failed)?;
        end.clone().unwrap_or_else(|| Err(over()))
    }
}

impl Drop for GroupedWrite {
    fn drop(&mut self) {
        // Without a runtime the connection ends as well.
        if let (Some(turn), Ok(runtime)) = (self.turn.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(self.writer.clone().leave(turn, self.leads, false));
        }
    }
}

fn over() -> ServerError {
    ServerError::internal("the transaction is over")
}
