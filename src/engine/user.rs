//! One user of one instance: the database, the feeds, and the cycle that is running.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::cycle::batch_size::BatchSize;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::database::Database;
use crate::engine::journal::Journal;
use crate::engine::queries::indexes::IndexCache;
use crate::engine::queries::relations::foreign_keys::ForeignKeys;
use crate::engine::status_feed::StatusHub;
use crate::engine::tabs::tab_state::TabState;
use crate::log::address::Seq;
use crate::model::entity::Key;
use crate::model::error::{ErrorJson, Result};
use crate::model::status::{LocalHealth, SyncResult};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::tables;
use crate::util::cell::RefCell;
use crate::util::local_sync::{Mutex, oneshot};

/// A user whose database is open.
#[derive(Debug)]
pub struct User<S, H> {
    pub db: Database<S, H>,
    pub hub: Rc<StatusHub>,
    /// Changed entities, for watches.
    pub journal: Rc<Journal>,
    pub(super) indexes: IndexCache,
    pub(super) foreign_keys: ForeignKeys,
    pub(super) id: String,
    pub(super) cycle: CycleSlot,
    pub(super) tab: TabState,
    /// Errors of the storage that the end of the next cycle shows.
    pub(super) pending_notices: Rc<RefCell<Vec<ErrorJson>>>,
    /// How many commits this instance had appended when it last announced a local write.
    announced_commits: Cell<u64>,
}

/// The slot of a user's single cycle in this tab.
#[derive(Debug, Default)]
pub(super) struct CycleSlot {
    running: RefCell<Option<Rc<Cancel>>>,
    /// Held by a cycle, and by other work that must not run beside a cycle.
    pub(super) turn: Mutex,
    pub(super) batch_size: BatchSize,
    pub(super) page_size: BatchSize,
    /// Callers that wait for the result of the running cycle.
    joined: RefCell<Vec<oneshot::Sender<Result<SyncResult>>>>,
    /// The user is signing out: only the last push may still begin.
    pub(super) leaving: Cell<bool>,
}

impl CycleSlot {
    pub(super) fn begin(&self, cancel: &Rc<Cancel>) {
        self.running.replace(Some(Rc::clone(cancel)));
    }

    pub(super) fn end(&self) {
        self.running.take();
    }

    /// Sends the result to every caller that has joined the cycle.
    pub(super) fn answer(&self, result: &Result<SyncResult>) {
        for joined in self.joined.take() {
            // The caller may have gone away.
            let _ = joined.send(result.clone());
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// Receives the result of the running cycle.
    pub(super) fn join(&self) -> oneshot::Receiver<Result<SyncResult>> {
        let (sender, receiver) = oneshot::channel();
        self.joined.borrow_mut().push(sender);
        receiver
    }
}

/// The data that a wipe would lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsynced {
    pub(super) operations: u64,
    pub(super) dead_letters: u64,
}

impl Unsynced {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl<S: Store, H: Host> User<S, H> {
    pub(super) fn new(db: Database<S, H>, hub: Rc<StatusHub>, id: &str, tab_id: u64) -> Self {
        Self {
            db,
            hub,
            journal: Rc::default(),
            indexes: IndexCache::default(),
            foreign_keys: ForeignKeys::default(),
            id: id.to_owned(),
            cycle: CycleSlot::default(),
            tab: TabState::new(tab_id),
            pending_notices: Rc::default(),
            announced_commits: Cell::default(),
        }
    }

    /// Stops the cycle that is running.
    pub fn stop(&self, reason: Stop) {
        if let Some(cancel) = &*self.cycle.running.borrow() {
            cancel.stop(reason);
        }
    }

    pub fn exists(&self, key: &Key) -> bool {
        self.db
            .read(|replica| tables::is_visible(replica, key.entity, key.id))
    }

    /// Returns the number of entities of a type.
    pub fn count(&self, entity: &str) -> u64 {
        self.db.read(|replica| tables::count(replica, entity))
    }

    /// Returns the number of operations in the outbox.
    pub fn pending_count(&self) -> u64 {
        self.db.peek(|replica| replica.outbox().len() as u64)
    }

    /// Returns the result of the last cycle, as the JSON text of a `SyncResult`; `None` before the
    /// first.
    pub fn last_result(&self) -> Option<Rc<str>> {
        self.db.peek(|replica| replica.facts().last_result.clone())
    }

    /// Returns the log's head and the number of operations in the outbox.
    pub(super) fn head_and_pending(&self) -> (Seq, u64) {
        self.db
            .peek(|replica| (replica.head(), replica.outbox().len() as u64))
    }

    pub(super) fn unsynced(&self) -> Unsynced {
        self.db.peek(|replica| Unsynced {
            operations: replica.outbox().len() as u64,
            dead_letters: replica.dead_letters().len() as u64,
        })
    }

    /// Returns true if local writes were appended since this last returned true: once for all
    /// writes of one commit. Comparing heads would not work, because a new log repeats the same
    /// ones.
    pub(super) fn announces_commit(&self) -> bool {
        let commits = self.db.counts().commits;
        self.announced_commits.replace(commits) != commits
    }

    /// Updates the counts and the local health of the status.
    pub fn refresh_status(&self, online: bool, durable: bool) {
        let unsynced = self.unsynced();
        let conflicts = self.db.peek(|replica| replica.conflicts().len() as u64);
        self.hub.update(|status| {
            status.pending_operations = unsynced.operations;
            status.unresolved_conflicts = conflicts;
            status.dead_letters = unsynced.dead_letters;
            status.online = online;
            status.health.local = if durable {
                LocalHealth::Healthy
            } else {
                LocalHealth::MemoryOnly
            };
            status.reckon_health();
        });
    }
}
