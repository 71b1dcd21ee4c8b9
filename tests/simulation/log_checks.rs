//! Checks of the logs after every step, by readers that take no part: each tab's memory equals the
//! fold of its log, no cursor is ahead of its rows, and a device reads its own writes.

use std::collections::BTreeMap;

use datum_server::rules::cursor::Binding;
use datum_sync::log::address::Seq;
use datum_sync::model::entity::Key;
use datum_sync::model::error::Code;
use datum_sync::model::operation::Operation;
use datum_sync::ports::memory_store::MemoryStore;
use datum_sync::ports::store::{Store, Tail};
use datum_sync::state::replica::Replica;
use datum_sync::state::view::ViewBody;
use serde_json::value::RawValue;

use super::push_checks::PushChecker;
use super::space_checks::{Sight, check_outside};
use super::tasks::Owner;
use super::world::World;

/// A reader of one log.
pub struct LogReader {
    store: MemoryStore,
    pub replica: Replica,
    /// The head of each tab when it was last compared.
    compared: BTreeMap<Owner, Seq>,
}

impl LogReader {
    pub fn new(store: &MemoryStore, user: &str) -> Self {
        Self {
            store: store.reopen(),
            replica: Replica::new(user, u64::MAX).for_app(u32::MAX),
            compared: BTreeMap::new(),
        }
    }

    /// Reads new records. Returns whether there were any.
    async fn follow(
        &mut self,
        device: &str,
        checker: &PushChecker,
        shares: bool,
    ) -> Result<bool, String> {
        let user = self.replica.user_id().to_owned();
        let records = match self.store.tail(self.replica.head()).await {
            Ok(Tail::Records(records)) => records,
            Ok(Tail::Compacted) => self.reload(&user).await?,
            Err(error) if error.code() == Code::StorageLost => self.reload(&user).await?,
            Err(error) => return Err(format!("{error:?}")),
        };
        for (seq, record) in &records {
            let before = self.versions();
            let cursor = self.replica.cursor("").cloned();
            let spaces = shares.then(|| {
                let list = self.replica.spaces().list().to_vec();
                (list, Sight::of(&self.replica))
            });
            self.replica
                .apply_record(*seq, record)
                .map_err(|error| format!("the log of {user}: {error:?}"))?;
            self.compare_versions(&before)
                .map_err(|words| format!("the log of {user}, record {seq}: {words}"))?;
            let from = cursor.as_ref().and_then(|state| state.cursor.as_deref());
            let mut moved = checker.pulls.moves(from, &self.replica);
            if self.replica.cursor("") != cursor.as_ref() && !checker.has_losses() {
                let compared = checker.pulls.compare(device, *seq, &self.replica);
                moved = moved.and(compared);
            }
            moved.map_err(|words| format!("the log of {user}, record {seq}: {words}"))?;
            if let Some((list, sight)) = spaces {
                let same_list = self.replica.spaces().list() == list;
                let lived = |cursor: &str, id: &str| checker.was_alive(cursor, id);
                check_outside(&self.replica)
                    .and_then(|()| sight.compare(&self.replica, same_list, &lived))
                    .map_err(|words| format!("the log of {user}, record {seq}: {words}"))?;
            }
        }
        Ok(!records.is_empty())
    }

    /// Returns the epoch and the version of each row.
    fn versions(&self) -> Versions {
        let tables = self.replica.entities().keys();
        let rows = tables.flat_map(|table| {
            let ids = self.replica.ids(table, None);
            ids.filter_map(move |id| {
                let version = self.replica.row_version(&Key::new(table, id))?;
                Some(((table.to_owned(), id.to_owned()), version))
            })
        });
        (self.replica.facts().epoch.clone(), rows.collect())
    }

    /// Within one epoch no older version replaces a newer one.
    fn compare_versions(&self, (epoch, rows): &Versions) -> Result<(), String> {
        for ((table, id), before) in rows.iter().filter(|_| self.replica.facts().epoch == *epoch) {
            if let Some(now) = self
                .replica
                .row_version(&Key::new(table, id))
                .filter(|now| now < before)
            {
                return Err(format!(
                    "{table:?} {id} goes back from version {before} to {now}"
                ));
            }
        }
        Ok(())
    }

    async fn reload(&mut self, user: &str) -> Result<datum_sync::ports::store::Records, String> {
        self.replica = Replica::new(user, u64::MAX).for_app(u32::MAX);
        self.store
            .load()
            .await
            .map_err(|error| format!("{error:?}"))
    }

    /// A tab that opens now has the fold of its log.
    async fn check_opening(&self) -> Result<(), String> {
        let mut fresh = Replica::new(self.replica.user_id(), u64::MAX).for_app(u32::MAX);
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

    /// Returns what a reader sees of one field; `None` if its bytes are not in memory.
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

type Versions = (Option<String>, BTreeMap<(String, String), u64>);

/// By device and user.
pub type LogReaders = BTreeMap<(usize, String), LogReader>;

/// Compares a tab's memory with the fold of its log. Fails with a description of both.
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
        && theirs.spaces().list() == ours.spaces().list()
        && theirs.spaces().is_moving() == ours.spaces().is_moving()
        && names(theirs) == names(ours)
        && a.len() == b.len()
        // The number of attempts is known to the tab alone.
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

impl World {
    /// Reads every log to its end and compares.
    pub(super) fn check_logs(&mut self) -> Result<(), String> {
        let mut log_readers = std::mem::take(&mut self.log_readers);
        let result = self.follow_all(&mut log_readers);
        self.log_readers = log_readers;
        result
    }

    fn follow_all(&self, log_readers: &mut LogReaders) -> Result<(), String> {
        for (at, device) in self.devices.iter().enumerate() {
            let stores = device.shared.stores.borrow().clone();
            for (user, store) in stores {
                let log_reader = log_readers
                    .entry((at, user.clone()))
                    .or_insert_with(|| LogReader::new(&store, &user));
                let name = &device.shared.device_id;
                let moved = self
                    .clock
                    .run(log_reader.follow(name, &self.push_checker, self.shares))
                    .map_err(|error| format!("{name}: {error}"))?;
                if moved
                    && log_reader.replica.damage() == datum_sync::log::commit::Damage::default()
                {
                    self.clock
                        .run(log_reader.check_opening())
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                if moved {
                    self.check_cursor(&user, &log_reader.replica)
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                // Before the first whole pull, a scope removes rows that it does not contain.
                let whole = log_reader.replica.cursor("").is_some();
                if moved && whole && !log_reader.replica.damage().needs_full_pull {
                    self.model
                        .judge_device(&user, at, &mut |id, field| log_reader.field(id, field))
                        .map_err(|error| format!("{name}: {error}"))?;
                }
                if device.shared.evicted.get() {
                    // A tab that has not noticed the loss of its log has nothing to be compared
                    // with.
                    continue;
                }
                let head = log_reader.replica.head();
                for tab in device.tabs.iter().flatten() {
                    let Some(open) = tab
                        .engine
                        .opened(&user)
                        .filter(|open| open.db.read(|replica| replica.head() == head))
                    else {
                        continue;
                    };
                    if log_reader.compared.insert(tab.owner, head) == Some(head) {
                        continue;
                    }
                    open.db
                        .read(|theirs| compare(theirs, &log_reader.replica))
                        .map_err(|differs| {
                            format!("{name}: a tab of {user} has in memory {differs}")
                        })?;
                }
            }
        }
        Ok(())
    }

    /// Every live row of the server up to the cursor is in the log, or a later version of it.
    fn check_cursor(&self, user: &str, replica: &Replica) -> Result<(), String> {
        let Some(cursor) = replica.cursor("").and_then(|state| state.cursor.as_deref()) else {
            return Ok(());
        };
        if !self.push_checker.knows_cursor(cursor) {
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
        let binding = Binding {
            epoch: &self.epoch(),
            user,
            scope: 0,
        };
        // It is of an earlier epoch.
        let Ok(position) = binding.accept(cursor) else {
            return Ok(());
        };
        let after = position.places[&0].after;
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
