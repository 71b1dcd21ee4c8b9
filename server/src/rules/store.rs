//! The port to the store. Its unit is a transaction: a rule reads one snapshot, and its writes take
//! effect together at [`Transaction::commit`] or not at all.
//!
//! Futures are `Send` so that a server may move them between threads. The memory store never
//! returns `Pending`, so it needs no runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use datum_sync::model::digest::Digest;
use datum_sync::model::space::Role;
use serde::{Deserialize, Serialize};

use super::ServerError;

/// The result of a store call.
pub type Result<T> = std::result::Result<T, ServerError>;

/// A set of rows with one history: its own counter, tombstones and digests. Every store keys
/// everything by it first. A user's own space and a shared one cannot be taken for each other,
/// whatever their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Space {
    /// A user's own, by the user.
    Personal(Arc<str>),
    /// One with members, by its id.
    Shared(Arc<str>),
}

impl Space {
    /// Returns a user's own space.
    #[must_use]
    pub fn personal(user: &str) -> Self {
        Self::Personal(user.into())
    }

    /// Returns the shared space with this id.
    #[must_use]
    pub fn shared(id: &str) -> Self {
        Self::Shared(id.into())
    }

    /// Returns the id as the protocol writes it: none for a user's own space.
    #[must_use]
    pub const fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Personal(_) => None,
            Self::Shared(id) => Some(id),
        }
    }
}

/// How many moves of a row are followed to where it lives.
pub const MAX_HOPS: usize = 8;

/// One shared space in a user's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The space's id.
    pub id: Arc<str>,
    /// Names the space in this user's cursors: from 1 on, the same for ever, of no other space.
    pub number: u64,
    /// What the user may do.
    pub role: Role,
    /// The end of the space's history.
    pub head: Head,
}

/// What a user may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    /// The end of the history of the user's own space.
    pub head: Head,
    /// Grows with every change of the list below, but for the heads.
    pub revision: u64,
    /// The shared spaces, in the order of joining.
    pub spaces: Vec<Joined>,
}

/// A shared space as one user finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedState {
    /// Whether there is or was such a space.
    pub used: bool,
    /// The user's role; `None` for a stranger, and where the space has ended.
    pub role: Option<Role>,
    /// The end of its history.
    pub head: Head,
    /// How many members it has.
    pub members: u64,
}

/// One row. Keyed by space, entity type and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub id: String,
    /// The space's counter at the row's last write; grows with every write, deletes included.
    pub version: u64,
    /// The app's object as JSON; `None` for a tombstone.
    pub data: Option<Arc<str>>,
    /// Of a tombstone: where the row was moved.
    pub moved_to: Option<Space>,
}

impl Row {
    /// Returns the row's size in a page, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.len());
        data.saturating_add(self.entity.len())
            .saturating_add(self.id.len())
            .saturating_add(64)
    }
}

/// A row's state without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its version.
    pub version: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Of a tombstone: where the row was moved.
    pub moved_to: Option<Space>,
}

/// The end of a space's history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The version of the latest write; 0 before the first.
    pub seq: u64,
    /// The greatest version of a removed tombstone; 0 if none.
    pub floor: u64,
}

/// Which server this is, and in which of its histories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// A UUID that the store keeps for ever, in its backups too.
    pub server_id: String,
    /// The history's name, which changes when the store is restored from a backup.
    pub epoch: String,
}

/// The record of an operation that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedOperation {
    /// Its id.
    pub op_id: String,
    /// The space that it named.
    pub space: Space,
    /// The entity type that it wrote.
    pub entity: String,
    /// The id that it wrote.
    pub id: String,
    /// The version in its verdict.
    pub version: u64,
    /// Of a move: the version of the tombstone that it left.
    pub left: Option<u64>,
}

/// The rows of a page.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Only these entity types, each once; `None` for all.
    pub entities: Option<&'a [String]>,
    /// Only versions greater than this.
    pub after: u64,
    /// Without tombstones up to and including this version.
    pub live_until: u64,
}

/// Rows by version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether a limit cut off further rows.
    pub more: bool,
}

/// What a push writes into one space.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// The space's counter after these writes.
    pub seq: u64,
    /// Rows to insert or replace, each with its final state.
    pub rows: Vec<Row>,
    /// Operations of the user to record, whatever their spaces.
    pub applied: Vec<AppliedOperation>,
    /// Digests that changed.
    #[serde(with = "super::digest_table")]
    pub digests: BTreeMap<String, Digest>,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tombstones.
    pub tombstones: u64,
    /// Records of applied operations.
    pub operations: u64,
}

/// One snapshot of the store, and the changes to it.
pub trait Transaction: Send {
    /// Returns the server's id and the epoch.
    fn identity(&mut self) -> impl Future<Output = Result<Identity>> + Send;
    /// Replaces the server's id: the store was copied, and the copy is a server of its own.
    fn set_server_id(&mut self, server_id: &str) -> impl Future<Output = Result<()>> + Send;
    /// Replaces the epoch, and records where every space's history ended in the old one.
    fn set_epoch(&mut self, epoch: &str) -> impl Future<Output = Result<()>> + Send;
    /// Returns the last version of each space's history in an earlier epoch: up to it the histories
    /// are the same. Returns `None` for an epoch that this store never had.
    fn last_versions_of_epoch(
        &mut self,
        spaces: &[Space],
        epoch: &str,
    ) -> impl Future<Output = Result<Option<Vec<u64>>>> + Send;
    /// Returns what a user may read; the default if the store does not know the user.
    fn reader(&mut self, user: &str) -> impl Future<Output = Result<Reader>> + Send;
    /// Returns a shared space as this user finds it; the default if it is not known.
    fn shared(&mut self, user: &str, id: &str) -> impl Future<Output = Result<SharedState>> + Send;
    /// Returns a space's head; the default if nothing was written yet.
    fn head(&mut self, space: &Space) -> impl Future<Output = Result<Head>> + Send;
    /// Excludes other writers of a space until the transaction ends, whether there is such a space
    /// yet or not. A push does so before it reads the space: first the user's own, then the shared
    /// ones by id. For stores whose [`Store::write`] does not exclude all writers.
    fn lock(&mut self, _space: &Space) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }
    /// Returns the stamps of rows, in the order of the keys (entity type, id).
    fn stamps(
        &mut self,
        space: &Space,
        keys: &[(&str, &str)],
    ) -> impl Future<Output = Result<Vec<Option<Stamp>>>> + Send;
    /// Returns the data of one live row.
    fn data(
        &mut self,
        space: &Space,
        entity: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<Arc<str>>>> + Send;
    /// Returns the records of a user's applied operations, in the order of the ids.
    fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<AppliedOperation>>>> + Send;
    /// Returns the digest of every entity type that these spaces ever had, summed over them.
    fn digests(
        &mut self,
        spaces: &[Space],
    ) -> impl Future<Output = Result<BTreeMap<String, Digest>>> + Send;
    /// Returns rows by version, up to `limit` rows and `max_bytes`, but at least one if any.
    fn scan(
        &mut self,
        space: &Space,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Scanned>> + Send;
    /// Returns how many rows a scan without limits would find.
    fn count(
        &mut self,
        space: &Space,
        range: Range<'_>,
    ) -> impl Future<Output = Result<u64>> + Send;
    /// Writes what a user's push decided for one space.
    fn write(
        &mut self,
        user: &str,
        space: &Space,
        batch: Batch,
        now_ms: u64,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Makes a user a member of a shared space, changes the role, or ends the membership, and
    /// raises the revision of the user's list. Either is created if the store does not know it.
    fn set_member(
        &mut self,
        id: &str,
        user: &str,
        role: Option<Role>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Ends a shared space for ever: all its rows, digests and memberships go.
    fn end_space(&mut self, id: &str) -> impl Future<Output = Result<()>> + Send;
    /// Returns a shared space's members.
    fn members(&mut self, id: &str) -> impl Future<Output = Result<Vec<String>>> + Send;
    /// Returns how many owners a shared space has; 2 stands for more.
    fn owners(&mut self, id: &str) -> impl Future<Output = Result<u64>> + Send;
    /// Returns how many shared spaces a user is in.
    fn spaces_of(&mut self, user: &str) -> impl Future<Output = Result<u64>> + Send;
    /// Returns the metadata records of a user's devices, as JSON, by device id.
    fn devices(
        &mut self,
        user: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, String>>> + Send;
    /// Replaces one device's record, and removes the least recently written ones beyond `keep`.
    fn put_device(
        &mut self,
        user: &str,
        device: &str,
        json: &str,
        now_ms: u64,
        keep: usize,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Removes the records of a user's devices.
    fn clear_devices(&mut self, user: &str) -> impl Future<Output = Result<()>> + Send;
    /// Removes tombstones and applied operations written before these times, in milliseconds since
    /// 1970, at most so many of each.
    fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> impl Future<Output = Result<Swept>> + Send;
    /// Commits. A dropped transaction changes nothing.
    fn commit(self) -> impl Future<Output = Result<()>> + Send;
}

/// A place for rows.
pub trait Store: Send + Sync {
    /// The transaction type.
    type Tx: Transaction;
    /// Begins a transaction that only reads.
    fn read(&self) -> impl Future<Output = Result<Self::Tx>> + Send;
    /// Begins a transaction that excludes other writers from the start, or those of the spaces that
    /// it locks.
    fn write(&self) -> impl Future<Output = Result<Self::Tx>> + Send;
    /// Fails if the store cannot write at present.
    fn check_writes(&self) -> impl Future<Output = Result<()>> + Send;
    /// Returns whether the changes of other processes are found by asking now and then, since they
    /// cannot be heard of.
    fn is_polling(&self) -> bool {
        false
    }
}
