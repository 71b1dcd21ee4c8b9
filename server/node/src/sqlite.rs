//! A connection to SQLite that JavaScript has. See `src/js/server/sqlite.ts` for the other side.

use datum_server::ServerError;
use datum_server::rules::store::{Result, Store};
use datum_server::sqlite::connection::{Connection, Value};
use datum_server::sqlite::{SqliteTx, failure, migrate};
use js_sys::{Array, BigInt};
use wasm_bindgen::prelude::*;

use crate::thrown::{Kept, keep, message, result_code};

#[wasm_bindgen]
extern "C" {
    /// The connection. What is thrown has a `message`, and a `resultCode` if it is SQLite's.
    #[derive(Clone)]
    pub type Database;
    #[wasm_bindgen(method, catch)]
    fn begin(this: &Database, writes: bool) -> std::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn commit(this: &Database) -> std::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn rollback(this: &Database) -> std::result::Result<(), JsValue>;
    /// Gives `take` each row as an array, until that returns false.
    #[wasm_bindgen(method, catch)]
    fn each(
        this: &Database,
        query: &str,
        values: Array,
        take: &mut dyn FnMut(Array) -> bool,
    ) -> std::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn run(this: &Database, statement: &str, values: Array) -> std::result::Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn script(this: &Database, statements: &str) -> std::result::Result<(), JsValue>;
}

thread_local! {
    static DATABASES: Kept<Database> = const { Kept::new(Vec::new()) };
}

/// A database, by its number.
#[derive(Debug)]
pub struct JsStore(usize);

impl JsStore {
    pub fn new(database: Database) -> Self {
        Self(keep(&DATABASES, database))
    }

    /// Migrates the schema.
    pub async fn migrate(&self, epoch: &str) -> Result<()> {
        migrate(self.begin(true)?, epoch).await
    }

    fn begin(&self, writes: bool) -> Result<JsConnection> {
        database(self.0)?.begin(writes).map_err(failed)?;
        Ok(JsConnection {
            database: self.0,
            is_open: true,
        })
    }
}

impl Store for JsStore {
    type Tx = SqliteTx<JsConnection>;

    async fn read(&self) -> Result<Self::Tx> {
        self.begin(false).map(SqliteTx::new)
    }

    async fn write(&self) -> Result<Self::Tx> {
        self.begin(true).map(SqliteTx::new)
    }

    async fn check_writes(&self) -> Result<()> {
        let mut connection = self.begin(true)?;
        let probe = "INSERT INTO setting (name, value) VALUES ('probe', '1')
         ON CONFLICT (name) DO UPDATE SET value = 1 - value";
        connection.run(probe, Vec::new()).await?;
        connection.commit().await
    }
}

/// A transaction of a database, rolled back if it is dropped.
#[derive(Debug)]
pub struct JsConnection {
    database: usize,
    is_open: bool,
}

impl Drop for JsConnection {
    fn drop(&mut self) {
        if self.is_open
            && let Ok(database) = database(self.database)
        {
            // SQLite has ended it already after some errors.
            let _ = database.rollback();
        }
    }
}

impl Connection for JsConnection {
    type Row = Vec<Value>;

    async fn each(
        &mut self,
        query: &'static str,
        values: Vec<Value>,
        mut take: impl FnMut(&Vec<Value>) -> Result<bool> + Send,
    ) -> Result<()> {
        let mut refused = None;
        let mut give = |row: Array| match read(&row).and_then(|row| take(&row)) {
            Ok(goes_on) => goes_on,
            Err(error) => {
                refused = Some(error);
                false
            }
        };
        let done = database(self.database)?.each(query, bound(values), &mut give);
        match refused {
            Some(error) => Err(error),
            None => done.map_err(failed),
        }
    }

    async fn all(&mut self, query: &'static str, values: Vec<Value>) -> Result<Vec<Vec<Value>>> {
        let mut rows = Vec::new();
        let take = |row: &Vec<Value>| {
            rows.push(row.clone());
            Ok(true)
        };
        self.each(query, values, take).await?;
        Ok(rows)
    }

    async fn run(&mut self, statement: &'static str, values: Vec<Value>) -> Result<u64> {
        let changed = database(self.database)?.run(statement, bound(values));
        changed.map(crate::milliseconds).map_err(failed)
    }

    async fn script(&mut self, statements: &'static str) -> Result<()> {
        database(self.database)?.script(statements).map_err(failed)
    }

    async fn commit(mut self) -> Result<()> {
        database(self.database)?.commit().map_err(failed)?;
        self.is_open = false;
        Ok(())
    }
}

/// Cloned, so that nothing is borrowed while JavaScript runs.
fn database(number: usize) -> Result<Database> {
    let found = DATABASES.with_borrow(|all| all.get(number).cloned());
    found.ok_or_else(|| ServerError::internal("the database is gone"))
}

fn bound(values: Vec<Value>) -> Array {
    values
        .into_iter()
        .map(|value| match value {
            Value::Null => JsValue::NULL,
            Value::Number(number) => BigInt::from(number).into(),
            Value::Text(text) => text.into(),
        })
        .collect()
}

fn read(row: &Array) -> Result<Vec<Value>> {
    row.iter()
        .map(|value| {
            if value.is_null() {
                return Ok(Value::Null);
            }
            if let Some(text) = value.as_string() {
                return Ok(Value::Text(text));
            }
            let number = i64::try_from(value);
            let number = number.map_err(|_| ServerError::internal("a column of another type"))?;
            Ok(Value::Number(number))
        })
        .collect()
}

fn failed(thrown: JsValue) -> ServerError {
    failure(result_code(&thrown), message(&thrown))
}
