//! Devices, a server and a network that misbehaves on request, in virtual time: the real engine on
//! memory stores against the very rules that the server runs. No test waits for anything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub use super::clock::Clock;
pub use super::disk::{CountedStore, Disk, Records1};
pub use super::wire::{Fault, Request, Script, Streams, Wire};
use datum_server::MemoryServer;
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::engine::Engine;
use datum_sync::engine::cycle::Cancel;
use datum_sync::engine::cycle::resolve::{Resolver, Resolvers};
use datum_sync::model::config::{Config, Options};
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::model::object_reader::ObjectReader;
use datum_sync::model::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::model::status::SyncResult;
use datum_sync::plan::write::{Write, Written};
use datum_sync::ports::host::{Heard, Host, StorageEstimate};
use datum_sync::ports::remote::{Pulled, Pushed, Remote};
use datum_sync::util::local_sync::Notify;

/// Locks that all tabs of a device share, with who hears that one is stolen.
pub type Locks = Rc<RefCell<BTreeMap<String, Holder>>>;
pub type Holder = Rc<RefCell<Option<Rc<dyn Fn()>>>>;

/// What the tabs of a device say to each other: what each has not heard yet, with the database that
/// it is about.
#[derive(Clone, Default)]
pub struct Air {
    pub mail: Rc<RefCell<BTreeMap<u64, Mail>>>,
    pub come: Rc<Notify>,
}

pub type Mail = VecDeque<(String, Heard)>;

impl Air {
    fn post(&self, from: u64, database: &str, message: &Heard) {
        for (_, mail) in self
            .mail
            .borrow_mut()
            .iter_mut()
            .filter(|(tab, _)| **tab != from)
        {
            mail.push_back((database.to_owned(), message.clone()));
        }
        self.come.notify_waiters();
    }
}

pub struct FakeHost {
    pub clock: Rc<Clock>,
    pub online: Cell<bool>,
    /// How far this device's clock is off, in milliseconds.
    pub skew: Cell<i64>,
    pub locks: Locks,
    pub air: Air,
    /// Which tab of the device this is.
    pub tab: u64,
    /// Whether the browser knows of locks.
    pub has_locks: Rc<Cell<bool>>,
    /// How much later it is each time that somebody looks at the clock: the work in between takes
    /// its time.
    pub toil: Cell<u64>,
    /// How often everything else was let run first.
    pub breaths: Cell<u64>,
    dice: Cell<u64>,
}

pub struct Guard(Locks, String, Holder);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut locks = self.0.borrow_mut();
        if locks
            .get(&self.1)
            .is_some_and(|holder| Rc::ptr_eq(holder, &self.2))
        {
            locks.remove(&self.1);
        }
    }
}

/// The shared form of a lock: an entry of its own beside the lock's name.
impl FakeHost {
    fn is_shared(&self, name: &str) -> bool {
        self.locks.borrow().keys().any(|held| {
            held.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('#'))
        })
    }
}

impl Host for FakeHost {
    type Guard = Guard;
    type Share = Guard;

    fn now_ms(&self) -> u64 {
        self.clock.now().saturating_add_signed(self.skew.get())
    }

    fn elapsed_ms(&self) -> u64 {
        self.clock.now.set(self.clock.now.get() + self.toil.get());
        self.clock.now.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            // SplitMix64: every test throws the same dice.
            let mut z = self.dice.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.dice.set(z);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z ^ (z >> 31)) as u8;
        }
    }

    async fn sleep(&self, ms: u64) {
        self.clock.sleep(ms).await;
    }

    async fn breathe(&self) {
        self.breaths.set(self.breaths.get() + 1);
        self.sleep(0).await;
    }

    fn is_online(&self) -> bool {
        self.online.get()
    }

    async fn lock(&self, name: &str, steal: bool) -> Result<Option<Guard>> {
        if self.is_shared(name) {
            return Ok(None);
        }
        let robbed = match self.locks.borrow().get(name) {
            Some(_) if !steal => return Ok(None),
            robbed => robbed.cloned(),
        };
        let holder = Holder::default();
        self.locks
            .borrow_mut()
            .insert(name.to_owned(), Rc::clone(&holder));
        if let Some(stolen) = robbed.and_then(|robbed| robbed.borrow().clone()) {
            stolen();
        }
        Ok(Some(Guard(Rc::clone(&self.locks), name.to_owned(), holder)))
    }

    fn on_stolen(&self, guard: &Guard, stolen: Rc<dyn Fn()>) {
        guard.2.replace(Some(stolen));
    }

    fn announce(&self, database: &str, head: u64) {
        self.air.post(self.tab, database, &Heard::Head(head));
    }

    fn say(&self, database: &str, word: &str) {
        self.air
            .post(self.tab, database, &Heard::Word(word.to_owned()));
    }

    async fn share(&self, name: &str, patience_ms: u64) -> Option<Guard> {
        if !self.has_locks.get() {
            return None;
        }
        let own = (0..)
            .map(|n| format!("{name}#{n}"))
            .find(|own| !self.locks.borrow().contains_key(own))?;
        let holder = Holder::default();
        self.locks
            .borrow_mut()
            .insert(own.clone(), Rc::clone(&holder));
        let share = Guard(Rc::clone(&self.locks), own, holder);
        let began = self.elapsed_ms();
        while self.locks.borrow().contains_key(name) && self.elapsed_ms() - began < patience_ms {
            self.sleep(10).await;
        }
        Some(share)
    }

    async fn storage(&self) -> StorageEstimate {
        StorageEstimate::default()
    }
}

pub type App = Engine<Disk, Wire, FakeHost>;

/// One tab of one device.
pub struct Tab {
    pub engine: Rc<App>,
    pub user: String,
    pub clock: Rc<Clock>,
}

/// One device.
pub struct Device {
    pub disk: Disk,
    pub wire: Wire,
    pub user: String,
    clock: Rc<Clock>,
    pub locks: Locks,
    pub air: Air,
    pub has_locks: Rc<Cell<bool>>,
    seed: Cell<u64>,
    config: String,
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
            wire: Wire {
                server: self.server.clone(),
                clock: Rc::clone(&self.clock),
                faults: Rc::default(),
                seen: Rc::default(),
                streams: Rc::default(),
                on_request: Rc::default(),
                token_of: Rc::default(),
                vague: Rc::default(),
                takes_any_limit: Rc::new(Cell::new(true)),
            },
            user: user.to_owned(),
            clock: Rc::clone(&self.clock),
            locks: Rc::default(),
            air: Air::default(),
            has_locks: Rc::new(Cell::new(true)),
            seed: Cell::new(
                name.bytes()
                    .fold(7, |n: u64, b| n.wrapping_mul(31).wrapping_add(u64::from(b))),
            ),
            config: r#"{"entities":{"tasks":{},"notes":{"deleteBehavior":"softDelete"}}}"#
                .to_owned(),
        }
    }
}

impl Device {
    /// The same device with another config.
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
        let config: serde_json::Value = serde_json::from_str(&self.config).unwrap();
        let config =
            Config::read(ObjectReader::new(&config, Code::InvalidConfig, "The config").unwrap())
                .unwrap();
        self.seed.set(self.seed.get().wrapping_add(1));
        let host = FakeHost {
            clock: Rc::clone(&self.clock),
            online: Cell::new(true),
            skew: Cell::new(0),
            locks: Rc::clone(&self.locks),
            air: self.air.clone(),
            tab: self.seed.get(),
            has_locks: Rc::clone(&self.has_locks),
            toil: Cell::new(0),
            breaths: Cell::new(0),
            dice: Cell::new(self.seed.get()),
        };
        self.air
            .mail
            .borrow_mut()
            .insert(self.seed.get(), VecDeque::new());
        let engine = Rc::new(Engine::new(
            self.disk.tab(),
            self.wire.clone(),
            Rc::new(host),
            config,
            resolvers,
        ));
        self.clock.run(engine.sign_in(&self.user))?;
        Ok(Tab {
            engine,
            user: self.user.clone(),
            clock: Rc::clone(&self.clock),
        })
    }

    /// The next request whose path ends so meets this.
    pub fn fault(&self, path: &'static str, fault: Fault) {
        self.wire.faults.borrow_mut().push_back((path, fault));
    }

    /// Requests since the last call, as `METHOD /path`.
    pub fn requests(&self) -> Vec<String> {
        self.wire
            .seen
            .take()
            .iter()
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    pub fn counts(&self) -> Records1 {
        self.disk
            .stores
            .borrow()
            .get(&self.user)
            .map(|store| store.counts.get())
            .unwrap_or_default()
    }

    /// The browser removes the user's database.
    pub fn evict(&self) {
        self.store().inner.evict();
    }

    pub fn store(&self) -> CountedStore {
        self.disk.stores.borrow()[&self.user].clone()
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

    /// A task of any user of this device.
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
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        let options = Options::read(ObjectReader::new(
            &options,
            Code::InvalidArgument,
            "The sync options",
        )?)?;
        self.run(
            self.engine
                .synchronize(&self.user, options, None, Rc::default()),
        )
    }

    pub fn sync(&self) -> SyncResult {
        self.sync_with("{}").unwrap()
    }
}

/// A resolver made of a function.
pub struct Asked<F>(pub F);

impl<F: Fn(&Conflict) -> Result<Resolution>> Resolver for Asked<F> {
    fn resolve<'a>(
        &'a self,
        conflict: &'a Conflict,
    ) -> futures_util::future::LocalBoxFuture<'a, Result<Resolution>> {
        let answer = (self.0)(conflict);
        Box::pin(async move { answer })
    }
}
