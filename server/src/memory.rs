//! The store in memory: the readable definition of what a store must do. It has no optimizations;
//! where another store behaves differently, that store is wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datum_sync::model::digest::{Digest, row_hash};
use datum_sync::util::uuid::uuid_v7;

use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Range, Result, Row, Scanned, Stamp, Store, Swept,
    Transaction,
};

/// The data of one user.
#[derive(Clone, Debug, Default, PartialEq)]
struct Account {
    head: Head,
    /// Versions by entity type and id.
    versions: BTreeMap<(String, String), u64>,
    /// Rows by version, with the times they were written.
    rows: BTreeMap<u64, (Arc<Row>, u64)>,
    /// Applied operations by id, with the times they were written.
    applied: BTreeMap<String, (AppliedOperation, u64)>,
    digests: BTreeMap<String, Digest>,
    /// Device records by id, with the times they were written.
    devices: BTreeMap<String, (String, u64)>,
}

impl Account {
    fn row(&self, entity: &str, id: &str) -> Option<&Arc<Row>> {
        let version = self.versions.get(&(entity.to_owned(), id.to_owned()))?;
        self.rows.get(version).map(|(row, _)| row)
    }

    fn range<'a>(&'a self, range: Range<'a>) -> impl Iterator<Item = &'a Arc<Row>> {
        let asked = move |row: &Row| range.entities.is_none_or(|some| some.contains(&row.entity));
        let needed = move |row: &Row| row.data.is_some() || row.version > range.live_until;
        let after = self.rows.range(range.after.saturating_add(1)..);
        after
            .map(|(_, (row, _))| row)
            .filter(move |row| asked(row) && needed(row))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    identity: Identity,
    /// The epochs that have ended, with the last version of each user's history in them.
    epoch_history: BTreeMap<String, BTreeMap<String, u64>>,
    accounts: BTreeMap<String, Arc<Account>>,
}

/// A store in memory. Clones share it; [`MemoryStore::fork`] copies it.
///
/// It does not exclude other writers: threads that share it must take turns, as
/// [`crate::MemoryServer`] makes them.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Mutex<State>>);

impl MemoryStore {
    /// Creates an empty store with this epoch, from whose name its server id is made.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            identity: Identity {
                server_id: server_id(epoch),
                epoch: epoch.to_owned(),
            },
            ..State::default()
        })))
    }

    /// Returns an independent copy: a backup.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Restores a backup together with its epoch.
    pub fn restore(&self, backup: &Self) {
        let state = backup.state().clone();
        *self.state() = state;
    }

    /// Returns all rows of a user by version, tombstones included.
    #[must_use]
    pub fn rows(&self, user: &str) -> Vec<Row> {
        let state = self.state();
        let rows = state
            .accounts
            .get(user)
            .into_iter()
            .flat_map(|account| account.rows.values());
        rows.map(|(row, _)| Row::clone(row)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave a half-written state: it is only ever replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> MemoryTx {
        MemoryTx {
            store: self.clone(),
            draft: self.state().clone(),
        }
    }
}

/// Makes the id of a store: tests have no other chance than the names that they give.
fn server_id(epoch: &str) -> String {
    let [random @ .., _, _, _, _, _, _] = u128::from(row_hash("server", epoch, 0)).to_be_bytes();
    uuid_v7(row_hash("server", epoch, 1), random)
}

impl Store for MemoryStore {
    type Tx = MemoryTx;

    async fn read(&self) -> Result<MemoryTx> {
        Ok(self.begin())
    }

    async fn write(&self) -> Result<MemoryTx> {
        Ok(self.begin())
    }

    async fn check_writes(&self) -> Result<()> {
        Ok(())
    }
}

/// A transaction. It works on a copy that replaces the state at commit.
#[derive(Debug)]
pub struct MemoryTx {
    store: MemoryStore,
    draft: State,
}

impl MemoryTx {
    fn account(&self, user: &str) -> Option<&Account> {
        self.draft.accounts.get(user).map(AsRef::as_ref)
    }

    fn account_mut(&mut self, user: &str) -> &mut Account {
        Arc::make_mut(self.draft.accounts.entry(user.to_owned()).or_default())
    }
}

impl Transaction for MemoryTx {
    async fn identity(&mut self) -> Result<Identity> {
        Ok(self.draft.identity.clone())
    }

    async fn set_server_id(&mut self, server_id: &str) -> Result<()> {
        server_id.clone_into(&mut self.draft.identity.server_id);
        Ok(())
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        let last_versions = self
            .draft
            .accounts
            .iter()
            .map(|(user, account)| (user.clone(), account.head.seq))
            .collect();
        let old = std::mem::replace(&mut self.draft.identity.epoch, epoch.to_owned());
        self.draft.epoch_history.entry(old).or_insert(last_versions);
        Ok(())
    }

    async fn last_version_of_epoch(&mut self, user: &str, epoch: &str) -> Result<Option<u64>> {
        let last_versions = self.draft.epoch_history.get(epoch);
        Ok(last_versions.map(|versions| versions.get(user).copied().unwrap_or_default()))
    }

    async fn head(&mut self, user: &str) -> Result<Head> {
        Ok(self
            .account(user)
            .map(|account| account.head)
            .unwrap_or_default())
    }

    async fn stamps(&mut self, user: &str, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        let account = self.account(user);
        let stamp = |row: &Arc<Row>| Stamp {
            version: row.version,
            deleted: row.data.is_none(),
        };
        Ok(keys
            .iter()
            .map(|(entity, id)| account?.row(entity, id).map(stamp))
            .collect())
    }

    async fn data(&mut self, user: &str, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        Ok(self
            .account(user)
            .and_then(|account| account.row(entity, id)?.data.clone()))
    }

    async fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> Result<Vec<Option<AppliedOperation>>> {
        let account = self.account(user);
        Ok(op_ids
            .iter()
            .map(|op_id| Some(account?.applied.get(*op_id)?.0.clone()))
            .collect())
    }

    async fn digests(&mut self, user: &str) -> Result<BTreeMap<String, Digest>> {
        Ok(self
            .account(user)
            .map(|account| account.digests.clone())
            .unwrap_or_default())
    }

    async fn scan(
        &mut self,
        user: &str,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let mut scanned = Scanned::default();
        let mut bytes = 0_usize;
        for row in self
            .account(user)
            .into_iter()
            .flat_map(|account| account.range(range))
        {
            bytes = bytes.saturating_add(row.bytes());
            if !scanned.rows.is_empty() && (scanned.rows.len() >= limit || bytes > max_bytes) {
                scanned.more = true;
                break;
            }
            scanned.rows.push(Row::clone(row));
        }
        Ok(scanned)
    }

    async fn count(&mut self, user: &str, range: Range<'_>) -> Result<u64> {
        let count = self
            .account(user)
            .map_or(0, |account| account.range(range).count());
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    async fn write(&mut self, user: &str, batch: Batch, now_ms: u64) -> Result<()> {
        let account = self.account_mut(user);
        account.head.seq = batch.seq;
        for row in batch.rows {
            if let Some(before) = account
                .versions
                .insert((row.entity.clone(), row.id.clone()), row.version)
            {
                account.rows.remove(&before);
            }
            account.rows.insert(row.version, (Arc::new(row), now_ms));
        }
        for applied in batch.applied {
            account
                .applied
                .insert(applied.op_id.clone(), (applied, now_ms));
        }
        account.digests.extend(batch.digests);
        Ok(())
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let devices = self
            .account(user)
            .into_iter()
            .flat_map(|account| &account.devices);
        Ok(devices
            .map(|(device, (json, _))| (device.clone(), json.clone()))
            .collect())
    }

    async fn put_device(
        &mut self,
        user: &str,
        device: &str,
        json: &str,
        now_ms: u64,
        keep: usize,
    ) -> Result<()> {
        let devices = &mut self.account_mut(user).devices;
        devices.insert(device.to_owned(), (json.to_owned(), now_ms));
        while devices.len() > keep {
            let others = devices.iter().filter(|(id, _)| *id != device);
            let Some(oldest) = others
                .min_by_key(|(id, (_, at))| (*at, *id))
                .map(|(id, _)| id.clone())
            else {
                break;
            };
            devices.remove(&oldest);
        }
        Ok(())
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        self.account_mut(user).devices.clear();
        Ok(())
    }

    async fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        for account in self.draft.accounts.values_mut() {
            let account = Arc::make_mut(account);
            let expired = |row: &Row, at: u64| row.data.is_none() && at < tombstones_before;
            let tombstones: Vec<Arc<Row>> = account
                .rows
                .values()
                .filter(|(row, at)| expired(row, *at))
                .map(|(row, _)| row.clone())
                .collect();
            for row in tombstones {
                if swept.tombstones >= most {
                    break;
                }
                account.rows.remove(&row.version);
                account
                    .versions
                    .remove(&(row.entity.clone(), row.id.clone()));
                account.head.floor = account.head.floor.max(row.version);
                swept.tombstones = swept.tombstones.saturating_add(1);
            }
            account.applied.retain(|_, (_, at)| {
                let stays = *at >= operations_before || swept.operations >= most;
                swept.operations = swept.operations.saturating_add(u64::from(!stays));
                stays
            });
        }
        Ok(swept)
    }

    async fn commit(self) -> Result<()> {
        let Self { store, draft } = self;
        *store.state() = draft;
        Ok(())
    }
}
