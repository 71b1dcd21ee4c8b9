//! The app's own small database: what is known before any user is. Keys to text, of any shape.
//!
//! It never holds a user's data, tokens or cursors.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use wasm_bindgen::JsValue;

use super::check_name;
use super::connection::{Connection, Schema};
use super::fault::Fault;
use super::read::{all, answer, begin, wrong_type};
use super::write::{Batch, Change, Written, write};
use crate::error::Result;
use crate::store::Durability;

const META: &str = "meta";
const STORES: &[&str] = &[META];

/// Before the id of each known user: a key each, so that two tabs cannot overwrite one another's list.
const USER: &str = "user:";

/// The database `<name>`: device id, schema version, storage canary, known users.
#[derive(Clone, Debug)]
pub struct RootDatabase {
    connection: Rc<Connection>,
}

impl RootDatabase {
    /// Opens the app's database, and creates it where there is none. `name` must not contain `/`.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`](super::IndexedDbStore::open).
    pub async fn open(name: &str) -> Result<Self> {
        check_name(name)?;
        let root = Self { connection: Connection::new(name.to_owned(), Schema { stores: STORES, identity: None }) };
        root.connection.run(async |_, _| Ok(())).await?;
        Ok(root)
    }

    /// The value under that key.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        self.connection.run(async |database, _| text(database, key).await).await
    }

    /// Everything whose key begins with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        self.connection
            .run(async |database, _| {
                let transaction = begin(database, STORES)?;
                let mut found = Vec::new();
                for (key, value) in all(&transaction.object_store(META)?, &JsValue::UNDEFINED).await? {
                    let key = key.as_string().ok_or_else(wrong_type)?;
                    if key.starts_with(prefix) {
                        found.push((key, value.as_string().ok_or_else(wrong_type)?));
                    }
                }
                Ok(found)
            })
            .await
    }

    /// Writes a value, durably.
    ///
    /// # Errors
    /// What the storage says; nothing was written then.
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        self.change(Change::Put(META, key.into(), value.into())).await
    }

    /// Writes a value where there is none, and answers what is there: the same in every tab,
    /// however many ask at once.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn get_or_put(&self, key: &str, value: &str) -> Result<String> {
        let batch =
            Batch { stores: STORES, durability: Durability::Strict, changes: Vec::new(), add: Some((META, key.into(), value.into())) };
        self.connection
            .run(async |database, _| {
                if let Some(found) = text(database, key).await? {
                    return Ok(found);
                }
                match write(database, &batch).await? {
                    Written::All => Ok(value.to_owned()),
                    // Another tab was first. Where the key has gone again since, ours is as good.
                    Written::Nothing => Ok(text(database, key).await?.unwrap_or_else(|| value.to_owned())),
                }
            })
            .await
    }

    /// Removes a value.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.change(Change::Delete(META, key.into())).await
    }

    /// Notes that this user has, or is about to have, a database here.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn register_user(&self, user: &str) -> Result<()> {
        let key = format!("{USER}{user}");
        self.get_or_put(&key, "").await.map(drop)
    }

    /// Forgets a user whose database has been wiped.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn forget_user(&self, user: &str) -> Result<()> {
        self.remove(&format!("{USER}{user}")).await
    }

    /// Every user that has a database here.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn users(&self) -> Result<Vec<String>> {
        let found = self.list(USER).await?;
        Ok(found.into_iter().filter_map(|(key, _)| key.strip_prefix(USER).map(str::to_owned)).collect())
    }

    /// Removes the database for good; the handle is closed.
    ///
    /// # Errors
    /// `storageBlocked` where another tab does not let go.
    pub async fn wipe(&self) -> Result<()> {
        self.connection.delete().await
    }

    /// Lets go of the storage. Later calls answer `closed`.
    pub fn close(&self) {
        self.connection.close();
    }

    async fn change(&self, change: Change) -> Result<()> {
        let batch = Batch { stores: STORES, durability: Durability::Strict, changes: vec![change], add: None };
        self.connection.run(async |database, _| write(database, &batch).await.map(drop)).await
    }
}

async fn text(database: &Database, key: &str) -> Result<Option<String>, Fault> {
    let found = answer(&begin(database, STORES)?.object_store(META)?.get(&JsValue::from_str(key))?).await?;
    if found.is_undefined() {
        return Ok(None);
    }
    found.as_string().map(Some).ok_or_else(wrong_type)
}
