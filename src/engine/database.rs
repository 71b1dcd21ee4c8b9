//! One user's database: the store, and the replica folded from it. Plans are made outside any
//! transaction, appended at a known head, and applied once they are durable. If another tab appends
//! first, the plan is made again.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::rc::Rc;

use crate::engine::activity::{ActivityHub, ActivityReader};
use crate::engine::database::group_commit::WriteQueue;
pub(super) use crate::engine::database::memory::News;
pub use crate::engine::database::memory::{Listener, Source};
use crate::engine::database::memory::{Memory, OnSpaces};
use crate::engine::database::open_instances::OpenInstances;
use crate::engine::database::trace::Recorder;
use crate::engine::migrations::{AppSchema, Migrations};
use crate::log::address::Seq;
use crate::model::error::{Code, Error, Result};
use crate::plan::context::PlanContext;
use crate::plan::salvage::Salvage;
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::local_sync::Mutex;

mod any_planner;
pub mod commit;
mod commit_activity;
pub(super) mod fetched_bodies;
pub mod group_commit;
pub mod memory;
mod migration;
pub mod open_instances;
pub mod read;
pub mod salvage;
pub(in crate::engine) mod steps;
pub(super) mod trace;

/// How often a commit is planned before it is given up because other tabs keep appending first.
const MAX_STALE: u32 = 1000;

/// How many rows are put into the row index at once.
const INDEXED_ROWS: usize = 10_000;

/// Counts of appended commits and of stale plans.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Records appended.
    pub commits: u64,
    /// Appends that failed because another instance had appended first.
    pub stale: u64,
}

/// What happened to a log under an open instance.
#[derive(Clone, Debug)]
pub enum LogEnd {
    /// It was lost; this many operations that this instance knew were saved into a new one.
    Lost(usize),
    /// It was in memory, and what this instance knew was saved into the storage that is back.
    TookOver,
    /// It was wiped on request: nothing is saved, and this instance is closed.
    Wiped(Error),
}

/// Called when the log is gone.
#[derive(Clone, Default)]
struct OnLogEnd(Option<Rc<dyn Fn(LogEnd)>>);

impl fmt::Debug for OnLogEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLogEnd")
    }
}

/// The store and its replica.
#[derive(Debug)]
pub struct Database<S, H> {
    store: S,
    host: Rc<H>,
    name: String,
    memory: Memory,
    budget: u64,
    schema: AppSchema,
    turn: Mutex,
    waiting: RefCell<WriteQueue>,
    unsaved: RefCell<Salvage>,
    counts: Cell<Counts>,
    activity: OnceCell<Rc<ActivityHub>>,
    closed: Cell<bool>,
    /// Closed for good.
    ended: Cell<bool>,
    gone: RefCell<OnLogEnd>,
    instances: OpenInstances,
    compacted_when_full_at: Cell<Option<Seq>>,
    trace: Option<Box<Recorder>>,
}

impl<S: Store, H: Host> Database<S, H> {
    /// Opens a user's database: reads the log from its last checkpoint on, and migrates it to the
    /// app's schema.
    ///
    /// # Errors
    /// Errors of the store; [`Code::Migration`]; [`Code::ClientOutdated`] for data of a later version
    /// of the app.
    pub async fn open(
        store: S,
        host: Rc<H>,
        name: String,
        user_id: &str,
        budget: u64,
        schema: AppSchema,
    ) -> Result<Self> {
        let instances = OpenInstances::default();
        instances.enter(&*host, &name).await;
        // A step cannot wait for the part that writes it down.
        let is_traced = schema.config.trace > 0 && host.load_all().await.is_ok();
        let trace = is_traced.then(|| Recorder::new(schema.config.trace));
        let place = (&store, trace.as_deref());
        let replica = load(place, user_id, budget, schema.version()).await?;
        let db = Self {
            store,
            host,
            name,
            memory: Memory::new(replica),
            budget,
            schema,
            turn: Mutex::default(),
            waiting: RefCell::default(),
            unsaved: RefCell::default(),
            counts: Cell::default(),
            activity: OnceCell::new(),
            closed: Cell::new(false),
            ended: Cell::new(false),
            gone: RefCell::default(),
            instances,
            compacted_when_full_at: Cell::default(),
            trace,
        };
        // A page that was about to remove it has died.
        db.reopen_log().await;
        if migration::is_due(&db) {
            // What comes last has its code: the page would stand still for it, and die if it cannot be had.
            db.host.load_all().await?;
            migration::at_opening(&db).await?;
        }
        Ok(db)
    }

    /// Reads the state, with its row index, which is built if it is not there yet. The borrow must
    /// end before anything is awaited.
    pub fn read<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        read(&self.memory.whole())
    }

    /// Builds the row index some rows at a time, so that a page stays usable. A reader that comes
    /// meanwhile builds the rest of it at once, and so does a page that has not loaded the code for
    /// steps yet: a first paint does not wait for it.
    pub(super) async fn materialize(&self) {
        let steps = self.host.has_all();
        let most = if steps { INDEXED_ROWS } else { usize::MAX };
        if self.update(|replica| replica.materialize_some(most)) && steps {
            steps::index(self).await;
        }
    }

    /// Reads state that does not depend on rows (outbox, cursors, facts, head) without building the
    /// row index.
    pub fn peek<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        read(&self.memory.peek())
    }

    /// Changes state that exists in memory only, such as which operations are being sent.
    pub fn update<T>(&self, change: impl FnOnce(&mut Replica) -> T) -> T {
        self.memory.update(change)
    }

    /// Returns the counts of commits.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// The app's migrations.
    pub(super) fn migrations(&self) -> Option<Rc<dyn Migrations>> {
        self.schema.migrations.clone()
    }

    /// Returns the database's name, which its instances share.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the time and fresh random bytes, for a plan.
    #[must_use]
    pub fn plan_context(&self) -> PlanContext {
        let mut seed = [0; 10];
        self.host.random(&mut seed);
        PlanContext {
            now: self.host.now_ms(),
            seed,
        }
    }

    /// Calls `listener` with every later change of what readers see; `None` stops it.
    pub fn listen(&self, listener: Option<Listener>) {
        self.memory.listen(listener);
    }

    /// Returns true while a listener is set.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.memory.is_listening()
    }

    /// Waits until `seen` returns a value. Calls it immediately and after each change of the state.
    ///
    /// # Errors
    /// Fails with [`Code::Closed`] once the database is closed or wiped.
    pub async fn until<T>(&self, seen: &mut dyn FnMut(&Replica) -> Option<T>) -> Result<T> {
        loop {
            let moved = self.memory.moved();
            if self.ended.get() {
                return Err(closed());
            }
            let answer = self.read(&mut *seen);
            if let Some(answer) = answer {
                return Ok(answer);
            }
            moved.await;
        }
    }

    /// Calls `look` now, and after each change.
    pub(super) fn on_spaces(&self, look: Rc<dyn Fn(&Replica) -> News>) {
        self.memory.set_on_spaces(OnSpaces(look));
    }

    /// Tells of every later commit.
    pub(super) fn tell_commits(&self, activity: &Rc<ActivityHub>) {
        let _ = self.activity.set(Rc::clone(activity));
    }

    /// Puts activities into the trace, if one is kept.
    pub(super) fn trace_activities(&self, reader: impl FnOnce() -> Rc<ActivityReader>) {
        if let Some(trace) = &self.trace {
            trace.follow(reader());
        }
    }

    /// Calls `on_log_end` when the log is gone.
    pub fn on_log_end(&self, on_log_end: Rc<dyn Fn(LogEnd)>) {
        *self.gone.borrow_mut() = OnLogEnd(Some(on_log_end));
    }

    fn report_log_end(&self, end: LogEnd) {
        let on_log_end = self.gone.borrow().clone();
        if let OnLogEnd(Some(on_log_end)) = on_log_end {
            on_log_end(end);
        }
    }

    /// Checks whether an error of the store means that the log was removed.
    fn on_store_error(&self, error: Error) -> Error {
        if error.code() == Code::Closed && !self.closed.get() {
            self.end();
            self.instances.leave();
            self.report_log_end(LogEnd::Wiped(error.clone()));
        }
        error
    }

    /// Releases everything that keeps a page out of the browser's back/forward cache. The next call
    /// acquires it again.
    pub fn rest(&self) {
        self.instances.step_out();
        self.store.rest();
    }

    /// Frees the keys below the last checkpoint, unless any other instance is open.
    async fn free(&self) {
        let turn = self.turn.lock().await;
        if self.check_open().is_ok() && self.instances.has_share() {
            self.instances.step_out();
            if let Some(alone) = OpenInstances::alone(&*self.host, &self.name).await {
                // If the log fails here, so will the next commit, which reports it.
                let _ = self.store.free(self.peek(Replica::checkpointed_at)).await;
                drop(alone);
            }
            self.instances.enter(&*self.host, &self.name).await;
        }
        drop(turn);
    }

    /// Removes everything of this user, for good.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn wipe(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        self.closed.set(true);
        let result = self.store.wipe().await;
        if result.is_ok() {
            self.instances.leave();
            self.end();
        }
        drop(turn);
        result
    }

    /// Refuses writes from now on, except those that are already queued. State in memory can still
    /// be read, to decide whether to [`Self::wipe`] or [`Self::close`].
    ///
    /// # Errors
    /// Fails with [`Code::Closed`].
    pub async fn seal(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        let open = self.check_open();
        self.closed.set(true);
        drop(turn);
        open
    }

    /// Releases a log that another tab removes: nothing of it is saved into a new one.
    pub fn abandon(&self) {
        self.end();
        self.instances.leave();
        self.store.close();
    }

    /// Ends the effect of [`Self::seal`].
    pub fn unseal(&self) {
        self.closed.set(false);
    }

    /// Waits for a commit in flight, then closes the store.
    pub async fn close(&self) {
        let turn = self.turn.lock().await;
        self.end();
        self.store.close();
        self.instances.leave();
        drop(turn);
    }

    /// Ends every wait for the database.
    fn end(&self) {
        self.closed.set(true);
        self.ended.set(true);
        self.memory.wake();
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            Err(closed())
        } else {
            Ok(())
        }
    }
}

pub(super) fn overtaken() -> Error {
    Error::new(
        Code::StorageBlocked,
        "Other tabs write without pause; try again.",
    )
}

fn closed() -> Error {
    Error::new(
        Code::Closed,
        "This user's database has been closed, by a logout or by `close`; sign in with `switchUser`, or call `Datum.initialize` again.",
    )
}

async fn load<S: Store>(
    (store, trace): (&S, Option<&Recorder>),
    user_id: &str,
    budget: u64,
    schema: u32,
) -> Result<Replica> {
    let mut replica = Replica::new(user_id, budget).for_app(schema);
    let records = store.load().await?;
    for (seq, record) in &records {
        replica.load_record(*seq, record)?;
    }
    if let Some(trace) = trace {
        trace.loaded(&records);
    }
    Ok(replica)
}
