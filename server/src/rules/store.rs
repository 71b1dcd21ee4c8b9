//! The port to the store. Its unit is a transaction: a rule reads one snapshot, and its writes take
//! effect together at [`Transaction::commit`] or not at all.
//!
//! Futures are `Send` so that a server may move them between threads. The memory store never
//! returns `Pending`, so it needs no runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use datum_sync::model::digest::Digest;

use super::ServerError;

/// The result of a store call.
pub type Result<T> = std::result::Result<T, ServerError>;

/// One row. Keyed by user, entity type and id, so that an id reveals nothing about other users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub id: String,
    /// The user's counter at the row's last write; grows with every write, deletes included.
    pub version: u64,
    /// The app's object as JSON; `None` for a tombstone.
    pub data: Option<Arc<str>>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its version.
    pub version: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
}

/// The end of a user's history.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedOperation {
    /// Its id.
    pub op_id: String,
    /// The entity type that it wrote.
    pub entity: String,
    /// The id that it wrote.
    pub id: String,
    /// The version in its verdict.
    pub version: u64,
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

/// What a push writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The user's counter after these writes.
    pub seq: u64,
    /// Rows to insert or replace, each with its final state.
    pub rows: Vec<Row>,
    /// Operations to record.
    pub applied: Vec<AppliedOperation>,
    /// Digests that changed.
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
    /// Replaces the epoch, and records where every user's history ended in the old one.
    fn set_epoch(&mut self, epoch: &str) -> impl Future<Output = Result<()>> + Send;
    /// Returns the last version of a user's history in an earlier epoch: up to it the histories are
    /// the same. Returns `None` for an epoch that this store never had.
    fn last_version_of_epoch(
        &mut self,
        user: &str,
        epoch: &str,
    ) -> impl Future<Output = Result<Option<u64>>> + Send;
    /// Returns a user's head; the default if the user has not written yet.
    fn head(&mut self, user: &str) -> impl Future<Output = Result<Head>> + Send;
    /// Returns the stamps of rows, in the order of the keys (entity type, id).
    fn stamps(
        &mut self,
        user: &str,
        keys: &[(&str, &str)],
    ) -> impl Future<Output = Result<Vec<Option<Stamp>>>> + Send;
    /// Returns the data of one live row.
    fn data(
        &mut self,
        user: &str,
        entity: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<Arc<str>>>> + Send;
    /// Returns the records of applied operations, in the order of the ids.
    fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<AppliedOperation>>>> + Send;
    /// Returns the digest of every entity type that the user ever had.
    fn digests(
        &mut self,
        user: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, Digest>>> + Send;
    /// Returns rows by version, up to `limit` rows and `max_bytes`, but at least one if any.
    fn scan(
        &mut self,
        user: &str,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Scanned>> + Send;
    /// Returns how many rows a scan without limits would find.
    fn count(&mut self, user: &str, range: Range<'_>) -> impl Future<Output = Result<u64>> + Send;
    /// Writes the results of a push.
    fn write(
        &mut self,
        user: &str,
        batch: Batch,
        now_ms: u64,
    ) -> impl Future<Output = Result<()>> + Send;
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
    /// Begins a transaction that excludes other writers from the start.
    fn write(&self) -> impl Future<Output = Result<Self::Tx>> + Send;
    /// Fails if the store cannot write at present.
    fn check_writes(&self) -> impl Future<Output = Result<()>> + Send;
}
