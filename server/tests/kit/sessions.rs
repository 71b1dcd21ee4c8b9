//! Connections that stay open, for transactions that meet each other.

use sqlx::{Connection as _, PgConnection, Row as _};
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

    /// Returns how many pages of 8 KB a query reads, cached or not.
    pub fn pages(&mut self, query: &str) -> u64 {
        let explain = format!("explain (analyze, buffers, timing off, costs off) {query}");
        let rows = sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&mut self.sql);
        let plan: Vec<String> = self
            .runtime
            .block_on(rows)
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let line = plan.iter().find(|line| line.contains("Buffers: shared"));
        let words = line
            .unwrap_or_else(|| panic!("{plan:?}"))
            .split_whitespace();
        words
            .filter_map(|word| {
                word.strip_prefix("hit=")
                    .or_else(|| word.strip_prefix("read="))?
                    .parse::<u64>()
                    .ok()
            })
            .sum()
    }
}
