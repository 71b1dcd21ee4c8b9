//! The app's own small database, which is read before any user is known: texts by key.
//!
//! It never holds a user's data, tokens or cursors.

use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::JsValue;

use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::web::indexeddb::connection::Connection;
use crate::web::indexeddb::open::Schema;
use crate::web::indexeddb::read::{entries_of, first, list, pairs, values_of, wrong_type};
use crate::web::indexeddb::write::{Batch, WriteOutcome, write};
use crate::web::indexeddb::{IndexedDbStore, check_name};

const META: &str = "meta";

/// The prefix of each known user's key: one key a user, so that two tabs cannot overwrite each
/// other's list.
const USER: &str = "user:";

/// The prefix of the key that counts a user's wipes.
const WIPED: &str = "wiped:";

/// The database `<name>`: device id, schema version, notes for loss detection, known users.
#[derive(Clone, Debug)]
pub struct RootDatabase {
    connection: Rc<Connection>,
}

impl RootDatabase {
    /// Opens the app's database, and creates it if there is none. `name` must not contain `/`.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`](crate::web::indexeddb::IndexedDbStore::open).
    pub async fn open(name: &str) -> Result<Self> {
        check_name(name)?;
        let root = Self {
            connection: Connection::new(
                name.to_owned(),
                Schema {
                    stores: META,
                    identity: None,
                },
            ),
        };
        root.connection.open().await?;
        Ok(root)
    }

    /// Returns the value under a key.
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        text(first(self.values(&Array::of1(&key.into())).await?))
    }

    /// Returns everything whose key begins with `prefix`, in the order of keys.
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let entries = self
            .connection
            .run(&|database, _| Ok(entries_of(database, META, None, false)))
            .await?;
        let mut found = Vec::new();
        for (key, value) in pairs(entries) {
            let key = key.as_string().ok_or_else(wrong_type)?;
            if key.starts_with(prefix) {
                found.push((key, value.as_string().ok_or_else(wrong_type)?));
            }
        }
        Ok(found)
    }

    /// Writes a value, durably.
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        let mut batch = Batch::new(META, Durability::Strict);
        batch.put(META, &key.into(), &value.into());
        self.change(batch).await.map(drop)
    }

    /// Writes a value if there is none, and returns the stored one: the same in every tab, also if
    /// several call at once.
    pub async fn get_or_put(&self, key: &str, value: &str) -> Result<String> {
        if let Some(found) = self.get(key).await? {
            return Ok(found);
        }
        let mut batch = Batch::new(META, Durability::Strict);
        batch.add(META, &key.into(), &value.into());
        let found = match self.change(batch).await? {
            WriteOutcome::All => None,
            // Another tab was first. If its value is gone again, ours will do.
            WriteOutcome::Nothing => self.get(key).await?,
        };
        Ok(found.unwrap_or_else(|| value.to_owned()))
    }

    /// Removes a value.
    pub async fn remove(&self, key: &str) -> Result<()> {
        let mut batch = Batch::new(META, Durability::Strict);
        batch.delete(META, &key.into());
        self.change(batch).await.map(drop)
    }

    /// Opens the store of one user. Returns also the user's note and number of wipes.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`].
    pub async fn open_store(&self, user: &str) -> Result<(IndexedDbStore, Option<String>, u64)> {
        let store = IndexedDbStore::unopened(self.connection.name(), user)?;
        self.connection.expect_new();
        // Read first: a wipe that comes in between closes this handle.
        let (note, wipes) = self.noted(user).await?;
        store.connection.open().await?;
        Ok((store.under(self, user, wipes), note, wipes))
    }

    /// The connection, to watch its deletion.
    pub(in crate::web) const fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Whether a script has deleted the database, and no user has been opened since.
    pub(super) fn is_deleted(&self) -> bool {
        self.connection.is_deleted()
    }

    /// Returns a user's note, and how often the user was wiped.
    pub(super) async fn noted(&self, user: &str) -> Result<(Option<String>, u64)> {
        let [note, wipes] = [USER, WIPED].map(|kind| JsValue::from(format!("{kind}{user}")));
        let found = list(self.values(&Array::of2(&note, &wipes)).await?);
        let (note, wipes) = (text(found.get(0))?, text(found.get(1))?);
        Ok((
            note,
            wipes
                .and_then(|count| count.parse().ok())
                .unwrap_or_default(),
        ))
    }

    /// Stores a note about a user, which a power cut may lose. A note begins with the number of the
    /// user's wipes when it was made, and a space: a late note of a tab that does not know of a
    /// wipe does not bring the user back.
    pub async fn note(&self, user: &str, note: &str) -> Result<()> {
        if self.is_deleted() {
            return Ok(());
        }
        let mut batch = Batch::new(META, Durability::Relaxed);
        batch.put(META, &format!("{USER}{user}").into(), &note.into());
        self.change(batch).await.map(drop)
    }

    /// Counts a wipe that is about to begin.
    pub(super) async fn note_wipe(&self, user: &str) -> Result<()> {
        let (_, wipes) = self.noted(user).await?;
        let count = wipes.saturating_add(1).to_string();
        let mut batch = Batch::new(META, Durability::Strict);
        batch.put(META, &format!("{WIPED}{user}").into(), &count.into());
        batch.delete(META, &format!("{USER}{user}").into());
        self.change(batch).await.map(drop)
    }

    /// Returns every user that has a database here.
    pub async fn users(&self) -> Result<Vec<String>> {
        let wiped = self.list(WIPED).await?;
        let found = self.list(USER).await?;
        let is_outdated = |user: &str, note: &str| {
            let wipes = wiped
                .iter()
                .find(|(key, _)| key.strip_prefix(WIPED) == Some(user))
                .and_then(|(_, count)| count.parse::<u64>().ok());
            wipes.is_some_and(|wipes| {
                note.split(' ')
                    .next()
                    .and_then(|known| known.parse::<u64>().ok())
                    .is_none_or(|known| known < wipes)
            })
        };
        let users = found.iter().filter_map(|(key, note)| {
            key.strip_prefix(USER)
                .filter(|user| !is_outdated(user, note))
        });
        Ok(users.map(str::to_owned).collect())
    }

    /// Removes the database for good; the handle is closed.
    ///
    /// # Errors
    /// Fails with `storageBlocked` if another tab does not close its connection.
    pub async fn wipe(&self) -> Result<()> {
        self.connection.delete().await
    }

    /// Closes the connection. Later calls fail with `closed`.
    pub fn close(&self) {
        self.connection.close();
    }

    async fn values(&self, keys: &Array) -> Result<JsValue> {
        self.connection
            .run(&|database, _| Ok(values_of(database, META, keys)))
            .await
    }

    async fn change(&self, batch: Batch) -> Result<WriteOutcome> {
        let written = self
            .connection
            .run(&|database, _| Ok(write(database, &batch)))
            .await?;
        Ok(WriteOutcome::of(&written))
    }
}

fn text(found: JsValue) -> Result<Option<String>> {
    if found.is_undefined() {
        return Ok(None);
    }
    found.as_string().map(Some).ok_or_else(wrong_type)
}
