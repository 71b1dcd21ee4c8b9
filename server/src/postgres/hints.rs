//! What processes on one database tell each other: whose data has changed. A process that cannot
//! listen asks for the heads of the histories that its clients wait for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, Row as _};

use super::failure::failed;
use super::key::user_key;
use super::statement::{in_time, number, place, rows, run, sql};
use super::{PostgresStore, connect_options};
use crate::rules::ServerError;
use crate::rules::store::Result;

/// The name that processes listen to.
const CHANNEL: &str = "datum_server";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How many users one query is about.
const USERS: usize = 1_000;
/// The most bytes of a notification. PostgreSQL's limit is 7,999.
pub const MAX_NOTIFICATION: usize = 7_000;

/// How many connections are opened to find out whether there is a pooler.
const LOOKS: usize = 3;

/// A connection that hears notifications.
pub struct Listener {
    listener: PgListener,
    connect: PgConnectOptions,
    /// The number of the process at the other end.
    pid: i32,
}

impl Listener {
    /// Ends the process at the other end, since nothing is heard of it. If there is a pooler in between
    /// after all, that process still listens, and would send what it hears to other clients.
    pub async fn end(self) {
        let _ = in_time(async {
            let mut connection = PgConnection::connect_with(&self.connect).await?;
            let end = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                "SELECT pg_terminate_backend({})",
                self.pid
            )));
            connection.execute(end).await?;
            connection.close().await
        })
        .await;
    }

    /// Returns the next notification; `None` if the connection was lost, and some may be missing.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let heard = self.listener.try_recv().await.map_err(failed)?;
        Ok(heard.map(|heard| heard.payload().to_owned()))
    }
}

/// What changes with everything that a user has to pull.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The revision of the list of spaces.
    revision: u64,
    /// The sum of the counters of all spaces.
    counters: u64,
}

/// Returns whether connections share processes: whether another one gets the process of an open
/// connection, or that gets another process.
///
/// A pooler cannot be asked. To listen through one would do harm: notifications go to whom the process
/// belongs just then.
async fn is_pooled(connect: &PgConnectOptions) -> Result<bool> {
    let look = async {
        let mut first = PgConnection::connect_with(connect).await?;
        let pid = process(&mut first, "SELECT pg_backend_pid()").await?;
        let mut others = Vec::new();
        let mut pooled = false;
        while !pooled && others.len() < LOOKS {
            let mut other = PgConnection::connect_with(connect).await?;
            // Keeps it until the connection ends.
            let its = process(&mut other, "BEGIN; SELECT pg_backend_pid()").await?;
            others.push(other);
            pooled = its == pid || process(&mut first, "SELECT pg_backend_pid()").await? != pid;
        }
        for connection in others.into_iter().chain([first]) {
            connection.close().await?;
        }
        Ok(pooled)
    };
    match tokio::time::timeout(CONNECT, look).await {
        Ok(looked) => looked.map_err(failed),
        Err(late) => Err(ServerError::unreachable(late)),
    }
}

async fn process(
    connection: &mut PgConnection,
    statement: &'static str,
) -> std::result::Result<i32, sqlx::Error> {
    let row = connection.fetch_one(sqlx::raw_sql(statement)).await?;
    row.try_get(0)
}

impl PostgresStore {
    /// Opens a connection that listens: to this URL, or else to the store's own. Returns none behind a
    /// pooler in transaction mode, where nothing would be heard.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn listen(&self, url: Option<&str>) -> Result<Option<Listener>> {
        let connect = match url {
            Some(url) => connect_options(url)?,
            None => self.connect.clone(),
        };
        if is_pooled(&connect).await? {
            return Ok(None);
        }
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(connect.clone());
        let mut listener = in_time(PgListener::connect_with(&pool)).await?;
        listener.eager_reconnect(false);
        // At once, so that both are at the same process.
        let listen = sqlx::raw_sql("LISTEN datum_server; SELECT pg_backend_pid()");
        let row = in_time(listener.fetch_one(listen)).await?;
        let pid = row.try_get(0).map_err(failed)?;
        Ok(Some(Listener {
            listener,
            connect,
            pid,
        }))
    }

    /// Notifies all processes that listen, this one too. Not in the transaction that writes, since
    /// those that notify commit one after the other in all of the database.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn notify(&self, text: &str) -> Result<()> {
        let mut session = self.begin(&self.begin_write).await?;
        let notify = sql("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(text);
        run(&mut session, notify).await?;
        in_time(session.tx.commit()).await
    }

    /// Returns the marks of users, in their order.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn marks(&self, users: &[String]) -> Result<Vec<Mark>> {
        let mut marks = vec![Mark::default(); users.len()];
        for (some, slots) in users.chunks(USERS).zip(marks.chunks_mut(USERS)) {
            let keys: Vec<String> = some.iter().map(|user| user_key(user)).collect();
            let mut session = self.begin(&self.begin_read).await?;
            let query = sql(
                "SELECT k.place, coalesce(r.revision, 0), (coalesce(s.seq, 0) + coalesce((
                   SELECT sum(o.seq) FROM datum_server.membership AS m
                   JOIN datum_server.space AS o ON o.space = 's:' || m.shared
                   WHERE m.space = k.space AND m.role > 0), 0))::bigint
                 FROM unnest($1::text[]) WITH ORDINALITY AS k(space, place)
                 LEFT JOIN datum_server.reader AS r ON r.space = k.space
                 LEFT JOIN datum_server.space AS s ON s.space = k.space",
            );
            for row in rows(&mut session, query.bind(&keys)).await? {
                if let Some(slot) = slots.get_mut(place(&row, 0)?) {
                    *slot = Mark {
                        revision: number(&row, 1)?,
                        counters: number(&row, 2)?,
                    };
                }
            }
        }
        Ok(marks)
    }

    /// Sets whether changes of other processes are found by asking, for those who look at the health.
    pub fn set_polling(&self, polling: bool) {
        self.polling.store(polling, Ordering::Relaxed);
    }
}
