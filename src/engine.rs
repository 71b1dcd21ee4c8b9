//! The facade: users, their databases, and everything that an app can ask for, generic over the
//! ports. The JavaScript classes are a thin skin on it.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::cycle::batch_size::BatchSize;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::cycle::first_status;
use crate::engine::cycle::resolvers::Resolvers;
use crate::engine::database::Database;
use crate::engine::events::{Events, Filter, Reader, Topic};
use crate::engine::status_feed::StatusHub;
use crate::log::address::Seq;
use crate::model::config::Config;
use crate::model::entity::check_id;
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::status::SyncState;
pub use crate::ports::backing::Backing;
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::put;
use crate::util::local_sync::{Mutex, Notify};

pub mod auto_sync;
pub mod conflicts;
pub mod cycle;
pub mod database;
pub mod entities;
pub mod events;
pub mod loss_detection;
pub mod metadata;
pub mod pauses;
pub mod pending;
pub mod realtime;
pub mod receipts;
pub mod status_feed;
pub mod storage_loss;
pub mod synchronize;
pub mod tabs;
pub mod unload;
pub mod users;
pub mod watch;

/// One user: the database, the status, and the cycle that is running.
#[derive(Debug)]
pub struct User<S, H> {
    /// The database.
    pub db: Database<S, H>,
    /// The status.
    pub hub: Rc<StatusHub>,
    /// What changed, for those who watch.
    pub journal: Rc<watch::Journal>,
    id: String,
    /// The user is signing out: no cycle begins any more but the last push.
    leaving: Cell<bool>,
    cycle: RefCell<Option<Rc<Cancel>>>,
    turn: Mutex,
    batch_size: BatchSize,
    joined: RefCell<Vec<synchronize::Joined>>,
    seat: tabs::TabState,
    /// What happened to the storage, for the next cycle's end to show.
    news: Rc<RefCell<Vec<ErrorJson>>>,
    /// How many commits this instance had appended after the last local write that was made known.
    known: Cell<u64>,
}

impl<S: Store, H: Host> User<S, H> {
    /// The head of the log, and how many operations wait.
    fn standing(&self) -> (Seq, u64) {
        self.db
            .peek(|replica| (replica.head(), replica.outbox().len() as u64))
    }

    /// Brings what the status says of the state up to date.
    pub fn refresh_status(&self, host: &H, durable: bool) {
        let (pending, conflicts, dead) = self.db.peek(|replica| {
            (
                replica.outbox().len() as u64,
                replica.conflicts().len() as u64,
                replica.dead_letters().len() as u64,
            )
        });
        let online = host.is_online();
        self.hub.update(|status| {
            status.pending_operations = pending;
            status.unresolved_conflicts = conflicts;
            status.dead_letters = dead;
            status.online = online;
            status.health.local = if durable {
                crate::model::status::LocalHealth::Healthy
            } else {
                crate::model::status::LocalHealth::MemoryOnly
            };
            status.reckon_health();
        });
    }
}

/// The moment from which on what is stored is worth keeping.
#[derive(Debug, Default)]
pub struct Worth {
    asked: Cell<bool>,
    reached: Notify,
}

impl Worth {
    /// Waits for it; for one caller.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }
}

type UserOf<B, H> = Rc<User<<B as Backing>::Store, H>>;

/// The engine: one app on one device.
#[allow(missing_debug_implementations)] // A backing is not Debug.
pub struct Engine<B: Backing, R, H> {
    backing: B,
    remote: R,
    host: Rc<H>,
    config: Rc<Config>,
    resolvers: Resolvers,
    users: RefCell<VecMap<UserOf<B, H>>>,
    hubs: RefCell<VecMap<Rc<StatusHub>>>,
    opening: Mutex,
    current: RefCell<Option<String>>,
    switching: crate::util::local_sync::Mutex,
    pauses: pauses::Pauses,
    closed: Cell<bool>,
    auto: auto_sync::Auto,
    events: Rc<Events>,
    realtime: realtime::Realtime,
    counters: Cell<metadata::Counters>,
    requests: Cell<u64>,
    /// Users whose log was wiped in another tab, and who are not signed out here yet.
    wiped: Rc<RefCell<Vec<String>>>,
    worth: Rc<Worth>,
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// An engine with no database open yet.
    pub fn new(backing: B, remote: R, host: Rc<H>, config: Config, resolvers: Resolvers) -> Self {
        Self {
            backing,
            remote,
            host,
            config: Rc::new(config),
            resolvers,
            users: RefCell::default(),
            hubs: RefCell::default(),
            opening: Mutex::default(),
            current: RefCell::default(),
            switching: crate::util::local_sync::Mutex::default(),
            pauses: pauses::Pauses::default(),
            closed: Cell::new(false),
            auto: auto_sync::Auto::default(),
            events: Rc::default(),
            realtime: realtime::Realtime::default(),
            counters: Cell::default(),
            requests: Cell::new(0),
            wiped: Rc::default(),
            worth: Rc::default(),
        }
    }

    /// The config.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The remote.
    pub const fn remote(&self) -> &R {
        &self.remote
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The backing.
    pub const fn backing(&self) -> &B {
        &self.backing
    }

    /// The current user.
    #[must_use]
    pub fn current_user(&self) -> Option<String> {
        self.sweep("");
        self.current.borrow().clone()
    }

    /// Makes a user the current one, and opens their database.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a bad id; what the storage says.
    pub async fn sign_in(&self, user_id: &str) -> Result<()> {
        self.sweep(user_id);
        self.user(user_id).await?;
        let before = self.current.replace(Some(user_id.to_owned()));
        if before.as_deref() != Some(user_id) {
            if let Some(before) = before {
                self.signed_out(&before);
            }
            self.signed_in(user_id);
        }
        Ok(())
    }

    /// The user that a call is about: the one that it names, else the current one.
    ///
    /// # Errors
    /// [`Code::NoUser`] where there is neither.
    pub fn user_or_current(&self, named: Option<String>) -> Result<String> {
        named.or_else(|| self.current_user()).ok_or_else(|| {
            Error::new(Code::NoUser, "No user is signed in: give `initialUserId` in the config, or `userId` in the options of this call.")
        })
    }

    /// A user's open database; opened now if it is not.
    ///
    /// # Errors
    /// [`Code::Closed`], [`Code::InvalidArgument`] for a bad id, and what the storage says.
    pub async fn user(&self, user_id: &str) -> Result<UserOf<B, H>> {
        self.check_open()?;
        check_user_id(user_id)?;
        self.check_swept(user_id)?;
        if let Some(user) = self.opened(user_id) {
            return Ok(user);
        }
        let _turn = self.opening.lock().await;
        if let Some(user) = self.opened(user_id) {
            return Ok(user);
        }
        let store = self
            .backing
            .open(user_id)
            .await
            .map_err(|e| e.for_user(user_id))?;
        let name = format!("{}/{user_id}", self.config.name);
        let db = Database::open(
            store,
            Rc::clone(&self.host),
            name,
            user_id,
            self.config.memory_budget,
        )
        .await
        .map_err(|e| e.for_user(user_id))?;
        let hub = self.status_hub(user_id)?;
        let user = Rc::new(User {
            db,
            hub,
            journal: Rc::default(),
            id: user_id.to_owned(),
            leaving: Cell::new(false),
            cycle: RefCell::default(),
            turn: Mutex::default(),
            batch_size: BatchSize::default(),
            joined: RefCell::default(),
            seat: tabs::TabState::new(self.roll().into()),
            news: Rc::default(),
            known: Cell::default(),
        });
        let wiped = Rc::clone(&self.wiped);
        user.mind(&self.events, &self.host, move |whose| {
            wiped.borrow_mut().push(whose.to_owned())
        });
        if self.closed.get() {
            user.db.close().await;
            return Err(closed());
        }
        let (last_sync, last_success) = user
            .db
            .peek(|replica| (replica.facts().last_sync, replica.facts().last_success));
        user.hub.update(|status| {
            status.last_started_at = last_sync.map(crate::util::time::format);
            status.last_completed_at = last_success.map(crate::util::time::format);
        });
        user.refresh_status(&self.host, self.backing.is_durable());
        if self.events.wants(Topic::DataChanged) {
            self.listen(&user);
        }
        self.users.borrow_mut().insert(user_id, Rc::clone(&user));
        let (head, pending) = user.standing();
        if let Some(lost) = self.backing.loss(user_id, head, pending) {
            self.tell_loss(&user, lost);
        }
        self.tell_damage(&user).await;
        self.backing.note(user_id, head, pending, NoteReason::Rests);
        self.show_pause(user_id)?;
        self.take_seat(&user);
        Ok(user)
    }

    /// A user whose database is open.
    #[must_use]
    pub fn opened(&self, user_id: &str) -> Option<UserOf<B, H>> {
        self.users.borrow().get(user_id).map(Rc::clone)
    }

    /// A user's status feed; there before their database is open.
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for a bad id.
    pub fn status_hub(&self, user_id: &str) -> Result<Rc<StatusHub>> {
        check_user_id(user_id)?;
        let mut hubs = self.hubs.borrow_mut();
        let hub = match hubs.get(user_id) {
            Some(hub) => Rc::clone(hub),
            None => {
                let hub = first_status(user_id);
                hub.update(|status| status.is_leader = self.leads());
                if self.pauses.holds(user_id) {
                    hub.update(|status| status.status = SyncState::Paused);
                }
                hubs.insert(user_id, Rc::clone(&hub));
                hub
            }
        };
        if self.closed.get() {
            hub.close();
        }
        Ok(hub)
    }

    /// Tells a reader of what happens from now on.
    #[must_use]
    pub fn events(&self, filter: Filter) -> Rc<Reader> {
        let reader = self.events.subscribe(filter);
        if self.events.wants(Topic::DataChanged) {
            for user in self.users.borrow().values() {
                self.listen(user);
            }
        }
        reader
    }

    /// Whether the engine has been closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The network has come or gone.
    pub fn network_changed(&self, online: bool) {
        self.refresh_statuses();
        let user_id = self.current_user().unwrap_or_default();
        self.events.tell(
            Topic::ConnectivityChanged,
            &user_id,
            None,
            self.host.now_ms(),
            &mut |out| put(out, "online", &online),
        );
    }

    /// Brings a user's status up to date after a commit, and notes outside the log how that stands.
    pub(super) fn settle(&self, user: &User<B::Store, H>, occasion: NoteReason) {
        user.refresh_status(&self.host, self.backing.is_durable());
        let (head, pending) = user.standing();
        self.backing.note(&user.id, head, pending, occasion);
        let stores = pending > 0 || user.db.peek(|replica| replica.has_rows());
        if stores && occasion != NoteReason::Heard && !self.worth.asked.replace(true) {
            self.worth.reached.notify_one();
        }
    }

    /// Where it is told when there is something to lose for the first time: a local write, or rows
    /// that a cycle brought.
    #[must_use]
    pub fn worth(&self) -> Rc<Worth> {
        Rc::clone(&self.worth)
    }

    /// Brings every user's status up to date.
    fn refresh_statuses(&self) {
        let users: Vec<UserOf<B, H>> = self.users.borrow().values().map(Rc::clone).collect();
        for user in users {
            user.refresh_status(&self.host, self.backing.is_durable());
        }
    }

    /// Takes in what another tab has appended.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn heard(&self, user_id: &str, head: u64) -> Result<()> {
        let Some(user) = self.opened(user_id) else {
            return Ok(());
        };
        if user.db.peek(|replica| replica.head()) < head {
            let before = auto_sync::Seen::of(&user);
            let caught_up = user.db.catch_up().await;
            self.sweep(user_id);
            caught_up?;
            self.auto_heard(&user, before);
            self.settle(&user, NoteReason::Heard);
        }
        Ok(())
    }

    /// The user's database at rest: checkpoints and compaction, where they pay.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn tidy(&self, user_id: &str) -> Result<()> {
        match self.opened(user_id) {
            Some(user) => user.db.tidy().await,
            None => Ok(()),
        }
    }

    /// The page is put into the browser's back/forward cache: lets go of what would keep it out.
    pub fn let_go(&self) {
        for user in self.users.borrow().values() {
            user.db.rest();
        }
    }

    /// The page is back: takes in what happened meanwhile.
    pub async fn brought_back(&self) {
        let users: Vec<String> = self.users.borrow().keys().map(str::to_owned).collect();
        for user in users {
            // What fails now is made up for by the next commit or cycle.
            let _ = self.heard(&user, u64::MAX).await;
        }
    }

    /// Stops every cycle, waits for commits in flight, ends the feeds and lets go of the storage.
    pub async fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        let users: Vec<UserOf<B, H>> = self.users.borrow().values().map(Rc::clone).collect();
        for user in &users {
            user.stop(Stop::Close);
        }
        self.auto_closed();
        self.realtime.close();
        for user in &users {
            user.journal.close();
            // The cycle that was stopped writes down how it ended before it gives up its turn.
            let turn = user.turn.lock().await;
            self.leave_seat(user);
            user.db.close().await;
            drop(turn);
        }
        self.users.take();
        for hub in self.hubs.borrow().values() {
            hub.close();
        }
        self.events.close();
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            Err(closed())
        } else {
            Ok(())
        }
    }
}

fn check_user_id(user_id: &str) -> Result<()> {
    check_id(user_id)
        .map_err(|e| Error::new(Code::InvalidArgument, format!("`userId`: {}", e.message())))
}

fn closed() -> Error {
    Error::new(
        Code::Closed,
        "This instance has been closed; call `Datum.initialize` again.",
    )
}
