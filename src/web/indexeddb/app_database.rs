//! The app's own small database: what is known before any user is. Keys to text, of any shape.
//!
//! It never holds a user's data, tokens or cursors.

use std::rc::Rc;

use indexed_db_futures::database::Database;
use wasm_bindgen::JsValue;
use web_sys::IdbObjectStore;

use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::web::indexeddb::connection::Connection;
use crate::web::indexeddb::fault::Fault;
use crate::web::indexeddb::open::Schema;
use crate::web::indexeddb::read::{all, answer, begin, wrong_type};
use crate::web::indexeddb::write::{Batch, WriteOutcome, WriteRequest, write};
use crate::web::indexeddb::{IndexedDbStore, check_name};

const META: &str = "meta";

const STORES: &[&str] = &[META];

/// Before the id of each known user: a key each, so that two tabs cannot overwrite one another's
/// list.
const USER: &str = "user:";

/// Before the id of each user that was ever wiped here; the value says how often.
const WIPED: &str = "wiped:";

/// The database `<name>`: device id, schema version, storage canary, known users.
#[derive(Clone, Debug)]
pub struct RootDatabase {
    connection: Rc<Connection>,
}

impl RootDatabase {
    /// Opens the app's database, and creates it where there is none. `name` must not contain `/`.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`](crate::web::indexeddb::IndexedDbStore::open).
    pub async fn open(name: &str) -> Result<Self> {
        check_name(name)?;
        let root = Self {
            connection: Connection::new(
                name.to_owned(),
                Schema {
                    stores: STORES,
                    identity: None,
                },
            ),
        };
        root.connection.run(async |_, _| Ok(())).await?;
        Ok(root)
    }

    /// The value under that key.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        self.connection
            .run(async |database, _| text(database, key).await)
            .await
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
                for (key, value) in
                    all(&transaction.object_store(META)?, &JsValue::UNDEFINED).await?
                {
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
        self.change(
            vec![WriteRequest::Put(META, key.into(), value.into())],
            Durability::Strict,
        )
        .await
    }

    /// Writes a value where there is none, and answers what is there: the same in every tab,
    /// however many ask at once.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn get_or_put(&self, key: &str, value: &str) -> Result<String> {
        let batch = Batch {
            stores: STORES,
            durability: Durability::Strict,
            changes: Vec::new(),
            add: Some((META, key.into(), value.into())),
        };
        self.connection
            .run(async |database, _| {
                if let Some(found) = text(database, key).await? {
                    return Ok(found);
                }
                match write(database, &batch).await? {
                    WriteOutcome::All => Ok(value.to_owned()),
                    // Another tab was first. Where the key has gone again since, ours is as good.
                    WriteOutcome::Nothing => Ok(text(database, key)
                        .await?
                        .unwrap_or_else(|| value.to_owned())),
                }
            })
            .await
    }

    /// Removes a value.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.change(
            vec![WriteRequest::Delete(META, key.into())],
            Durability::Strict,
        )
        .await
    }

    /// Opens the store of one user, and answers what was noted of that user, and how many wipes.
    ///
    /// # Errors
    /// As [`IndexedDbStore::open`].
    pub async fn open_store(&self, user: &str) -> Result<(IndexedDbStore, Option<String>, u64)> {
        let store = IndexedDbStore::unopened(self.connection.name(), user)?;
        // Read first: a wipe that comes in between counts as one that closes this handle.
        let (note, wipes) = self.noted(user).await?;
        store.connection.run(async |_, _| Ok(())).await?;
        Ok((store.under(self, user, wipes), note, wipes))
    }

    /// What was noted of a user, and how often the user was wiped.
    pub(super) async fn noted(&self, user: &str) -> Result<(Option<String>, u64)> {
        self.connection
            .run(async |database, _| {
                let store = begin(database, STORES)?.object_store(META)?;
                let note = text_in(&store, &format!("{USER}{user}")).await?;
                let wipes = text_in(&store, &format!("{WIPED}{user}")).await?;
                Ok((
                    note,
                    wipes
                        .and_then(|count| count.parse().ok())
                        .unwrap_or_default(),
                ))
            })
            .await
    }

    /// Notes of a user what may be lost in a power cut. A note begins with how often the user had
    /// been wiped when it was made, and a space; so one that comes late from a tab that did not
    /// know does not bring the user back.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn note(&self, user: &str, note: &str) -> Result<()> {
        self.change(
            vec![WriteRequest::Put(
                META,
                format!("{USER}{user}").into(),
                note.into(),
            )],
            Durability::Relaxed,
        )
        .await
    }

    /// Notes that a user is about to be wiped.
    pub(super) async fn note_wipe(&self, user: &str) -> Result<()> {
        let (_, wipes) = self.noted(user).await?;
        let count = wipes.saturating_add(1).to_string();
        let changes = vec![
            WriteRequest::Put(META, format!("{WIPED}{user}").into(), count.into()),
            WriteRequest::Delete(META, format!("{USER}{user}").into()),
        ];
        self.change(changes, Durability::Strict).await
    }

    /// Every user that has a database here.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn users(&self) -> Result<Vec<String>> {
        let wiped = self.list(WIPED).await?;
        let found = self.list(USER).await?;
        let has_lazy_rows = |user: &str, note: &str| {
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
                .filter(|user| !has_lazy_rows(user, note))
        });
        Ok(users.map(str::to_owned).collect())
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

    async fn change(&self, changes: Vec<WriteRequest>, durability: Durability) -> Result<()> {
        let batch = Batch {
            stores: STORES,
            durability,
            changes,
            add: None,
        };
        self.connection
            .run(async |database, _| write(database, &batch).await.map(drop))
            .await
    }
}

async fn text(database: &Database, key: &str) -> Result<Option<String>, Fault> {
    text_in(&begin(database, STORES)?.object_store(META)?, key).await
}

async fn text_in(store: &IdbObjectStore, key: &str) -> Result<Option<String>, Fault> {
    let found = answer(&store.get(&JsValue::from_str(key))?).await?;
    if found.is_undefined() {
        return Ok(None);
    }
    found.as_string().map(Some).ok_or_else(wrong_type)
}
