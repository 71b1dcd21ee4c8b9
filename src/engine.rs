//! The engine: one app on one device, generic over the ports. Its surface is divided into parts by
//! topic (`engine.entities()`, `engine.users()` …), each in its own file. The JavaScript classes
//! only convert values and call these.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::activity::{ActivityHub, ActivityReader};
use crate::engine::auto_sync::schedules::Schedules;
use crate::engine::cycle::first_status;
use crate::engine::cycle::resolvers::Resolvers;
use crate::engine::events::{EventHub, Filter, Reader, Topic};
use crate::engine::metrics::{Counters, Metrics};
use crate::engine::migrations::Migrations;
use crate::engine::network_hint::NetworkHint;
use crate::engine::open_users::OpenUsers;
use crate::engine::pauses::PauseState;
use crate::engine::realtime::Realtime;
use crate::engine::status_feed::StatusHub;
pub use crate::engine::user::User;
use crate::model::config::Config;
use crate::model::entity::{check_id, check_space_id};
use crate::model::error::{Code, Error, Result};
use crate::model::status::SyncState;
use crate::model::table::Table;
pub use crate::ports::backing::Backing;
use crate::ports::backing::NoteReason;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::schedule::Moment;
use crate::util::cell::RefCell;
use crate::util::json::write::put;
use crate::util::local_sync::Notify;

pub mod activity;
mod adoption;
pub mod auto_sync;
mod breaks;
pub mod conflicts;
pub mod cycle;
pub mod database;
pub mod dead_letters;
pub mod entities;
pub mod events;
pub mod explain;
pub mod health;
pub mod journal;
mod lifecycle;
mod logout;
pub mod metadata;
pub mod metrics;
pub mod migrations;
mod network_hint;
mod open_users;
pub mod pauses;
pub mod pending;
pub mod queries;
pub mod realtime;
pub mod receipts;
mod space_news;
pub mod spaces;
pub mod status_feed;
mod storage_loss;
pub mod synchronize;
pub mod tabs;
pub mod transfer;
mod unload;
pub mod user;
pub mod users;
pub mod watch;

/// Signals once when this device first has something to lose: a local write, or pulled rows. The
/// app then asks the browser for persistent storage.
#[derive(Debug, Default)]
pub struct FirstWrite {
    seen: Cell<bool>,
    reached: Notify,
}

impl FirstWrite {
    /// Waits for the signal. Supports one caller.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    fn note(&self) {
        if !self.seen.replace(true) {
            self.reached.notify_one();
        }
    }
}

type UserOf<B, H> = Rc<User<<B as Backing>::Store, H>>;

/// One app on one device: its users, its config and its ports. Every other field is a part that
/// owns its state.
#[allow(missing_debug_implementations)] // A backing is not Debug.
pub struct Engine<B: Backing, R, H> {
    backing: B,
    remote: R,
    host: Rc<H>,
    config: Rc<Config>,
    resolvers: RefCell<Resolvers>,
    migrations: RefCell<Option<Rc<dyn Migrations>>>,
    open_users: OpenUsers<B::Store, H>,
    pause_state: PauseState,
    schedules: Schedules,
    hint_state: Realtime,
    network_hint: NetworkHint,
    counters: Counters,
    events: Rc<EventHub>,
    activity: Rc<ActivityHub>,
    first_write: Rc<FirstWrite>,
    closed: Cell<bool>,
}

/// Declares the parts of the surface. Each is a copyable borrow of the engine, so that a part's
/// file contains the functions of one topic only.
macro_rules! parts {
    ($($(#[$doc:meta])* $get:ident: $part:ident;)*) => {
        $(
            $(#[$doc])*
            #[allow(missing_debug_implementations)] // A backing is not Debug.
            pub struct $part<'a, B: Backing, R, H> {
                engine: &'a Engine<B, R, H>,
            }

            impl<B: Backing, R, H> Clone for $part<'_, B, R, H> {
                fn clone(&self) -> Self {
                    *self
                }
            }

            impl<B: Backing, R, H> Copy for $part<'_, B, R, H> {}
        )*

        impl<B: Backing, R, H> Engine<B, R, H> {
            $(
                $(#[$doc])*
                pub const fn $get(&self) -> $part<'_, B, R, H> {
                    $part { engine: self }
                }
            )*
        }
    };
}

parts! {
    /// Sign-in and sign-out, switching users, wiping their data.
    users: Users;
    /// Reading, writing and watching entities.
    entities: Entities;
    /// Queries, once and live.
    queries: Queries;
    /// Entities with those that they lead to, and deletes that follow relations.
    relations: Relations;
    /// Spaces that several users share.
    spaces: SharedSpaces;
    /// Operations in the outbox.
    pending: PendingOperations;
    /// Why the next cycle and an operation wait.
    explanations: Explanations;
    /// Parked conflicts and the history of decisions.
    conflicts: Conflicts;
    /// Rejected operations.
    dead_letters: DeadLetters;
    /// Export and import of a user's data.
    transfer: Transfer;
    /// Sync metadata of this device and of the remote.
    metadata: Metadata;
    /// Health of remote, network and storage.
    health: HealthCheck;
    /// The browser's report of the network.
    network: Network;
    /// Pausing and resuming sync.
    pauses: Pauses;
    /// Automatic cycles.
    auto_sync: AutoSync;
    /// One status in all tabs.
    tabs: Tabs;
    /// Hints from the remote.
    realtime: RealtimeLoop;
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Returns an engine without an open database.
    pub fn new(backing: B, remote: R, host: Rc<H>, config: Config, resolvers: Resolvers) -> Self {
        Self {
            backing,
            remote,
            host,
            config: Rc::new(config),
            resolvers: RefCell::new(resolvers),
            migrations: RefCell::default(),
            open_users: OpenUsers::default(),
            pause_state: PauseState::default(),
            schedules: Schedules::default(),
            hint_state: Realtime::default(),
            network_hint: NetworkHint::default(),
            counters: Counters::default(),
            events: Rc::default(),
            activity: Rc::default(),
            first_write: Rc::default(),
            closed: Cell::new(false),
        }
    }

    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub const fn remote(&self) -> &R {
        &self.remote
    }

    #[must_use]
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Replaces the app's own resolvers, from the next cycle on.
    pub fn replace_resolvers(&self, resolvers: Resolvers) {
        self.resolvers.replace(resolvers);
    }

    /// Replaces the app's migrations, for databases that are opened from now on.
    pub fn replace_migrations(&self, migrations: Option<Rc<dyn Migrations>>) {
        self.migrations.replace(migrations);
    }

    pub const fn backing(&self) -> &B {
        &self.backing
    }

    /// Returns the signal for the first data that could be lost.
    #[must_use]
    pub fn first_write(&self) -> Rc<FirstWrite> {
        Rc::clone(&self.first_write)
    }

    #[must_use]
    pub fn current_user(&self) -> Option<String> {
        self.users().drop_wiped("");
        self.open_users.current()
    }

    /// Returns the named user, or else the current one.
    ///
    /// # Errors
    /// Fails with [`Code::NoUser`] if there is neither.
    pub fn user_or_current(&self, named: Option<String>) -> Result<String> {
        named.or_else(|| self.current_user()).ok_or_else(|| {
            Error::new(Code::NoUser, "No user is signed in: sign in first (`switchUser`, or `initialUserId` in the config), or give `userId` in the options of this call.")
        })
    }

    /// Returns a user whose database is open.
    #[must_use]
    pub fn opened(&self, user_id: &str) -> Option<UserOf<B, H>> {
        self.open_users.get(user_id)
    }

    /// Returns true if this is still the open database of its user.
    fn is_open(&self, user: &User<B::Store, H>) -> bool {
        self.opened(&user.id)
            .is_some_and(|open| std::ptr::eq(&raw const *open, user))
    }

    /// Returns a user's status feed. It exists before the database is open.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a bad id.
    pub fn status_hub(&self, user_id: &str) -> Result<Rc<StatusHub>> {
        check_user_id(user_id)?;
        let hub = self.open_users.hub(user_id, || {
            let hub = first_status(user_id);
            hub.update(|status| status.is_leader = self.schedules.leads());
            if self.pause_state.is_paused(user_id) {
                hub.update(|status| status.status = SyncState::Paused);
            }
            hub
        });
        if self.closed.get() {
            hub.close();
        }
        Ok(hub)
    }

    /// Subscribes a reader to the events that follow.
    #[must_use]
    pub fn events(&self, filter: Filter) -> Rc<Reader> {
        let reader = self.events.subscribe(filter);
        if self.events.wants(Topic::DataChanged) {
            for user in self.open_users.all() {
                watch::listen(&user, &self.events, &self.host);
            }
        }
        reader
    }

    /// Subscribes a reader to what this instance does from now on, for one user or for all.
    #[must_use]
    pub fn watch_activity(&self, user_id: Option<String>) -> Rc<ActivityReader> {
        let host = Rc::clone(&self.host);
        let clock = move || Moment {
            elapsed: host.elapsed_ms(),
            wall: host.now_ms(),
        };
        self.activity.subscribe(user_id, Rc::new(clock))
    }

    /// Returns the counters since the instance was opened.
    pub fn metrics(&self) -> Metrics {
        self.counters
            .metrics(&self.open_users.all(), self.events.dropped())
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Reports that the network has become available or unavailable.
    pub fn network_changed(&self, online: bool) {
        self.network_hint.changed();
        for user in self.open_users.all() {
            self.refresh_status(&user);
        }
        let user_id = self.current_user().unwrap_or_default();
        self.events.tell(
            Topic::ConnectivityChanged,
            &user_id,
            None,
            self.host.now_ms(),
            &mut |out| put(out, "online", &online),
        );
    }

    /// Updates a user's status after a commit, and lets the backing note the head and the outbox,
    /// so that a loss of the log can be detected later.
    fn after_commit(&self, user: &User<B::Store, H>, reason: NoteReason) {
        self.refresh_status(user);
        let (head, pending) = user.head_and_pending();
        self.backing.note(&user.id, head, pending, reason);
        let stores = pending > 0 || user.db.peek(|replica| replica.has_rows());
        if stores && reason != NoteReason::OtherInstance {
            self.first_write.note();
        }
    }

    fn refresh_status(&self, user: &User<B::Store, H>) {
        user.refresh_status(self.network().is_online(), self.backing.is_durable());
    }

    /// Rejects calls after [`Self::close`].
    ///
    /// # Errors
    /// Fails with [`Code::Closed`].
    pub fn check_open(&self) -> Result<()> {
        if self.closed.get() {
            Err(closed())
        } else {
            Ok(())
        }
    }

    /// Rejects entity types that are not in the config.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`], listing the types of the config.
    pub fn check_entity(&self, entity: &str) -> Result<()> {
        let selected = Table(entity);
        if let Some(space) = selected.space().filter(|space| !space.is_empty()) {
            check_space_id(space)?;
        }
        let entity = selected.entity();
        if self.config.of(entity).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = self.config.entities.keys().collect();
        Err(Error::new(
            Code::InvalidArgument,
            format!(
                "The config names no entity type `{entity}`; it has {}. Add it to `entities`.",
                known.join(", ")
            ),
        ))
    }

    fn is_excluded(&self, user_id: &str) -> bool {
        self.config.excluded.iter().any(|id| id == user_id)
    }

    fn moment(&self) -> Moment {
        Moment {
            elapsed: self.host.elapsed_ms(),
            wall: self.host.now_ms(),
        }
    }

    /// Returns random bits.
    fn roll(&self) -> u32 {
        let mut roll = [0; 4];
        self.host.random(&mut roll);
        u32::from_le_bytes(roll)
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
