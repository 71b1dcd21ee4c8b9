//! Connections that stay open, for transactions that meet each other.

use sqlx::{Connection as _, PgConnection};
use tokio::runtime::Runtime;

/// One connection.
pub struct Session {
    runtime: Runtime,
    sql: PgConnection,
}

impl Session {
    pub fn at(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let sql = runtime.block_on(PgConnection::connect(url)).unwrap();
        Self { runtime, sql }
    }

    /// Runs statements. Fails with their SQLSTATE.
    pub fn run(&mut self, statements: &str) -> Result<(), String> {
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut self.sql);
        self.runtime
            .block_on(done)
            .map(drop)
            .map_err(|error| match error {
                sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
                other => other.to_string(),
            })
    }
}
