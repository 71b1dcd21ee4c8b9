//! The store on disk. SQLite has one writer at a time, so a counter incremented inside BEGIN
//! IMMEDIATE is in commit order. Readers see a snapshot of the write-ahead log and never wait for
//! the writer.

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, Executor as _, Row as _, Sqlite, SqliteConnection, Transaction};

use super::connection::{Columns, Connection, Value};
use super::group::{GroupedWrite, Writer};
use super::{SqliteTx, failure, schema};
use crate::rules::ServerError;
use crate::rules::store::{Result, Store};

/// The number of reading connections.
const READERS: u32 = 4;
/// How long a request waits for a connection before it is answered 503.
pub(super) const ACQUIRE: Duration = Duration::from_secs(10);

/// A database file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
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
        let tx = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        schema::migrate(FileConnection(Session::Alone(tx)), epoch).await?;
        let readers = pool(READERS)
            .connect_with(options.pragma("query_only", "1"))
            .await
            .map_err(failed)?;
        Ok(Self {
            writer: Writer::new(writer),
            readers,
        })
    }

    /// Closes all connections; the last one merges the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Store for SqliteStore {
    type Tx = SqliteTx<FileConnection>;

    async fn read(&self) -> Result<Self::Tx> {
        let tx = self.readers.begin().await.map_err(failed)?;
        Ok(SqliteTx::new(FileConnection(Session::Alone(tx))))
    }

    async fn write(&self) -> Result<Self::Tx> {
        let write = self.writer.begin().await?;
        Ok(SqliteTx::new(FileConnection(Session::Grouped(write))))
    }

    async fn check_writes(&self) -> Result<()> {
        self.writer.writing.check(probe(&self.writer)).await
    }
}

/// Writes something and makes it durable.
async fn probe(writer: &Writer) -> Result<()> {
    let mut write = writer.begin().await?;
    let statement = "INSERT INTO setting (name, value) VALUES ('probe', '1')
         ON CONFLICT (name) DO UPDATE SET value = 1 - value";
    let probed = write.connection()?.execute(statement).await;
    probed.map_err(failed)?;
    write.commit().await
}

/// A connection in a transaction.
#[derive(Debug)]
pub struct FileConnection(Session);

#[derive(Debug)]
enum Session {
    /// That reads, or that nobody else is there for.
    Alone(Transaction<'static, Sqlite>),
    /// That writes, and shares a commit with others.
    Grouped(GroupedWrite),
}

impl FileConnection {
    fn parts(&mut self) -> Result<&mut SqliteConnection> {
        match &mut self.0 {
            Session::Alone(tx) => Ok(tx),
            Session::Grouped(write) => write.connection(),
        }
    }

    /// Notes that a statement that writes failed.
    fn note<R>(&self, result: Result<R>) -> Result<R> {
        match &self.0 {
            Session::Grouped(write) if result.is_err() => write.writing().note(result),
            _ => result,
        }
    }
}

impl Connection for FileConnection {
    type Row = SqliteRow;

    async fn each(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
        mut take: impl FnMut(&SqliteRow) -> Result<bool> + Send,
    ) -> Result<()> {
        let mut rows = bound(query, values).fetch(self.parts()?);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    async fn all(&mut self, query: &'static str, values: Vec<Value>) -> Result<Vec<SqliteRow>> {
        let rows = bound(query, values).fetch_all(self.parts()?).await;
        rows.map_err(failed)
    }

    async fn first(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
    ) -> Result<Option<SqliteRow>> {
        let row = bound(query, values).fetch_optional(self.parts()?).await;
        row.map_err(failed)
    }

    async fn run(&mut self, statement: &'static str, values: Vec<Value>) -> Result<u64> {
        let done = bound(statement, values).execute(self.parts()?).await;
        let done = self.note(done.map_err(failed))?;
        Ok(done.rows_affected())
    }

    async fn script(&mut self, statements: &'static str) -> Result<()> {
        let done = sqlx::raw_sql(statements).execute(self.parts()?).await;
        self.note(done.map_err(failed)).map(|_| ())
    }

    async fn commit(self) -> Result<()> {
        match self.0 {
            Session::Alone(tx) => tx.commit().await.map_err(failed),
            Session::Grouped(write) => write.commit().await,
        }
    }
}

impl Columns for SqliteRow {
    fn signed(&self, column: usize) -> Result<Option<i64>> {
        self.try_get(column).map_err(failed)
    }

    fn text(&self, column: usize) -> Result<Option<String>> {
        self.try_get(column).map_err(failed)
    }
}

fn bound(
    statement: &'static str,
    values: Vec<Value>,
) -> sqlx::query::Query<'static, Sqlite, SqliteArguments> {
    values
        .into_iter()
        .fold(sqlx::query(statement), |query, value| match value {
            Value::Null => query.bind(None::<String>),
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        })
}

pub(super) fn failed(error: sqlx::Error) -> ServerError {
    let code = match &error {
        sqlx::Error::PoolTimedOut => Some(5),
        sqlx::Error::Database(cause) => cause.code().and_then(|code| code.parse::<u32>().ok()),
        sqlx::Error::Io(_) => Some(10),
        _ => None,
    };
    failure(code, error)
}
