//! After every step: what the logs say, read by somebody who takes no part. A log's fold is what
//! each tab has in memory, no cursor has run ahead of its rows, and a device reads its own writes.

use std::collections::BTreeMap;

use datum_sync::log::address::Seq;
use datum_sync::model::digest::row_hash;
use datum_sync::model::entity::Key;
use datum_sync::model::error::Code;
use datum_sync::model::operation::Operation;
use datum_sync::ports::memory_store::MemoryStore;
use datum_sync::ports::store::{Store, Tail};
use datum_sync::state::replica::Replica;
use datum_sync::state::view::ViewBody;
use serde_json::value::RawValue;

use super::story::Story;
use super::tasks::Owner;

/// A reader of one log.
pub struct Shadow {
    store: MemoryStore,
    pub replica: Replica,
    /// The head of each tab when it was last compared.
    compared: BTreeMap<Owner, Seq>,
}

impl Shadow {
    pub fn new(store: &MemoryStore, user: &str) -> Self {
        Self {
            store: store.reopen(),
            replica: Replica::new(user, u64::MAX),
            compared: BTreeMap::new(),
        }
    }

    /// Reads on. Whether there was anything new.
    async fn follow(&mut self) -> Result<bool, String> {
        let user = self.replica.user_id().to_owned();
        let records = match self.store.tail(self.replica.head()).await {
            Ok(Tail::Records(records)) => records,
            Ok(Tail::Compacted) => self.reload(&user).await?,
            Err(error) if error.code() == Code::StorageLost => self.reload(&user).await?,
            Err(error) => return Err(format!("{error:?}")),
        };
        for (seq, record) in &records {
            let before = self.versions();
            self.replica
                .apply_record(*seq, record)
                .map_err(|error| format!("the log of {user}: {error:?}"))?;
            self.compare_versions(&before)
                .map_err(|words| format!("the log of {user}, record {seq}: {words}"))?;
        }
        Ok(!records.is_empty())
    }

    /// The epoch, and the version of each row.
    fn versions(&self) -> Versions {
        let rows = self.replica.ids("tasks", None).filter_map(|id| {
            Some((
                id.to_owned(),
                self.replica.row_version(&Key::new("tasks", id))?,
            ))
        });
        (self.replica.facts().epoch.clone(), rows.collect())
    }

    /// Within one epoch nothing that is older takes the place of what is newer.
    fn compare_versions(&self, (epoch, rows): &Versions) -> Result<(), String> {
        for (id, before) in rows.iter().filter(|_| self.replica.facts().epoch == *epoch) {
            if let Some(now) = self
                .replica
                .row_version(&Key::new("tasks", id))
                .filter(|now| now < before)
            {
                return Err(format!("{id} goes back from version {before} to {now}"));
            }
        }
        Ok(())
    }

    async fn reload(&mut self, user: &str) -> Result<datum_sync::ports::store::Records, String> {
        self.replica = Replica::new(user, u64::MAX);
        self.store
            .load()
            .await
            .map_err(|error| format!("{error:?}"))
    }

    /// A tab that opens now has what its log says, as soon as it wants rows.
    async fn check_opening(&self) -> Result<(), String> {
        let mut fresh = Replica::new(self.replica.user_id(), u64::MAX);
        for (seq, record) in &self
            .store
            .reopen()
            .load()
            .await
            .map_err(|error| format!("{error:?}"))?
        {
            fresh
                .load_record(*seq, record)
                .map_err(|error| format!("{error:?}"))?;
        }
        let of = |replica: &Replica, key: &Key| {
            replica
                .view(key)
                .map(|view| (view.version, view.deleted, view.body.is_some()))
        };
        for id in self.replica.ids("tasks", None) {
            let key = Key::new("tasks", id);
            if fresh.can_peek(&key) && of(&fresh, &key) != of(&self.replica, &key) {
                return Err(format!(
                    "a peek at {id} shows {:?}, its log says {:?}",
                    of(&fresh, &key),
                    of(&self.replica, &key)
                ));
            }
        }
        fresh.materialize();
        if fresh.stored_bytes() != self.replica.stored_bytes() {
            return Err(format!(
                "an opened tab counts {} bytes, its log says {}",
                fresh.stored_bytes(),
                self.replica.stored_bytes()
            ));
        }
        compare(&fresh, &self.replica)
            .map_err(|differs| format!("a tab that opens has in memory {differs}"))
    }

    /// What a reader sees of one field; none where its bytes are not in memory.
    fn field(&self, id: &str, field: &str) -> Option<Option<u64>> {
        let text = match self.replica.view(&Key::new("tasks", id)) {
            None => return Some(None),
            Some(view) if view.deleted => return Some(None),
            Some(view) => match view.body? {
                ViewBody::Text(text) => text.to_owned(),
                ViewBody::Absent { .. } => return None,
            },
        };
        let entity: BTreeMap<&str, &RawValue> = serde_json::from_str(&text).ok()?;
        Some(entity.get(field).and_then(|value| value.get().parse().ok()))
    }
}

type Versions = (Option<String>, BTreeMap<String, u64>);

/// By device and user.
pub type Shadows = BTreeMap<(usize, String), Shadow>;

/// Whether a tab has in memory what its log says; if not, both in words.
fn compare(theirs: &Replica, ours: &Replica) -> Result<(), String> {
    let ops = |replica: &Replica| {
        replica
            .outbox()
            .iter()
            .map(|queued| (queued.op.clone(), queued.blocked_by.clone()))
            .collect::<Vec<_>>()
    };
    let names = |replica: &Replica| {
        let letters = replica.dead_letters().keys().map(str::to_owned);
        letters
            .chain(replica.conflicts().keys().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let (a, b) = (ops(theirs), ops(ours));
    let same = theirs.digest("tasks").wire() == ours.digest("tasks").wire()
        && theirs.cursor("") == ours.cursor("")
        && theirs.facts() == ours.facts()
        && names(theirs) == names(ours)
        && a.len() == b.len()
        // How often it was sent is the tab's own knowledge.
        && a.iter().zip(&b).all(|(a, b)| a.1 == b.1 && Operation { attempts: b.0.attempts, ..a.0.clone() } == b.0);
    if same {
        return Ok(());
    }
    let words = |replica: &Replica, ops: &dyn std::fmt::Debug| {
        format!(
            "{:?}, {:?}, {:?}, {ops:#?}, {:?}",
            replica.digest("tasks"),
            replica.cursor(""),
            replica.facts(),
            names(replica)
        )
    };
    Err(format!(
        "{}\nbut its log says\n{}",
        words(theirs, &a),
        words(ours, &b)
    ))
}

impl Story {
    /// Reads every log on, and compares.
    pub(super) fn check_logs(&mut self) -> Result<(), String> {
        let mut shadows = std::mem::take(&mut self.shadows);
        let result = self.follow_all(&mut shadows);
        self.shadows = shadows;
        result
    }

    fn follow_all(&self, shadows: &mut Shadows) -> Result<(), String> {
        for (at, device) in self.devices.iter().enumerate() {
            let stores = device.shared.stores.borrow().clone();
            for (user, store) in stores {
                let shadow = shadows
                    .entry((at, user.clone()))
                    .or_insert_with(|| Shadow::new(&store, &user));
                let name = &device.shared.device_id;
                let moved = self
                    .clock
                    .run(shadow.follow())
                    .map_err(|error| format!("{name}: {error}"))?;
                if moved && shadow.replica.damage() == datum_sync::log::commit::Damage::default() {
                    self.clock
                        .run(shadow.check_opening())
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                if moved {
                    self.check_cursor(&user, &shadow.replica)
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                // Before anything was pulled as a whole, a scope takes away what it does not hold.
                let whole = shadow.replica.cursor("").is_some();
                if moved && whole && !shadow.replica.damage().needs_full_pull {
                    self.model
                        .judge_device(&user, at, &mut |id, field| shadow.field(id, field))
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                if device.shared.evicted.get() {
                    // Who has not noticed yet that the log is another compares with nothing.
                    continue;
                }
                let head = shadow.replica.head();
                for tab in device.tabs.iter().flatten() {
                    let Some(open) = tab
                        .engine
                        .opened(&user)
                        .filter(|open| open.db.read(|replica| replica.head() == head))
                    else {
                        continue;
                    };
                    if shadow.compared.insert(tab.owner, head) == Some(head) {
                        continue;
                    }
                    open.db
                        .read(|theirs| compare(theirs, &shadow.replica))
                        .map_err(|differs| {
                            format!("{name}: a tab of {user} has in memory {differs}")
                        })?;
                }
            }
        }
        Ok(())
    }

    /// Every live row of the server up to the cursor's place is here, or a later version of it.
    fn check_cursor(&self, user: &str, replica: &Replica) -> Result<(), String> {
        let Some(cursor) = replica.cursor("").and_then(|state| state.cursor.as_deref()) else {
            return Ok(());
        };
        if !self.witness.knows_cursor(cursor) {
            return Err(format!(
                "the main cursor of {user} is that of a scope: {cursor}"
            ));
        }
        if replica.damage().needs_full_pull {
            return if self.loses {
                Ok(())
            } else {
                Err(format!(
                    "the log of {user} is damaged, and nothing has damaged it"
                ))
            };
        }
        let mut parts = cursor
            .split('.')
            .skip(1)
            .map(|part| u64::from_str_radix(part, 16).unwrap());
        let (epoch, after) = (parts.next().unwrap(), parts.nth(1).unwrap());
        if epoch != row_hash("epoch", &self.epoch(), 0) {
            return Ok(());
        }
        for row in self
            .server
            .rows(user)
            .iter()
            .filter(|row| row.version <= after && row.data.is_some() && row.entity == "tasks")
        {
            let known = replica.row_version(&Key::new("tasks", &row.id));
            if known.is_none_or(|version| version < row.version) {
                let id = &row.id;
                return Err(format!(
                    "the cursor of {user} is past {after}, but {id} is there as {known:?}, not as {}",
                    row.version
                ));
            }
        }
        Ok(())
    }
}
