//! One user's database: the store, and the replica folded from it. Plans are made outside any
//! transaction, appended against a known head, and applied once they are durable; a plan that
//! another tab has overtaken is made again.

use std::cell::{Cell, Ref};
use std::rc::Rc;

use crate::engine::database::group_commit::{Lead, Place, Told, Waiting};
pub use crate::engine::database::listen::{Listener, Source};
pub use crate::engine::database::open_instances::Gone;
use crate::log::address::{BodyId, Seq, Superseded};
use crate::log::commit::{Commit, Event};
use crate::log::record::Encoded;
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::plan::checkpoint::CheckpointPlanner;
use crate::plan::context::PlanContext;
use crate::plan::write::{Group, WritePlanner, Written};
use crate::plan::{Plan, Planned, Planner};
use crate::ports::host::Host;
use crate::ports::store::{Append, AppendError, Store, Tail};
use crate::state::replica::Replica;
use crate::util::cell::RefCell;
use crate::util::local_sync::{Mutex, Notify, yield_now};

pub mod group_commit;
pub mod lifecycle;
pub mod listen;
pub mod open_instances;
pub mod read;
pub mod salvage;

/// A plan that keeps being overtaken is given up after this many tries.
const MAX_STALE: u32 = 1000;

/// A planner whose output is kept until its plan is appended. The commit loop knows planners in this
/// form, so that it is compiled once and not once for each.
trait AnyPlanner {
    fn plan(&mut self, replica: &Replica) -> Result<Plan<(Commit, Option<Superseded>)>>;
}

struct Planning<'a, P: Planner> {
    planner: &'a mut P,
    output: Option<P::Output>,
}

impl<'a, P: Planner> Planning<'a, P> {
    const fn new(planner: &'a mut P) -> Self {
        Self {
            planner,
            output: None,
        }
    }
}

impl<P: Planner> AnyPlanner for Planning<'_, P> {
    fn plan(&mut self, replica: &Replica) -> Result<Plan<(Commit, Option<Superseded>)>> {
        let plan = self.planner.plan(replica)?;
        Ok(plan.map(|planned| {
            self.output = Some(planned.output);
            (planned.commit, planned.superseded)
        }))
    }
}

/// How many commits were appended, and how many plans were overtaken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Records appended.
    pub commits: u64,
    /// Appends that another instance had overtaken.
    pub stale: u64,
}

/// The store and its replica.
#[derive(Debug)]
pub struct Database<S, H> {
    store: S,
    host: Rc<H>,
    name: String,
    replica: RefCell<Replica>,
    budget: u64,
    turn: Mutex,
    waiting: RefCell<Waiting>,
    unsaved: RefCell<salvage::Unsaved>,
    counts: Cell<Counts>,
    closed: Cell<bool>,
    /// Closed for good: nothing comes any more.
    ended: Cell<bool>,
    moved: Notify,
    listener: RefCell<Option<Listener>>,
    gone: RefCell<salvage::OnGone>,
    /// Its place among the instances that have the database open.
    place: RefCell<Option<open_instances::Place>>,
    /// Whether it had none since it last looked at the log.
    look: Cell<bool>,
    /// The head at which room was made last, or could not be.
    compacted_when_full_at: Cell<Option<Seq>>,
}

impl<S: Store, H: Host> Database<S, H> {
    /// Opens a user's database: reads the log from its last checkpoint on.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open(
        store: S,
        host: Rc<H>,
        name: String,
        user_id: &str,
        budget: u64,
    ) -> Result<Self> {
        let place = open_instances::enter(&*host, &name).await;
        let replica = load(&store, user_id, budget).await?;
        Ok(Self {
            store,
            host,
            name,
            replica: RefCell::new(replica),
            budget,
            turn: Mutex::default(),
            waiting: RefCell::default(),
            unsaved: RefCell::default(),
            counts: Cell::default(),
            closed: Cell::new(false),
            ended: Cell::new(false),
            moved: Notify::default(),
            listener: RefCell::default(),
            gone: RefCell::default(),
            place: RefCell::new(place),
            look: Cell::new(false),
            compacted_when_full_at: Cell::default(),
        })
    }

    /// Reads the state. The borrow must end before anything is awaited.
    pub fn read<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        read(&self.folded())
    }

    /// Reads what is no row, nor counts any: the outbox, cursors, facts, the head. Rows may not be
    /// folded yet.
    pub fn peek<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        read(&self.replica.borrow())
    }

    /// The state with all its rows.
    fn folded(&self) -> Ref<'_, Replica> {
        let late = self.replica.borrow().has_lazy_rows();
        if late {
            self.replica.borrow_mut().materialize();
        }
        self.replica.borrow()
    }

    /// Changes what is kept in memory only: the journeys of operations.
    pub fn update<T>(&self, change: impl FnOnce(&mut Replica) -> T) -> T {
        change(&mut self.replica.borrow_mut())
    }

    /// How many commits were appended.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// The database's name, under which its instances hear of each other.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Time and fresh dice for a plan.
    #[must_use]
    pub fn plan_context(&self) -> PlanContext {
        let mut seed = [0; 10];
        self.host.random(&mut seed);
        PlanContext {
            now: self.host.now_ms(),
            seed,
        }
    }

    /// Plans, appends and applies, and plans again for as long as other tabs are first. An empty plan
    /// appends nothing. Returns the output of the plan that was appended.
    ///
    /// # Errors
    /// What the planner or the store says; then nothing has been written.
    pub async fn commit<P: Planner>(
        &self,
        durability: Durability,
        planner: &mut P,
    ) -> Result<P::Output> {
        let mut planning = Planning::new(planner);
        self.commit_any(durability, &mut planning).await?;
        planning.output.ok_or_else(closed)
    }

    async fn commit_any(&self, durability: Durability, plan: &mut dyn AnyPlanner) -> Result<()> {
        let turn = self.turn.lock().await;
        let result = self.commit_in_turn(durability, plan, Source::Remote).await;
        drop(turn);
        result
    }

    async fn commit_in_turn(
        &self,
        durability: Durability,
        plan: &mut dyn AnyPlanner,
        source: Source,
    ) -> Result<()> {
        let mut stale = 0_u32;
        if !self.unsaved.borrow().is_empty() {
            self.check_open()?;
            self.save_in_turn().await?;
        }
        loop {
            self.check_open()?;
            let planned = plan.plan(&self.folded());
            let (commit, superseded) = match planned? {
                Plan::Ready(ready) => ready,
                Plan::Needs(bodies) => {
                    self.fetch_for_plan(&bodies).await?;
                    continue;
                }
            };
            if commit.is_empty() {
                self.replica.borrow_mut().segments_mut().unpin();
                return Ok(());
            }
            let appended = match self.append(commit, superseded, durability, source).await {
                Err(error) if error.code() == Code::StorageFull && self.make_room().await => {
                    continue;
                }
                appended => appended,
            };
            match self.salvaged(appended).await? {
                Some(true) => return Ok(()),
                Some(false) => {}
                None => continue,
            }
            stale = stale.saturating_add(1);
            if stale > MAX_STALE {
                return Err(overtaken());
            }
            self.catch_up_in_turn().await?;
        }
    }

    /// Fetches bodies and keeps them in memory until the plan that needs them is appended.
    async fn fetch_for_plan(&self, bodies: &[BodyId]) -> Result<()> {
        self.replica.borrow_mut().segments_mut().pin(bodies);
        let fetched = self.fetch(bodies).await;
        if let Some((_, damaged)) = self.salvaged(fetched).await? {
            self.quarantine_in_turn(damaged).await?;
        }
        Ok(())
    }

    /// Appends one commit at the head and applies it. Returns false if another instance was first.
    async fn append(
        &self,
        commit: Commit,
        superseded: Option<Superseded>,
        durability: Durability,
        source: Source,
    ) -> Result<bool> {
        if !self.is_back().await {
            return Ok(false);
        }
        let seq = self.replica.borrow().head().saturating_add(1);
        let Encoded {
            record,
            bodies,
            sums,
        } = commit.encode(seq);
        let bytes = record.len();
        let append = Append {
            seq,
            record,
            bodies,
            checkpoint: superseded,
        };
        let mut counts = self.counts.get();
        match self.store.append(append, durability).await {
            Ok(()) => {
                counts.commits = counts.commits.saturating_add(1);
                self.counts.set(counts);
                let mut replica = self.replica.borrow_mut();
                replica.apply_own(seq, commit, bytes, &sums);
                replica.segments_mut().unpin();
                drop(replica);
                self.host.announce(&self.name, seq);
                self.tell(source);
                Ok(true)
            }
            Err(AppendError::Stale) => {
                counts.stale = counts.stale.saturating_add(1);
                self.counts.set(counts);
                Ok(false)
            }
            Err(AppendError::Failed(error)) => Err(error),
        }
    }

    /// Takes in what other instances have appended.
    ///
    /// # Errors
    /// What the store says.
    pub async fn catch_up(&self) -> Result<()> {
        let turn = self.turn.lock().await;
        let result = self.catch_up_in_turn().await;
        drop(turn);
        result
    }

    async fn catch_up_in_turn(&self) -> Result<()> {
        self.check_open()?;
        let (head, user_id) = self.peek(|replica| (replica.head(), replica.user_id().to_owned()));
        let tail = self.store.tail(head).await;
        let Some(tail) = self.salvaged(tail).await? else {
            return Ok(());
        };
        match tail {
            Tail::Records(records) => {
                let mut replica = self.replica.borrow_mut();
                for (seq, record) in &records {
                    replica.apply_record(*seq, record)?;
                }
                drop(replica);
                self.tell(Source::OtherTab);
            }
            Tail::Compacted => {
                let mut fresh = load(&self.store, &user_id, self.budget).await?;
                self.read(|replica| fresh.outbox_mut().inherit(replica.outbox()));
                self.replace(fresh);
            }
        }
        Ok(())
    }

    /// Writes groups of local writes: those that are asked for at the same time, or while a commit
    /// is in flight, share one. Answers only when the write is durable.
    ///
    /// # Errors
    /// What is wrong with a write of the group, or what the store says; then none of it is written.
    pub async fn write(&self, group: Group, durability: Durability) -> Result<Vec<Written>> {
        self.check_open()?;
        let mut group = group;
        if self.waiting.borrow().led {
            group = match Place::behind(&self.waiting, group).told().await? {
                Told::Outcome(outcome) => return outcome,
                Told::Lead(group) => group,
            };
        }
        let lead = Lead::new(&self.waiting);
        let turn = self.turn.lock().await;
        yield_now().await;
        let (mut groups, mut senders) = (vec![group], Vec::new());
        for (group, sender) in lead.take() {
            groups.push(group);
            senders.push(sender);
        }
        let mut planner = WritePlanner {
            groups: &groups,
            context: self.plan_context(),
        };
        let mut planning = Planning::new(&mut planner);
        let failed = self
            .commit_in_turn(durability, &mut planning, Source::Local)
            .await
            .err();
        let mut outcomes = planning.output.unwrap_or_default().into_iter();
        drop(turn);
        let mut next = || {
            failed
                .clone()
                .map_or_else(|| outcomes.next().unwrap_or_else(|| Err(closed())), Err)
        };
        let own = next();
        for sender in senders {
            // A caller that no longer waits has its write all the same.
            let _ = sender.send(Told::Outcome(next()));
        }
        own
    }

    /// Appends events that need nothing but the head, as many as there are.
    ///
    /// # Errors
    /// What the store says.
    pub async fn record(
        &self,
        durability: Durability,
        events: &dyn Fn(&Replica) -> Vec<Event>,
    ) -> Result<()> {
        self.commit(durability, &mut Events(events)).await
    }

    /// Writes a checkpoint and compacts, if that pays.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tidy(&self) -> Result<()> {
        if self.closed.get() || !self.read(Replica::wants_checkpoint) {
            return Ok(());
        }
        self.checkpoint().await?;
        self.free().await;
        Ok(())
    }

    /// Writes a checkpoint and compacts.
    ///
    /// # Errors
    /// What the store says.
    pub async fn checkpoint(&self) -> Result<()> {
        self.commit(Durability::Strict, &mut CheckpointPlanner)
            .await
    }

    /// Compacts where the storage is full and that may help; false where it does not. Once at each
    /// head.
    async fn make_room(&self) -> bool {
        let (head, grown) = self.read(|replica| (replica.head(), replica.has_grown()));
        if self.compacted_when_full_at.replace(Some(head)) == Some(head) || !grown {
            return false;
        }
        // Boxed, as a commit that is full comes here again: once, and no further.
        let mut planner = CheckpointPlanner;
        let mut planning = Planning::new(&mut planner);
        Box::pin(self.commit_in_turn(Durability::Strict, &mut planning, Source::Remote))
            .await
            .is_ok()
            && self.read(Replica::head) > head
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            Err(closed())
        } else {
            Ok(())
        }
    }
}

/// Plans events from the head alone.
struct Events<'a>(&'a dyn Fn(&Replica) -> Vec<Event>);

impl Planner for Events<'_> {
    type Output = ();

    fn plan(&mut self, replica: &Replica) -> Result<Plan<Planned<()>>> {
        let commit = Commit {
            segments: Vec::new(),
            events: (self.0)(replica),
        };
        Ok(Plan::Ready(Planned::new(commit, ())))
    }
}

fn overtaken() -> Error {
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

async fn load<S: Store>(store: &S, user_id: &str, budget: u64) -> Result<Replica> {
    let mut replica = Replica::new(user_id, budget);
    for (seq, record) in &store.load().await? {
        replica.load_record(*seq, record)?;
    }
    Ok(replica)
}
