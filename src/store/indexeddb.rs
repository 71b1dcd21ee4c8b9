//! The store in IndexedDB: one database per app name and user, two object stores with out-of-line
//! keys, `log` and `bodies`.
//!
//! An append is one readwrite transaction whose last request is the `add` of the record: where the
//! key is taken, nothing is written. It never reads before it commits, and never awaits.

use std::cell::Cell;
use std::rc::Rc;

use indexed_db_futures::database::Database;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::IdbTransaction;

use crate::error::{Code, Error, Result};
use crate::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};
use connection::{Connection, Schema};
use fault::Fault;
use read::{answer, begin, records, values, wrong_type};
use write::{Batch, Change, Written, write};

mod connection;
mod event;
mod fault;
mod read;
mod root;
mod write;

pub use root::RootDatabase;

const LOG: &str = "log";
const BODIES: &str = "bodies";
const STORES: &[&str] = &[LOG, BODIES];

/// The key in `bodies` under which the place of the last checkpoint lies. No body has it, as the
/// first record is 1.
const CHECKPOINT: f64 = 0.0;

/// The key in `bodies` of the number that tells this database from a later one of the same name.
const IDENTITY: f64 = -1.0;

const SCHEMA: Schema = Schema { stores: STORES, identity: Some((BODIES, IDENTITY)) };

/// The largest integer that a JavaScript number, and so a key, holds exactly.
const LARGEST_KEY: u64 = (1 << 53) - 1;

/// One user's log in IndexedDB. Clones share one connection.
///
/// Where a connection is lost, it is opened again and the whole transaction repeated, three times
/// at most. An append whose connection was lost may have been written: the repeated one then finds
/// its own record, byte for byte, and counts as done. Where even that fails, the answer is an error
/// although the record may be there; the next append finds it, and is `Stale`.
#[derive(Clone, Debug)]
pub struct IndexedDbStore {
    connection: Rc<Connection>,
    stats: Rc<Cell<Stats>>,
}

/// What a store has asked of IndexedDB so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open requests.
    pub opens: u64,
    /// Readonly transactions.
    pub reads: u64,
    /// Readwrite transactions, also those that were refused.
    pub writes: u64,
    /// Values that were asked to be put, added or deleted.
    pub records: u64,
}

impl IndexedDbStore {
    /// Opens the user's database, and creates it where there is none. `name` is the app's; it
    /// must not contain `/`.
    ///
    /// # Errors
    /// `invalidConfig` or `invalidArgument` where a name is unfit; `storageUnavailable` where the
    /// browser gives no storage; `storageBlocked` where another tab holds the database, and
    /// `timeout` where the browser does not answer, both after ten seconds; `migration` where a newer
    /// version of the app made the database.
    pub async fn open(name: &str, user: &str) -> Result<Self> {
        let store = Self::unopened(name, user)?;
        store.connection.run(async |_, _| Ok(())).await?;
        Ok(store)
    }

    /// The same, but the first call opens.
    ///
    /// # Errors
    /// `invalidConfig` or `invalidArgument` where a name is unfit.
    pub fn unopened(name: &str, user: &str) -> Result<Self> {
        check_name(name)?;
        if user.is_empty() {
            return Err(Error::new(Code::InvalidArgument, "The user id is empty; give the id of the user whose data this is."));
        }
        Ok(Self { connection: Connection::new(format!("{name}/{user}"), SCHEMA), stats: Rc::default() })
    }

    /// The name of the database: also that of its lock and its channel.
    #[must_use]
    pub fn database(&self) -> &str {
        self.connection.name()
    }

    /// How long a call waits for an open or a delete that does not come, in milliseconds.
    #[must_use]
    pub fn with_patience(self, ms: u64) -> Self {
        self.connection.set_patience(ms);
        self
    }

    /// What has been asked of IndexedDB so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { opens: self.connection.opens(), ..self.stats.get() }
    }

    fn count(&self, reads: u64, writes: u64, records: usize) {
        let stats = self.stats.get();
        self.stats.set(Stats {
            reads: stats.reads.saturating_add(reads),
            writes: stats.writes.saturating_add(writes),
            records: stats.records.saturating_add(records as u64),
            ..stats
        });
    }

    /// Whether the record under that key is this one.
    async fn holds(&self, database: &Database, seq: Seq, record: &[u8]) -> Result<bool, Fault> {
        self.count(1, 0, 0);
        let found = values(&begin(database, &[LOG])?.object_store(LOG)?, &[seq]).await?;
        Ok(found.into_iter().flatten().any(|found| *found == *record))
    }

    /// A fresh database under this name is not the log that the caller knows, and its keys fence nothing.
    fn check(&self) -> Result<(), Fault> {
        if self.connection.is_replaced() {
            return Err(Error::new(Code::StorageLost, "The stored data was removed, by the browser or in another tab; load again.").into());
        }
        Ok(())
    }

    /// One readonly transaction over the stores named, repeated where the connection is lost.
    async fn read<T>(&self, stores: &[&str], work: impl AsyncFn(IdbTransaction) -> Result<T, Fault>) -> Result<T> {
        self.connection
            .run(async |database, _| {
                self.check()?;
                self.count(1, 0, 0);
                work(begin(database, stores)?).await
            })
            .await
    }
}

impl Store for IndexedDbStore {
    async fn load(&self) -> Result<Records> {
        self.connection
            .run(async |database, _| {
                self.connection.accept();
                self.count(1, 0, 0);
                let transaction = begin(database, STORES)?;
                let place = answer(&transaction.object_store(BODIES)?.get(&JsValue::from_f64(CHECKPOINT))?).await?;
                let from = if place.is_undefined() { CHECKPOINT } else { place.as_f64().ok_or_else(wrong_type)? };
                records(&transaction, LOG, from, false).await
            })
            .await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        if after > LARGEST_KEY {
            return Ok(Tail::Records(Records::new()));
        }
        let found = self.read(&[LOG], async |transaction| records(&transaction, LOG, after as f64, true).await).await?;
        if found.iter().any(|(_, record)| record.is_empty()) {
            return Ok(Tail::Compacted);
        }
        Ok(Tail::Records(found))
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        let Append { seq, record, bodies, checkpoint } = append;
        let key = key_of(seq)?;
        let mut changes = Vec::with_capacity(bodies.len());
        for (id, body) in &bodies {
            changes.push(Change::Put(BODIES, key_of(*id)?, value_of(body)));
        }
        if let Some(superseded) = &checkpoint {
            for seq in &superseded.records {
                changes.push(Change::Put(LOG, key_of(*seq)?, value_of(&[])));
            }
            for id in &superseded.bodies {
                changes.push(Change::Delete(BODIES, key_of(*id)?));
            }
            changes.push(Change::Put(BODIES, CHECKPOINT.into(), key.clone()));
        }
        let stores: &[&str] = if changes.is_empty() { &[LOG] } else { STORES };
        let batch = Batch { stores, durability, changes, add: Some((LOG, key, value_of(&record))) };

        let written = self
            .connection
            .run(async |database, tried| {
                self.check()?;
                self.count(0, 1, batch.changes.len().saturating_add(1));
                match write(database, &batch).await? {
                    // The connection was lost before: this may be our own record, written after all.
                    Written::Nothing if tried > 0 && self.holds(database, seq, &record).await? => Ok(Written::All),
                    written => Ok(written),
                }
            })
            .await?;
        match written {
            Written::All => Ok(()),
            Written::Nothing => Err(AppendError::Stale),
        }
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        for id in ids {
            key_of(*id)?;
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.read(&[BODIES], async |transaction| values(&transaction.object_store(BODIES)?, ids).await).await
    }

    async fn wipe(&self) -> Result<()> {
        self.connection.delete().await
    }

    fn close(&self) {
        self.connection.close();
    }
}

/// A copy outside the module's memory: IndexedDB clones the whole buffer that a view looks into.
fn value_of(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn key_of(number: u64) -> Result<JsValue> {
    if number == 0 || number > LARGEST_KEY {
        return Err(Error::new(Code::InvalidArgument, "A record or body has a number outside 1..2^53.").caused_by(number));
    }
    Ok(JsValue::from_f64(number as f64))
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('/') {
        return Err(Error::new(Code::InvalidConfig, "The app's name must not be empty and must not contain `/`."));
    }
    Ok(())
}
