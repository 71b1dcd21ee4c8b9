//! The port to whatever keeps the rows. Its unit is a transaction: what a rule reads is one moment,
//! and what it writes is there wholly after [`Transaction::commit`] or not at all.
//!
//! Futures are `Send` so that a server may move them between threads; a store that is always ready,
//! such as the memory store, needs no runtime to be driven.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use datum_sync::model::digest::Digest;

use super::ServerError;

/// The result of a store.
pub type Result<T> = std::result::Result<T, ServerError>;

/// One row of one user. Keyed by user, entity type and id, so that an id tells nothing of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The entity type.
    pub entity: String,
    /// The entity's id.
    pub id: String,
    /// The user's counter at its last write; greater with each write, over tombstones too.
    pub version: u64,
    /// The app's object as JSON text; none for a tombstone.
    pub data: Option<Arc<str>>,
}

impl Row {
    /// What the row weighs in a page, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.len());
        data.saturating_add(self.entity.len())
            .saturating_add(self.id.len())
            .saturating_add(64)
    }
}

/// What is known of a row without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its version.
    pub version: u64,
    /// Whether it is a tombstone.
    pub deleted: bool,
}

/// Where a user's history stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The version of the latest write; 0 before the first.
    pub seq: u64,
    /// The greatest version of a tombstone that has been forgotten; 0 if none.
    pub floor: u64,
}

/// An operation that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its id.
    pub op_id: String,
    /// The entity type that it wrote.
    pub entity: String,
    /// The id that it wrote.
    pub id: String,
    /// The version that it was answered with.
    pub version: u64,
}

/// Which rows a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Only these entity types, without repetition; none for all.
    pub entities: Option<&'a [String]>,
    /// Only versions greater than this.
    pub after: u64,
    /// Tombstones up to and including this version are left out.
    pub live_until: u64,
}

/// Rows in order of their version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether the limit cut something off.
    pub more: bool,
}

/// What a push writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The user's counter after these writes.
    pub seq: u64,
    /// Rows to insert or replace, each with its final state.
    pub rows: Vec<Row>,
    /// Operations to remember.
    pub operations: Vec<Remembered>,
    /// Digests that changed.
    pub digests: BTreeMap<String, Digest>,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tombstones.
    pub tombstones: u64,
    /// Remembered operations.
    pub operations: u64,
}

/// One moment of the store, and the changes to it.
pub trait Transaction: Send {
    /// The epoch: changes when the store was restored from an older state.
    fn epoch(&mut self) -> impl Future<Output = Result<String>> + Send;
    /// Replaces the epoch, and keeps in mind where every user's history stood at the end of the old
    /// one.
    fn set_epoch(&mut self, epoch: &str) -> impl Future<Output = Result<()>> + Send;
    /// Where a user's history stood when an earlier epoch ended: up to there the two are one. None
    /// for an epoch that this store has never had.
    fn kept(&mut self, user: &str, epoch: &str)
    -> impl Future<Output = Result<Option<u64>>> + Send;
    /// Where a user stands; the default for one who never wrote.
    fn head(&mut self, user: &str) -> impl Future<Output = Result<Head>> + Send;
    /// The stamps of rows, in the order of the keys (entity type, id).
    fn stamps(
        &mut self,
        user: &str,
        keys: &[(&str, &str)],
    ) -> impl Future<Output = Result<Vec<Option<Stamp>>>> + Send;
    /// The data of one live row.
    fn data(
        &mut self,
        user: &str,
        entity: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<Arc<str>>>> + Send;
    /// What is remembered of operations, in the order of the ids.
    fn remembered(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Remembered>>>> + Send;
    /// The digest of every entity type that the user ever had.
    fn digests(
        &mut self,
        user: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, Digest>>> + Send;
    /// Rows in order, at most `limit` of them and at most `max_bytes`, but at least one if any.
    fn scan(
        &mut self,
        user: &str,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Scanned>> + Send;
    /// How many rows a scan without limits would find.
    fn count(&mut self, user: &str, range: Range<'_>) -> impl Future<Output = Result<u64>> + Send;
    /// Writes what a push decided.
    fn write(
        &mut self,
        user: &str,
        batch: Batch,
        now_ms: u64,
    ) -> impl Future<Output = Result<()>> + Send;
    /// The metadata records of a user's devices, as JSON, by device id.
    fn devices(
        &mut self,
        user: &str,
    ) -> impl Future<Output = Result<BTreeMap<String, String>>> + Send;
    /// Replaces one device's record, and forgets the longest silent ones beyond `keep`.
    fn put_device(
        &mut self,
        user: &str,
        device: &str,
        json: &str,
        now_ms: u64,
        keep: usize,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Forgets the records of a user's devices.
    fn clear_devices(&mut self, user: &str) -> impl Future<Output = Result<()>> + Send;
    /// Forgets tombstones and operations written before these moments, in milliseconds since 1970.
    fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
    ) -> impl Future<Output = Result<Swept>> + Send;
    /// Makes it so. A transaction that is dropped instead has changed nothing.
    fn commit(self) -> impl Future<Output = Result<()>> + Send;
}

/// Something that keeps rows.
pub trait Store: Send + Sync {
    /// Its transactions.
    type Tx: Transaction;
    /// A transaction that only reads.
    fn read(&self) -> impl Future<Output = Result<Self::Tx>> + Send;
    /// A transaction that no other write can slip into: it excludes other writers from its
    /// beginning.
    fn write(&self) -> impl Future<Output = Result<Self::Tx>> + Send;
}
