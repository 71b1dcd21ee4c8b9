//! The store in PostgreSQL, for several processes on one database. A transaction that writes locks the
//! lines of its spaces first, so a space's counter is in commit order, and different spaces do not
//! wait for each other. Readers see one snapshot and wait for nobody.
//!
//! It must behave like [`crate::memory`]; one test suite runs on both. Unless it may prepare
//! statements, it leaves nothing on a connection when a transaction ends, so PgBouncer may stand in
//! between in transaction mode.

mod failure;
mod hints;
mod key;
mod migrate;
mod statement;
mod transaction;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Postgres, SqlSafeStr as _, Transaction};

use crate::rules::ServerError;
use crate::rules::store::{Result, Store};
use crate::sql_stores::Writing;
use failure::failed;
use statement::{Session, in_time, run, sql};

pub use hints::{Listener, MAX_NOTIFICATION, Mark};
pub use transaction::PostgresTx;

/// The version of the schema.
const SCHEMA_VERSION: u64 = 1;
/// How long requests are refused at once after the database could not be reached.
const REST: Duration = Duration::from_millis(500);
/// How long it is tried whether the database can be reached at all.
const LOOK: Duration = Duration::from_secs(1);
/// How long the first connection may take.
const FIRST: Duration = Duration::from_secs(10);
/// How long a connection may be idle without a look at whether it is still there.
const STALE: Duration = Duration::from_secs(1);
/// How many statements are prepared on a connection; there are fewer.
const STATEMENTS: usize = 128;
/// Every statement has an index to go along. Without statistics, as after a first large sync, PostgreSQL
/// would rather read all of a space and sort it: 176 ms and 90,000 rows for a page of 1,000 of them.
const PLANS: &str =
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off";
/// Of a pull, also in the order that it needs. (Another index and a sort cost the same by its guesses, and it has
/// taken them now and then.) A pull must not sort what an index could give it in order: it would read all of that.
const IN_ORDER: &str = "SET LOCAL enable_sort = off";

/// How the database is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The most connections at once.
    pub connections: u32,
    /// How long a request waits for a connection before it is answered 503.
    pub acquire: Duration,
    /// How long a statement may run, and a transaction stand still.
    pub statement_timeout: Duration,
    /// How long a push waits for another in the same space.
    pub lock_timeout: Duration,
    /// Into how many parts a new database's tables are divided by space; 0 for no partitions.
    pub partitions: u32,
    /// Whether statements are prepared once for each connection: not behind a pooler that gives a
    /// connection to another client after a transaction.
    pub prepared_statements: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 10,
            acquire: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            partitions: 0,
            prepared_statements: false,
        }
    }
}

/// A database of PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    connect: PgConnectOptions,
    begin_read: Arc<str>,
    begin_write: Arc<str>,
    writing: Writing,
    /// When and why the database could not be reached, the last time.
    away: Arc<Mutex<Option<(Instant, ServerError)>>>,
    /// One look at a time at whether the database can be reached.
    look: Arc<tokio::sync::Mutex<()>>,
    polling: Arc<AtomicBool>,
    keeps_names: bool,
}

impl PostgresStore {
    /// Connects, and migrates the schema. A new database gets `epoch`.
    ///
    /// # Errors
    /// A URL that cannot be read; a database that cannot be reached, is a replica, does not store
    /// UTF-8, or has a schema newer than this server's.
    pub async fn open(url: &str, options: &PostgresOptions, epoch: &str) -> Result<Self> {
        let mut connect = connect_options(url)?;
        if options.prepared_statements {
            connect = connect.statement_cache_capacity(STATEMENTS);
        }
        // A message for the operator at once, and not what a pool says after trying for a while.
        let first = tokio::time::timeout(FIRST, PgConnection::connect_with(&connect)).await;
        let first = first.map_err(|_| {
            ServerError::unreachable("the database does not answer within 10 seconds")
        })?;
        in_time(first.map_err(failed)?.close()).await?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.acquire)
            // That would be a round trip of each request.
            .test_before_acquire(false)
            .before_acquire(|connection, found| {
                Box::pin(async move {
                    // A transaction whose rollback failed would be the next request's.
                    if connection.is_in_transaction() {
                        return Ok(false);
                    }
                    if found.idle_for >= STALE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect.clone());
        migrate::migrate(&pool, options, epoch).await?;
        let statement = options.statement_timeout.as_millis();
        let limits = format!(
            "SET LOCAL statement_timeout = {statement};
             SET LOCAL idle_in_transaction_session_timeout = {statement};
             SET LOCAL lock_timeout = {}; {PLANS}",
            options.lock_timeout.as_millis()
        );
        Ok(Self {
            pool,
            connect,
            begin_read: format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {limits}; {IN_ORDER}"
            )
            .into(),
            begin_write: format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {limits}")
                .into(),
            writing: Writing::default(),
            away: Arc::default(),
            look: Arc::default(),
            polling: Arc::default(),
            keeps_names: options.prepared_statements,
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn begin(&self, statement: &Arc<str>) -> Result<Session> {
        if let Some((at, error)) = &*self.away()
            && at.elapsed() < REST
        {
            return Err(error.clone());
        }
        match self.begun(statement).await {
            Err(error) => {
                let error = self.explain(error).await;
                if error.code == "storageFailed" {
                    *self.away() = Some((Instant::now(), error.clone()));
                }
                Err(error)
            }
            Ok(tx) => Ok(Session {
                tx,
                keeps_names: self.keeps_names,
            }),
        }
    }

    /// Begins a transaction, once more if its connection has ended since it was last used: nothing has
    /// run on it. A database that lets nobody connect is asked once.
    async fn begun(&self, statement: &Arc<str>) -> Result<Transaction<'static, Postgres>> {
        let begin = || async {
            let connection = in_time(self.pool.acquire()).await?;
            let statement = AssertSqlSafe(statement.clone()).into_sql_str();
            Ok(in_time(Transaction::begin(connection, Some(statement))).await)
        };
        match begin().await? {
            Err(error) if error.code == "storageFailed" => begin().await?,
            begun => begun,
        }
    }

    /// Tells a pool that is full from a database that cannot be reached: the pool does not.
    async fn explain(&self, error: ServerError) -> ServerError {
        if error.code != "busy" {
            return error;
        }
        let Ok(_turn) = self.look.try_lock() else {
            return error;
        };
        let look = PgConnection::connect_with(&self.connect);
        match tokio::time::timeout(LOOK, look).await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                error
            }
            Ok(Err(cause)) => failed(cause),
            Err(late) => ServerError::unreachable(late),
        }
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Option<(Instant, ServerError)>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes something and makes it durable.
    async fn probe(&self) -> Result<()> {
        let mut session = self.begin(&self.begin_write).await?;
        let write = sql(
            "INSERT INTO datum_server.setting AS s (name, value) VALUES ('probe', '1')
             ON CONFLICT (name) DO UPDATE SET value = 1 - s.value::int",
        );
        run(&mut session, write).await?;
        in_time(session.tx.commit()).await
    }
}

/// Reads a URL. Nothing is asked of a session that PgBouncer does not know, or would give to others.
fn connect_options(url: &str) -> Result<PgConnectOptions> {
    let options: PgConnectOptions = url.parse().map_err(failed)?;
    Ok(options
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        .application_name("datum-server"))
}

impl Store for PostgresStore {
    type Tx = PostgresTx;

    async fn read(&self) -> Result<PostgresTx> {
        let session = self.begin(&self.begin_read).await?;
        Ok(PostgresTx::new(session, None))
    }

    async fn write(&self) -> Result<PostgresTx> {
        let begun = self.begin(&self.begin_write).await;
        let session = self.writing.note(begun)?;
        Ok(PostgresTx::new(session, Some(self.writing.clone())))
    }

    async fn check_writes(&self) -> Result<()> {
        self.writing.check(self.probe()).await
    }

    fn is_polling(&self) -> bool {
        self.polling.load(Ordering::Relaxed)
    }
}
