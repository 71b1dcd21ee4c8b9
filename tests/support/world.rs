//! Devices and a server in virtual time: the real engine on memory stores, against the rules that
//! the server runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::Engine;
use datum_sync::engine::cycle::cancel::Cancel;
use datum_sync::engine::cycle::resolvers::{Resolver, Resolvers};
use datum_sync::engine::migrations::Migrations;
use datum_sync::model::checked_object::CheckedObject;
use datum_sync::model::config::{Config, Options};
use datum_sync::model::error::{Code, Result};
use datum_sync::model::status::SyncResult;
use datum_sync::plan::write::{Write, Written};
use datum_sync::ports::host::Host;
use datum_sync::ports::remote::Remote;

pub use super::clock::Clock;
pub use super::disk::{CountedStore, Disk, StorageCounts};
pub use super::host::{Guard, Holder, Inbox, Locks, TabChannel, TestHost};
pub use super::test_remote::{Fault, Request, Script, Streams, TestRemote};

/// A config whose requests are not repeated within a cycle.
pub const ONE_TRY: &str = r#"{"entities":{"tasks":{}},"retry":{"maxAttempts":1}}"#;

/// Returns the id of an entity.
pub fn id_of(entity: &serde_json::Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

pub type App = Engine<Disk, TestRemote, TestHost>;

/// One tab of one device.
pub struct Tab {
    pub engine: Rc<App>,
    pub user: String,
    pub clock: Rc<Clock>,
}

/// One device.
pub struct Device {
    pub disk: Disk,
    pub remote: TestRemote,
    pub user: String,
    clock: Rc<Clock>,
    pub locks: Locks,
    pub channel: TabChannel,
    pub has_locks: Rc<Cell<bool>>,
    seed: Cell<u64>,
    config: String,
    /// The app's migrations, for tabs that are opened from now on.
    pub migrations: RefCell<Option<Rc<dyn Migrations>>>,
}

/// Devices and a server.
pub struct World {
    pub clock: Rc<Clock>,
    pub server: MemoryServer,
}

impl World {
    pub fn new() -> Self {
        Self {
            clock: Rc::default(),
            server: MemoryServer::new("epoch-1"),
        }
    }

    pub fn device(&self, name: &str) -> Device {
        self.device_of("ann", name)
    }

    pub fn device_of(&self, user: &str, name: &str) -> Device {
        Device {
            disk: Disk::new(name),
            remote: TestRemote {
                server: self.server.clone(),
                elsewhere: Rc::default(),
                clock: Rc::clone(&self.clock),
                faults: Rc::default(),
                seen: Rc::default(),
                streams: Rc::default(),
                on_request: Rc::default(),
                token_of: Rc::default(),
                vague: Rc::default(),
                careless: Rc::default(),
                address: None,
                server_id: None,
                takes_any_limit: Rc::new(Cell::new(true)),
                online: Rc::new(Cell::new(true)),
                works_offline: Rc::default(),
            },
            user: user.to_owned(),
            clock: Rc::clone(&self.clock),
            locks: Rc::default(),
            channel: TabChannel::default(),
            has_locks: Rc::new(Cell::new(true)),
            seed: Cell::new(
                name.bytes()
                    .fold(7, |n: u64, b| n.wrapping_mul(31).wrapping_add(u64::from(b))),
            ),
            config: r#"{"entities":{"tasks":{},"notes":{"deleteBehavior":"softDelete"}}}"#
                .to_owned(),
            migrations: RefCell::default(),
        }
    }
}

impl Device {
    /// Returns the same device with another config.
    pub fn with_config(mut self, json: &str) -> Self {
        self.config = json.to_owned();
        self
    }

    /// Opens a tab.
    pub fn open(&self) -> Tab {
        self.open_with(Resolvers::default())
    }

    pub fn open_with(&self, resolvers: Resolvers) -> Tab {
        self.try_open(resolvers).unwrap()
    }

    pub fn try_open(&self, resolvers: Resolvers) -> Result<Tab> {
        let tab = self.unopened(resolvers);
        tab.run(tab.engine.sign_in(&self.user))?;
        Ok(tab)
    }

    /// Returns a tab in which nobody is signed in yet.
    pub fn unopened(&self, resolvers: Resolvers) -> Tab {
        let config: serde_json::Value = serde_json::from_str(&self.config).unwrap();
        let config = Config::read(CheckedObject(&config));
        self.seed.set(self.seed.get().wrapping_add(1));
        let host = TestHost {
            clock: Rc::clone(&self.clock),
            online: Rc::new(Cell::new(true)),
            skew: Cell::new(0),
            locks: Rc::clone(&self.locks),
            channel: self.channel.clone(),
            tab: self.seed.get(),
            has_locks: Rc::clone(&self.has_locks),
            work_ms: Cell::new(0),
            yields: Rc::default(),
            lacks_part: Cell::new(false),
            stalls_part: Cell::new(false),
            loads: Cell::new(0),
            dice: Cell::new(self.seed.get()),
        };
        self.channel
            .inboxes
            .borrow_mut()
            .insert(self.seed.get(), VecDeque::new());
        let remote = TestRemote {
            online: Rc::clone(&host.online),
            ..self.remote.clone()
        };
        let engine = Rc::new(Engine::new(
            self.disk.tab(),
            remote,
            Rc::new(host),
            config,
            resolvers,
        ));
        engine.replace_migrations(self.migrations.borrow().clone());
        Tab {
            engine,
            user: self.user.clone(),
            clock: Rc::clone(&self.clock),
        }
    }

    /// Queues a fault for the next request whose path ends with `path`.
    pub fn fault(&self, path: &'static str, fault: Fault) {
        self.remote.faults.borrow_mut().push_back((path, fault));
    }

    /// Returns the requests since the last call as `METHOD /path`.
    pub fn requests(&self) -> Vec<String> {
        self.remote
            .seen
            .take()
            .iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    pub fn counts(&self) -> StorageCounts {
        self.disk
            .stores
            .borrow()
            .get(&self.user)
            .map(|store| store.counts.get())
            .unwrap_or_default()
    }

    /// Removes the user's database as a browser does when it evicts storage.
    pub fn evict(&self) {
        self.store().inner.evict();
    }

    pub fn store(&self) -> CountedStore {
        self.store_of(&self.user)
    }

    /// The log of one of the device's users.
    pub fn store_of(&self, user: &str) -> CountedStore {
        self.disk.stores.borrow()[user].clone()
    }
}

impl Tab {
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.clock.run(future)
    }

    pub fn write(&self, entity: &str, write: Write) -> Result<Written> {
        self.clock.advance(10);
        self.run(
            self.engine
                .entities()
                .write(&self.user, entity, vec![write]),
        )
        .map(|mut written| written.remove(0))
    }

    pub fn create(&self, json: &str) -> serde_json::Value {
        match self
            .write(
                "tasks",
                Write::Create {
                    draft: json.to_owned(),
                },
            )
            .unwrap()
        {
            Written::Entity(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn patch(&self, id: &str, changes: &str) -> serde_json::Value {
        match self
            .write(
                "tasks",
                Write::Patch {
                    id: id.to_owned(),
                    changes: changes.to_owned(),
                },
            )
            .unwrap()
        {
            Written::Entity(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn delete(&self, id: &str) -> bool {
        matches!(
            self.write(
                "tasks",
                Write::Delete {
                    id: id.to_owned(),
                    soft: false
                }
            )
            .unwrap(),
            Written::Deleted(_)
        )
    }

    pub fn read(&self, id: &str) -> Option<serde_json::Value> {
        self.read_in("tasks", id, false)
    }

    pub fn read_in(
        &self,
        entity: &str,
        id: &str,
        include_deleted: bool,
    ) -> Option<serde_json::Value> {
        let text = self
            .run(
                self.engine
                    .entities()
                    .read(&self.user, entity, id, include_deleted),
            )
            .unwrap();
        text.map(|text| serde_json::from_str(&text).unwrap())
    }

    /// Creates a task for any user of this device.
    pub fn create_for(&self, user: &str, title: &str) {
        let draft = serde_json::json!({ "title": title }).to_string();
        self.run(
            self.engine
                .entities()
                .write(user, "tasks", vec![Write::Create { draft }]),
        )
        .unwrap();
    }

    pub fn titles(&self) -> Vec<String> {
        self.titles_of(&self.user)
    }

    pub fn titles_of(&self, user: &str) -> Vec<String> {
        let text = self
            .run(self.engine.entities().read_all(user, "tasks", false))
            .unwrap();
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut titles: Vec<String> = all
            .iter()
            .map(|task| task["title"].as_str().unwrap_or("").to_owned())
            .collect();
        titles.sort();
        titles
    }

    pub fn pending(&self) -> u64 {
        self.run(self.engine.pending().count(&self.user)).unwrap()
    }

    /// Syncs with options as JSON.
    pub fn sync_with(&self, options: &str) -> Result<SyncResult> {
        self.sync_until(options, Rc::default())
    }

    /// As [`Self::sync_with`], until it is cancelled.
    pub fn sync_until(&self, options: &str, cancel: Rc<Cancel>) -> Result<SyncResult> {
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        let options = Options::read(CheckedObject(&options));
        self.run(self.engine.synchronize(&self.user, options, None, cancel))
    }

    pub fn sync(&self) -> SyncResult {
        self.sync_with("{}").unwrap()
    }
}

/// A resolver that calls a function.
pub struct FnResolver<F>(pub F);

impl<F: Fn(&Conflict) -> Result<Resolution>> Resolver for FnResolver<F> {
    fn resolve<'a>(
        &'a self,
        conflict: &'a Conflict,
    ) -> futures_util::future::LocalBoxFuture<'a, Result<Resolution>> {
        let answer = (self.0)(conflict);
        Box::pin(async move { answer })
    }
}
