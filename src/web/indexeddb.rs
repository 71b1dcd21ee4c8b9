//! The store in IndexedDB: one database per app name and user, two object stores with out-of-line
//! keys, `log` and `bodies`.
//!
//! An append is one readwrite transaction whose last request is the `add` of the record: if the
//! key is taken, nothing is written. It neither reads nor awaits before it commits.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use web_sys::IdbDatabase;

use crate::log::address::{BodyId, Seq};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::ports::store::{Append, AppendError, Records, Store, Tail, lost};
pub use crate::web::indexeddb::app_database::RootDatabase;
use crate::web::indexeddb::connection::{Connection, Transaction};
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::open::Schema;
use crate::web::indexeddb::read::{
    entries_from, entries_of, first, keys_of, places, records, unreadable, values, values_of,
};
use crate::web::indexeddb::wipes::Wipes;
use crate::web::indexeddb::write::{Batch, WriteOutcome, write};

pub mod app_database;
pub mod connection;
pub mod fault;
mod live;
pub mod open;
pub mod read;
pub mod wipes;
mod write;

const LOG: &str = "log";

const BODIES: &str = "bodies";

const STORES: &str = "log bodies";

/// The key in `bodies` of the last checkpoint's sequence number. No body has it: the first record
/// is 1.
const CHECKPOINT: f64 = 0.0;

/// The key in `bodies` of the number that identifies this database among those of its name.
const IDENTITY: f64 = -1.0;

const SCHEMA: Schema = Schema {
    stores: STORES,
    identity: Some((BODIES, IDENTITY)),
};

/// The largest integer that a JavaScript number, and so a key, holds exactly.
const LARGEST_KEY: u64 = (1 << 53) - 1;

/// One user's log in IndexedDB. Clones share one connection.
///
/// If a connection is lost, it is opened again and the whole transaction repeated, three times at
/// most. An append whose connection was lost may have been written: the repeated one then finds its
/// own record, byte for byte, and succeeds. If even that fails, the append fails although the
/// record may be there; the next append finds it, and is `Stale`.
#[derive(Clone, Debug)]
pub struct IndexedDbStore {
    connection: Rc<Connection>,
    stats: Rc<Cell<StoreStats>>,
    /// It was closed by `rest`, and has not read the log since.
    resting: Rc<Cell<bool>>,
    wipes: Option<Rc<Wipes>>,
}

/// Counts of a store's requests to IndexedDB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Open requests.
    pub opens: u64,
    /// Readonly transactions.
    pub reads: u64,
    /// Readwrite transactions, aborted ones included.
    pub writes: u64,
    /// Requests to put, add or delete a value.
    pub records: u64,
}

impl IndexedDbStore {
    /// Opens the user's database, and creates it if there is none. `name` is the app's; it must not
    /// contain `/`.
    ///
    /// # Errors
    /// Fails with `invalidConfig` or `invalidArgument` for an invalid name; `storageUnavailable` if
    /// the browser gives no storage; `storageBlocked` if another tab blocks the database or the
    /// browser does not answer for ten seconds; `migration` if a newer version of the app made the
    /// database.
    pub async fn open(name: &str, user: &str) -> Result<Self> {
        let store = Self::unopened(name, user)?;
        store.connection.open().await?;
        Ok(store)
    }

    /// Returns a store whose first call opens the database.
    ///
    /// # Errors
    /// Fails with `invalidConfig` or `invalidArgument` for an invalid name.
    pub fn unopened(name: &str, user: &str) -> Result<Self> {
        check_name(name)?;
        if user.is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                "The user id is empty; give the id of the user whose data this is.",
            ));
        }
        let connection = Connection::new(format!("{name}/{user}"), SCHEMA);
        Ok(Self {
            connection,
            stats: Rc::default(),
            resting: Rc::default(),
            wipes: None,
        })
    }

    /// Distinguishes a wipe from a loss by the wipes that the app's database has counted: `known`
    /// of them before this store was opened.
    fn under(self, root: &RootDatabase, user: &str, known: u64) -> Self {
        Self {
            wipes: Some(Rc::new(Wipes {
                root: root.clone(),
                user: user.to_owned(),
                known,
            })),
            ..self
        }
    }

    /// Distinguishes this log from an earlier or later one of the same user; empty before it was
    /// opened.
    #[must_use]
    pub fn identity(&self) -> String {
        // As bits: formatting a fraction would add a hundredth to the module.
        self.connection
            .identity()
            .map(|identity| identity.to_bits().to_string())
            .unwrap_or_default()
    }

    /// The name of the database: also that of its lock and its channel.
    #[must_use]
    pub fn database(&self) -> &str {
        self.connection.name()
    }

    /// Sets how long a call waits for an open or a delete, in milliseconds.
    #[must_use]
    pub fn with_patience(self, ms: u64) -> Self {
        self.connection.set_patience(ms);
        self
    }

    /// Returns the counts of requests to IndexedDB.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            opens: self.connection.opens(),
            ..self.stats.get()
        }
    }

    fn count(&self, reads: u64, writes: u64, records: u32) {
        let stats = self.stats.get();
        self.stats.set(StoreStats {
            reads: stats.reads.saturating_add(reads),
            writes: stats.writes.saturating_add(writes),
            records: stats.records.saturating_add(records.into()),
            ..stats
        });
    }

    /// Whether the record under that key is this one.
    async fn holds(&self, seq: Seq, record: &[u8]) -> Result<bool> {
        let found = self.values(LOG, &[seq]).await?;
        Ok(found.into_iter().flatten().any(|found| *found == *record))
    }

    /// Fails if the database was deleted and made again: its keys do not fence the log that the
    /// caller knows.
    fn check(&self) -> Result<(), Fault> {
        if self.connection.is_replaced() {
            Err(lost().into())
        } else {
            Ok(())
        }
    }

    /// The connection, to watch its deletion.
    pub(super) const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Runs a transaction on an open database.
    async fn run(&self, transaction: &Transaction<'_>) -> Result<JsValue> {
        if self.connection.has_let_go() {
            self.check_wiped().await?;
        }
        let done = self.connection.run(transaction).await;
        if done
            .as_ref()
            .is_err_and(|error| error.code() == Code::StorageLost)
        {
            // It may have been deleted and made again while the transaction was repeated.
            self.check_wiped().await?;
        }
        done
    }

    async fn values(&self, store: &'static str, keys: &[u64]) -> Result<Vec<Option<Rc<[u8]>>>> {
        let keys = keys.iter().map(|key| JsValue::from_f64(*key as f64));
        let keys = keys.collect();
        self.read(&|database| values_of(database, store, &keys))
            .await
            .map(values)
    }

    /// Reads one value; `None` if it is missing or the browser cannot read it.
    async fn value(&self, store: &'static str, key: u64) -> Result<Option<Rc<[u8]>>> {
        match self.values(store, &[key]).await {
            Err(error) if error.code() == Code::Corrupt => Ok(None),
            found => Ok(found?.pop().flatten()),
        }
    }

    /// Loads record by record, for a browser that returns none of them because it cannot read one.
    async fn load_what_is_left(&self) -> Result<Records> {
        let key = Array::of1(&CHECKPOINT.into());
        let place = self
            .read(&|database| values_of(database, BODIES, &key))
            .await;
        let from = match place {
            Err(error) if error.code() == Code::Corrupt => None,
            found => first(found?).as_f64(),
        };
        let from = from.unwrap_or(CHECKPOINT);
        let found = self.read(&|database| keys_of(database, LOG, from)).await?;
        let mut records = Records::new();
        for place in places(found) {
            records.push((
                place,
                self.value(LOG, place).await?.unwrap_or_else(unreadable),
            ));
        }
        Ok(records)
    }

    /// Runs a readonly transaction, repeated if the connection is lost.
    async fn read(&self, transaction: &dyn Fn(&IdbDatabase) -> Promise) -> Result<JsValue> {
        self.run(&|database, _| {
            self.check()?;
            self.count(1, 0, 0);
            Ok(transaction(database))
        })
        .await
    }
}

impl Store for IndexedDbStore {
    async fn load(&self) -> Result<Records> {
        loop {
            let loaded = self
                .read(&|database| {
                    self.resting.set(false);
                    // If the checkpoint's place cannot be read, the log is read from its start,
                    // which finds the checkpoint.
                    entries_from(database, LOG, BODIES, CHECKPOINT)
                })
                .await;
            match loaded {
                // Not by a wipe, as `run` has checked: the log that there is now is the one to load.
                Err(error) if error.code() == Code::StorageLost => self.connection.accept(),
                Err(error) if error.code() == Code::Corrupt => {
                    return self.load_what_is_left().await;
                }
                loaded => return loaded.map(records),
            }
        }
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        if after > LARGEST_KEY {
            return Ok(Tail::Records(Records::new()));
        }
        let found = self
            .read(&|database| {
                self.resting.set(false);
                entries_of(database, LOG, Some(after as f64), true)
            })
            .await?;
        Ok(Tail::of(after, records(found)))
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        let Append {
            seq,
            record,
            bodies,
            checkpoint,
        } = append;
        let key = key_of(seq)?;
        let is_alone = bodies.is_empty() && checkpoint.is_none();
        let mut batch = Batch::new(if is_alone { LOG } else { STORES }, durability);
        for (id, body) in &bodies {
            batch.put(BODIES, &key_of(*id)?, &value_of(body));
        }
        if let Some(superseded) = &checkpoint {
            for seq in &superseded.records {
                batch.put(LOG, &key_of(*seq)?, &value_of(&[]));
            }
            for id in &superseded.bodies {
                batch.delete(BODIES, &key_of(*id)?);
            }
            batch.put(BODIES, &CHECKPOINT.into(), &key);
        }
        batch.add(LOG, &key, &value_of(&record));

        let was_repeated = Cell::new(false);
        let written = self
            .run(&|database, tried| {
                self.check()?;
                if self.resting.get() {
                    was_repeated.set(false);
                    return Ok(Promise::resolve(&JsValue::FALSE));
                }
                was_repeated.set(tried > 0);
                self.count(0, 1, batch.len());
                Ok(write(database, &batch))
            })
            .await?;
        match WriteOutcome::of(&written) {
            WriteOutcome::All => Ok(()),
            // The connection was lost before: this may be our own record.
            WriteOutcome::Nothing if was_repeated.get() && self.holds(seq, &record).await? => {
                Ok(())
            }
            WriteOutcome::Nothing => Err(AppendError::Stale),
        }
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        for id in ids {
            key_of(*id)?;
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        match self.values(BODIES, ids).await {
            Err(error) if error.code() == Code::Corrupt => {
                let mut found = Vec::with_capacity(ids.len());
                for id in ids {
                    found.push(self.value(BODIES, *id).await?);
                }
                Ok(found)
            }
            found => found,
        }
    }

    async fn free(&self, below: Seq) -> Result<()> {
        let mut batch = Batch::new(LOG, Durability::Relaxed);
        batch.delete_below(LOG, &key_of(below)?);
        self.run(&|database, _| {
            self.check()?;
            self.count(0, 1, 1);
            Ok(write(database, &batch))
        })
        .await
        .map(drop)
    }

    async fn wipe(&self) -> Result<()> {
        if let Some(wipes) = &self.wipes {
            // First, so that another tab that misses the database finds the reason.
            wipes.root.note_wipe(&wipes.user).await?;
        }
        self.connection.delete().await
    }

    fn rest(&self) {
        self.resting.set(true);
        self.connection.rest();
    }

    fn close(&self) {
        self.connection.close();
    }
}

/// Returns a copy outside the module's memory: IndexedDB clones the whole buffer behind a view.
fn value_of(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn key_of(number: u64) -> Result<JsValue> {
    if number == 0 || number > LARGEST_KEY {
        return Err(Error::new(
            Code::InvalidArgument,
            "A record or body has a number outside 1..2^53.",
        )
        .caused_by(number));
    }
    Ok(JsValue::from_f64(number as f64))
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.as_bytes().contains(&b'/') {
        return Err(Error::new(
            Code::InvalidConfig,
            "The app's name must not be empty and must not contain `/`.",
        ));
    }
    Ok(())
}
