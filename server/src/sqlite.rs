//! The store on disk. SQLite has one writer at a time, so a counter incremented inside BEGIN
//! IMMEDIATE is in commit order. Readers see a snapshot of the write-ahead log and never wait for
//! the writer.
//!
//! It must behave like [`crate::memory`]; one test suite runs on both.

pub mod backup;
mod transaction;

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Executor, Row as _};

use crate::rules::ServerError;
use crate::rules::store::{Result, Store};
use crate::sql_stores::Writing;

pub use transaction::SqliteTx;

/// The migrations, in order. SQLite's `user_version` counts those that have run.
const MIGRATIONS: [&str; 3] = [
    include_str!("../sql/0001_rows.sql"),
    include_str!("../sql/0002_epoch_history.sql"),
    include_str!("../sql/0003_spaces.sql"),
];
/// The number of reading connections.
const READERS: u32 = 4;
/// How long a request waits for a connection before it is answered 503.
const ACQUIRE: Duration = Duration::from_secs(10);

/// A database file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    writing: Writing,
}

impl SqliteStore {
    /// Opens the file, creating it if missing, and migrates its schema. A new file gets `epoch`.
    ///
    /// # Errors
    /// Errors of SQLite; a file with a schema newer than this server's.
    pub async fn open(path: &Path, epoch: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged push must survive a power failure; in WAL mode only FULL syncs each
            // commit.
            .synchronous(SqliteSynchronous::Full)
            // Nothing but the database and its log needs room or a descriptor.
            .pragma("temp_store", "MEMORY")
            .busy_timeout(Duration::from_secs(5));
        let pool = |size: u32| {
            SqlitePoolOptions::new()
                .max_connections(size)
                // Kept open: a connection that is opened later needs descriptors then.
                .min_connections(size)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(ACQUIRE)
                // A transaction whose rollback failed, as on a full disk, would be the next
                // request's: such a connection is closed, which ends it.
                .before_acquire(|connection, _| {
                    let usable = !connection.is_in_transaction();
                    Box::pin(async move { Ok(usable) })
                })
        };
        let writer = pool(1)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        migrate(&writer, epoch).await?;
        let readers = pool(READERS)
            .connect_with(options.pragma("query_only", "1"))
            .await
            .map_err(failed)?;
        Ok(Self {
            writer,
            readers,
            writing: Writing::default(),
        })
    }

    /// Closes all connections; the last one merges the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Store for SqliteStore {
    type Tx = SqliteTx;

    async fn read(&self) -> Result<SqliteTx> {
        let tx = self.readers.begin().await.map_err(failed)?;
        Ok(SqliteTx::new(tx, None))
    }

    async fn write(&self) -> Result<SqliteTx> {
        // Not deferred: SQLite refuses the first write of a transaction that has read before
        // another one committed.
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        let tx = self.writing.note(begun.map_err(failed))?;
        Ok(SqliteTx::new(tx, Some(self.writing.clone())))
    }

    async fn check_writes(&self) -> Result<()> {
        self.writing.check(probe(self)).await
    }
}

/// Writes something and makes it durable.
async fn probe(store: &SqliteStore) -> Result<()> {
    let begun = store.writer.begin_with("BEGIN IMMEDIATE").await;
    let mut tx = begun.map_err(failed)?;
    tx.execute(
        "INSERT INTO setting (name, value) VALUES ('probe', '1')
         ON CONFLICT (name) DO UPDATE SET value = 1 - value",
    )
    .await
    .map_err(failed)?;
    tx.commit().await.map_err(failed)
}

async fn migrate(writer: &SqlitePool, epoch: &str) -> Result<()> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let version: i64 = tx
        .fetch_one("PRAGMA user_version")
        .await
        .map_err(failed)?
        .try_get(0)
        .map_err(failed)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(ServerError::internal(
            "a later version of this server wrote the database; use that version",
        ));
    }
    for script in MIGRATIONS.iter().skip(done) {
        sqlx::raw_sql(*script)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    if done < MIGRATIONS.len() {
        tx.execute("PRAGMA user_version = 3")
            .await
            .map_err(failed)?;
    }
    sqlx::query(
        "INSERT INTO setting (name, value) VALUES ('epoch', ?1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(epoch)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    // From the epoch if it has as many random digits: so a backup that is older than ids gets the
    // id that its database has got meanwhile.
    tx.execute(
        "INSERT INTO setting (name, value)
         SELECT 'serverId', substr(x, 1, 8) || '-' || substr(x, 9, 4) || '-4' || substr(x, 14, 3)
           || '-a' || substr(x, 18, 3) || '-' || substr(x, 21, 12)
         FROM (SELECT iif(length(value) = 32, value, lower(hex(randomblob(16)))) AS x
               FROM setting WHERE name = 'epoch')
         WHERE true ON CONFLICT (name) DO NOTHING",
    )
    .await
    .map_err(failed)?;
    tx.commit().await.map_err(failed)
}

/// Busy is temporary; so is a disk that is full or fails, as far as the request is concerned. Every
/// other failure is for the operator.
fn failed(error: sqlx::Error) -> ServerError {
    let code = match &error {
        sqlx::Error::PoolTimedOut => Some(5),
        // The low byte of the extended codes.
        sqlx::Error::Database(cause) => cause
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .map(|code| code & 0xff),
        sqlx::Error::Io(_) => Some(10),
        _ => None,
    };
    match code {
        // SQLITE_BUSY and SQLITE_LOCKED.
        Some(5 | 6) => ServerError::busy(error),
        // SQLITE_NOMEM, READONLY, IOERR, FULL and CANTOPEN.
        Some(7 | 8 | 10 | 13 | 14) => ServerError::storage_failed(error),
        _ => ServerError::internal(error),
    }
}

fn corrupt(cause: impl Display) -> ServerError {
    ServerError::internal(format!("the database holds an invalid value: {cause}"))
}
