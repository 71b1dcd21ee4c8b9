//! The store in memory: the readable definition of what a store must do. It has no optimizations;
//! where another store behaves differently, that store is wrong.

mod state;
mod write;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datum_sync::model::digest::{Digest, row_hash};
use datum_sync::model::space::Role;
use datum_sync::util::uuid::uuid_v7;

use crate::rules::ServerError;
use crate::rules::store::{
    AppliedOperation, Batch, Head, Identity, Joined, Range, Reader, Result, Row, Scanned,
    SharedState, Space, Stamp, Store, Swept, Transaction,
};

use state::{Membership, Rows, State, User};
use write::Write;

/// Where a store keeps what its transactions write, one line of text for each.
pub trait Journal: Debug + Send + Sync {
    /// Makes a line durable, behind those before.
    ///
    /// # Errors
    /// Fails if the line is not kept; the transaction has no effect then.
    fn append(&self, line: &str) -> Result<()>;
}

/// A store in memory. Clones share it; [`MemoryStore::fork`] copies it.
///
/// It does not exclude other writers: threads that share it must take turns, as
/// [`crate::MemoryServer`] makes them.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    journal: Option<Arc<dyn Journal>>,
}

impl MemoryStore {
    /// Creates an empty store with this epoch, from whose name its server id is made.
    #[must_use]
    pub fn new(epoch: &str) -> Self {
        Self::of_identity(Identity {
            server_id: server_id(epoch),
            epoch: epoch.to_owned(),
        })
    }

    /// Creates an empty store with this identity.
    #[must_use]
    pub fn of_identity(identity: Identity) -> Self {
        Self::of(State {
            identity,
            ..State::default()
        })
    }

    /// Creates a store whose content is in a journal: [`Self::replay`] reads it.
    #[must_use]
    pub fn with_journal(identity: Identity, journal: Arc<dyn Journal>) -> Self {
        Self {
            journal: Some(journal),
            ..Self::of_identity(identity)
        }
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
            journal: None,
        }
    }

    /// Applies a line of a journal.
    ///
    /// # Errors
    /// Fails if the line was not written by this or an earlier version.
    pub fn replay(&self, line: &str) -> Result<()> {
        let writes: Vec<Write> = serde_json::from_str(line).map_err(ServerError::internal)?;
        let mut state = self.state();
        for write in writes {
            write.apply(&mut state);
        }
        Ok(())
    }

    /// Returns an independent copy: a backup.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.state().clone())
    }

    /// Restores a backup together with its epoch.
    pub fn restore(&self, backup: &Self) {
        let state = backup.state().clone();
        *self.state() = state;
    }

    /// Returns all rows of a space by version, tombstones included.
    #[must_use]
    pub fn rows(&self, space: &Space) -> Vec<Row> {
        let state = self.state();
        let rows = state.spaces.get(space).into_iter();
        rows.flat_map(|space| space.rows.values())
            .map(|(row, _)| Row::clone(row))
            .collect()
    }

    /// Returns whether another store holds the same, for tests.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        let other = other.state().clone();
        *self.state() == other
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave a half-written state: it is only ever replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> MemoryTx {
        MemoryTx {
            store: self.clone(),
            draft: self.state().clone(),
            written: Vec::new(),
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
    /// What it has written, as JSON, for the journal.
    written: Vec<String>,
}

impl MemoryTx {
    fn space(&self, space: &Space) -> Option<&Rows> {
        self.draft.spaces.get(space).map(AsRef::as_ref)
    }

    fn user(&self, user: &str) -> Option<&User> {
        self.draft.users.get(user).map(AsRef::as_ref)
    }

    /// Applies a change, and notes it if there is a journal.
    fn make(&mut self, write: Write) -> Result<Swept> {
        if self.store.journal.is_some() {
            let json = serde_json::to_string(&write).map_err(ServerError::internal)?;
            self.written.push(json);
        }
        Ok(write.apply(&mut self.draft))
    }
}

impl Transaction for MemoryTx {
    async fn identity(&mut self) -> Result<Identity> {
        Ok(self.draft.identity.clone())
    }

    async fn set_server_id(&mut self, server_id: &str) -> Result<()> {
        self.make(Write::ServerId(server_id.to_owned())).map(|_| ())
    }

    async fn set_epoch(&mut self, epoch: &str) -> Result<()> {
        self.make(Write::Epoch(epoch.to_owned())).map(|_| ())
    }

    async fn last_versions_of_epoch(
        &mut self,
        spaces: &[Space],
        epoch: &str,
    ) -> Result<Option<Vec<u64>>> {
        let Some(last) = self.draft.epoch_history.get(epoch) else {
            return Ok(None);
        };
        let version = |space| last.get(space).copied().unwrap_or_default();
        Ok(Some(spaces.iter().map(version).collect()))
    }

    async fn reader(&mut self, user: &str) -> Result<Reader> {
        let head = self.head(&Space::personal(user)).await?;
        let Some(known) = self.user(user) else {
            return Ok(Reader {
                head,
                ..Reader::default()
            });
        };
        let mut joined: Vec<_> = known.memberships.iter().collect();
        joined.sort_by_key(|(_, membership)| membership.joined);
        let listed = |(id, membership): (&String, &Membership)| {
            Some(Joined {
                id: id.as_str().into(),
                number: membership.number,
                role: membership.role?,
                head: self.space(&Space::shared(id))?.head,
            })
        };
        Ok(Reader {
            head,
            revision: known.revision,
            spaces: joined.into_iter().filter_map(listed).collect(),
        })
    }

    async fn shared(&mut self, user: &str, id: &str) -> Result<SharedState> {
        let Some(space) = self.space(&Space::shared(id)) else {
            return Ok(SharedState::default());
        };
        Ok(SharedState {
            used: true,
            role: space.members.get(user).copied(),
            head: space.head,
            members: size(space.members.len()),
        })
    }

    async fn head(&mut self, space: &Space) -> Result<Head> {
        Ok(self.space(space).map(|rows| rows.head).unwrap_or_default())
    }

    async fn stamps(&mut self, space: &Space, keys: &[(&str, &str)]) -> Result<Vec<Option<Stamp>>> {
        let rows = self.space(space);
        let stamp = |row: &Arc<Row>| Stamp {
            version: row.version,
            deleted: row.data.is_none(),
            moved_to: row.moved_to.clone(),
        };
        Ok(keys
            .iter()
            .map(|(entity, id)| rows?.row(entity, id).map(stamp))
            .collect())
    }

    async fn data(&mut self, space: &Space, entity: &str, id: &str) -> Result<Option<Arc<str>>> {
        Ok(self
            .space(space)
            .and_then(|rows| rows.row(entity, id)?.data.clone()))
    }

    async fn applied(
        &mut self,
        user: &str,
        op_ids: &[&str],
    ) -> Result<Vec<Option<AppliedOperation>>> {
        let user = self.user(user);
        Ok(op_ids
            .iter()
            .map(|op_id| Some(user?.applied.get(*op_id)?.0.clone()))
            .collect())
    }

    async fn digests(&mut self, spaces: &[Space]) -> Result<BTreeMap<String, Digest>> {
        let mut all: BTreeMap<String, Digest> = BTreeMap::new();
        for (entity, digest) in spaces
            .iter()
            .filter_map(|space| self.space(space))
            .flat_map(|rows| &rows.digests)
        {
            let sum = all.entry(entity.clone()).or_default();
            *sum = sum.and(*digest);
        }
        Ok(all)
    }

    async fn scan(
        &mut self,
        space: &Space,
        range: Range<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Scanned> {
        let mut scanned = Scanned::default();
        let mut bytes = 0_usize;
        for row in self
            .space(space)
            .into_iter()
            .flat_map(|rows| rows.range(range))
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

    async fn count(&mut self, space: &Space, range: Range<'_>) -> Result<u64> {
        let count = self
            .space(space)
            .map_or(0, |rows| rows.range(range).count());
        Ok(size(count))
    }

    async fn write(&mut self, user: &str, space: &Space, batch: Batch, now_ms: u64) -> Result<()> {
        let write = Write::Rows {
            user: user.to_owned(),
            space: space.clone(),
            batch,
            at: now_ms,
        };
        self.make(write).map(|_| ())
    }

    async fn set_member(&mut self, id: &str, user: &str, role: Option<Role>) -> Result<()> {
        let write = Write::Member {
            space: id.to_owned(),
            user: user.to_owned(),
            role: role.map(|role| role.name().to_owned()),
        };
        self.make(write).map(|_| ())
    }

    async fn end_space(&mut self, id: &str) -> Result<()> {
        self.make(Write::EndSpace(id.to_owned())).map(|_| ())
    }

    async fn members(&mut self, id: &str) -> Result<Vec<String>> {
        let space = self.space(&Space::shared(id)).into_iter();
        Ok(space
            .flat_map(|space| space.members.keys().cloned())
            .collect())
    }

    async fn owners(&mut self, id: &str) -> Result<u64> {
        let space = self.space(&Space::shared(id)).into_iter();
        let owners =
            space.flat_map(|space| space.members.values().filter(|role| **role == Role::Owner));
        Ok(size(owners.take(2).count()))
    }

    async fn spaces_of(&mut self, user: &str) -> Result<u64> {
        let memberships = self
            .user(user)
            .into_iter()
            .flat_map(|user| user.memberships.values());
        Ok(size(memberships.filter(|one| one.role.is_some()).count()))
    }

    async fn devices(&mut self, user: &str) -> Result<BTreeMap<String, String>> {
        let devices = self.user(user).into_iter().flat_map(|user| &user.devices);
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
        let write = Write::Device {
            user: user.to_owned(),
            device: device.to_owned(),
            record: json.to_owned(),
            at: now_ms,
            keep,
        };
        self.make(write).map(|_| ())
    }

    async fn clear_devices(&mut self, user: &str) -> Result<()> {
        self.make(Write::ClearDevices(user.to_owned())).map(|_| ())
    }

    async fn sweep(
        &mut self,
        tombstones_before: u64,
        operations_before: u64,
        most: u64,
    ) -> Result<Swept> {
        let swept = self.make(Write::Sweep {
            tombstones: tombstones_before,
            operations: operations_before,
            most,
        })?;
        if swept == Swept::default() {
            self.written.pop();
        }
        Ok(swept)
    }

    async fn commit(self) -> Result<()> {
        let Self {
            store,
            draft,
            written,
        } = self;
        if let Some(journal) = store.journal.as_ref().filter(|_| !written.is_empty()) {
            journal.append(&format!("[{}]", written.join(",")))?;
        }
        *store.state() = draft;
        Ok(())
    }
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
