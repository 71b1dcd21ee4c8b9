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
pub use super::wire::{Fault, Request, Script, Streams, Wire};
use datum_server::MemoryServer;
use datum_sync::config::{Config, Options};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::datum::{Backing, Engine};
use datum_sync::error::{Code, Error, Result};
use datum_sync::host::{Heard, Host, StorageEstimate};
use datum_sync::members::Members;
use datum_sync::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::remote::{Pulled, Pushed, Remote};
use datum_sync::replica::local::{Write, Written};
use datum_sync::status::SyncResult;
use datum_sync::store::memory::MemoryStore;
use datum_sync::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};
use datum_sync::sync::Cancel;
use datum_sync::sync::resolve::{Resolver, Resolvers};
use datum_sync::wait::Notify;

/// Locks that all tabs of a device share, with who hears that one is stolen.
pub type Locks = Rc<RefCell<BTreeMap<String, Holder>>>;
pub type Holder = Rc<RefCell<Option<Rc<dyn Fn()>>>>;

/// What the tabs of a device say to each other: what each has not heard yet, with the database that it is about.
#[derive(Clone, Default)]
pub struct Air {
    pub mail: Rc<RefCell<BTreeMap<u64, Mail>>>,
    pub come: Rc<Notify>,
}

pub type Mail = VecDeque<(String, Heard)>;

impl Air {
    fn post(&self, from: u64, database: &str, message: &Heard) {
        for (_, mail) in self.mail.borrow_mut().iter_mut().filter(|(tab, _)| **tab != from) {
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
    dice: Cell<u64>,
}

pub struct Guard(Locks, String, Holder);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut locks = self.0.borrow_mut();
        if locks.get(&self.1).is_some_and(|holder| Rc::ptr_eq(holder, &self.2)) {
            locks.remove(&self.1);
        }
    }
}

impl Host for FakeHost {
    type Guard = Guard;

    fn now_ms(&self) -> u64 {
        self.clock.now().saturating_add_signed(self.skew.get())
    }

    fn elapsed_ms(&self) -> u64 {
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

    fn is_online(&self) -> bool {
        self.online.get()
    }

    async fn lock(&self, name: &str, steal: bool) -> Result<Option<Guard>> {
        let robbed = match self.locks.borrow().get(name) {
            Some(_) if !steal => return Ok(None),
            robbed => robbed.cloned(),
        };
        let holder = Holder::default();
        self.locks.borrow_mut().insert(name.to_owned(), Rc::clone(&holder));
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
        self.air.post(self.tab, database, &Heard::Word(word.to_owned()));
    }

    async fn storage(&self) -> StorageEstimate {
        StorageEstimate::default()
    }
}

/// What storage counted.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Records1 {
    pub transactions: u64,
    pub records: u64,
}

/// A memory store that counts, and fails on request.
#[derive(Clone, Default)]
pub struct CountedStore {
    pub inner: MemoryStore,
    pub counts: Rc<Cell<Records1>>,
    /// The next appends fail with this code, writing nothing.
    pub failing: Rc<RefCell<VecDeque<Code>>>,
    /// The next loads fail with this code.
    pub failing_loads: Rc<RefCell<VecDeque<Code>>>,
    /// Bodies come back with a byte flipped.
    pub damaged: Rc<Cell<bool>>,
}

impl Store for CountedStore {
    async fn load(&self) -> Result<Records> {
        if let Some(code) = self.failing_loads.borrow_mut().pop_front() {
            return Err(Error::new(code, "The storage failed, as the test asked."));
        }
        self.inner.load().await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        self.inner.tail(after).await
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        if let Some(code) = self.failing.borrow_mut().pop_front() {
            return Err(AppendError::Failed(Error::new(code, "The storage failed, as the test asked.")));
        }
        // As a browser's: never at once, so that what is asked for meanwhile can join the next one.
        let mut turns = 1;
        std::future::poll_fn(|context| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let mut counts = self.counts.get();
        counts.transactions += 1;
        counts.records += 1 + append.bodies.len() as u64;
        self.counts.set(counts);
        self.inner.append(append, durability).await
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        let mut bodies = self.inner.bodies(ids).await?;
        for body in bodies.iter_mut().flatten().filter(|_| self.damaged.get()) {
            let mut bytes = body.to_vec();
            bytes[0] ^= 1;
            *body = Rc::from(bytes);
        }
        Ok(bodies)
    }

    async fn wipe(&self) -> Result<()> {
        self.inner.wipe().await
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// One browser profile: its databases outlive tabs.
#[derive(Clone)]
pub struct Disk {
    pub stores: Rc<RefCell<BTreeMap<String, CountedStore>>>,
    pub device_id: String,
    pub durable: Rc<Cell<bool>>,
}

impl Backing for Disk {
    type Store = CountedStore;

    async fn open(&self, user_id: &str) -> Result<CountedStore> {
        let mut stores = self.stores.borrow_mut();
        let store = stores.entry(user_id.to_owned()).or_default();
        Ok(CountedStore {
            inner: store.inner.reopen(),
            counts: Rc::clone(&store.counts),
            failing: Rc::clone(&store.failing),
            failing_loads: Rc::clone(&store.failing_loads),
            damaged: Rc::clone(&store.damaged),
        })
    }

    fn device_id(&self) -> String {
        self.device_id.clone()
    }

    fn is_durable(&self) -> bool {
        self.durable.get()
    }

    async fn users(&self) -> Result<Vec<String>> {
        Ok(self.stores.borrow().keys().cloned().collect())
    }

    async fn forget(&self, user_id: &str) -> Result<()> {
        self.stores.borrow_mut().remove(user_id);
        Ok(())
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
        Self { clock: Rc::default(), server: MemoryServer::new("epoch-1") }
    }

    pub fn device(&self, name: &str) -> Device {
        self.device_of("ann", name)
    }

    pub fn device_of(&self, user: &str, name: &str) -> Device {
        Device {
            disk: Disk { stores: Rc::default(), device_id: name.to_owned(), durable: Rc::new(Cell::new(true)) },
            wire: Wire {
                server: self.server.clone(),
                clock: Rc::clone(&self.clock),
                faults: Rc::default(),
                seen: Rc::default(),
                streams: Rc::default(),
                on_request: Rc::default(),
                token_of: Rc::default(),
            },
            user: user.to_owned(),
            clock: Rc::clone(&self.clock),
            locks: Rc::default(),
            air: Air::default(),
            seed: Cell::new(name.bytes().fold(7, |n: u64, b| n.wrapping_mul(31).wrapping_add(u64::from(b)))),
            config: r#"{"entities":{"tasks":{},"notes":{"deleteBehavior":"softDelete"}}}"#.to_owned(),
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
        let config: serde_json::Value = serde_json::from_str(&self.config).unwrap();
        let config = Config::read(Members::new(&config, Code::InvalidConfig, "The config").unwrap()).unwrap();
        self.seed.set(self.seed.get().wrapping_add(1));
        let host = FakeHost {
            clock: Rc::clone(&self.clock),
            online: Cell::new(true),
            skew: Cell::new(0),
            locks: Rc::clone(&self.locks),
            air: self.air.clone(),
            tab: self.seed.get(),
            dice: Cell::new(self.seed.get()),
        };
        self.air.mail.borrow_mut().insert(self.seed.get(), VecDeque::new());
        let engine = Rc::new(Engine::new(self.disk.clone(), self.wire.clone(), Rc::new(host), config, resolvers));
        self.clock.run(engine.sign_in(&self.user)).unwrap();
        Tab { engine, user: self.user.clone(), clock: Rc::clone(&self.clock) }
    }

    /// The next request whose path ends so meets this.
    pub fn fault(&self, path: &'static str, fault: Fault) {
        self.wire.faults.borrow_mut().push_back((path, fault));
    }

    /// Requests since the last call, as `METHOD /path`.
    pub fn requests(&self) -> Vec<String> {
        self.wire.seen.take().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub fn counts(&self) -> Records1 {
        self.disk.stores.borrow().get(&self.user).map(|store| store.counts.get()).unwrap_or_default()
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
        self.run(self.engine.write(&self.user, entity, vec![write])).map(|mut written| written.remove(0))
    }

    pub fn create(&self, json: &str) -> serde_json::Value {
        match self.write("tasks", Write::Create { draft: json.to_owned() }).unwrap() {
            Written::Entity(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn patch(&self, id: &str, changes: &str) -> serde_json::Value {
        match self.write("tasks", Write::Patch { id: id.to_owned(), changes: changes.to_owned() }).unwrap() {
            Written::Entity(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn delete(&self, id: &str) -> bool {
        matches!(self.write("tasks", Write::Delete { id: id.to_owned(), soft: false }).unwrap(), Written::Deleted(_))
    }

    pub fn read(&self, id: &str) -> Option<serde_json::Value> {
        self.read_in("tasks", id, false)
    }

    pub fn read_in(&self, entity: &str, id: &str, include_deleted: bool) -> Option<serde_json::Value> {
        let text = self.run(self.engine.read(&self.user, entity, id, include_deleted)).unwrap();
        text.map(|text| serde_json::from_str(&text).unwrap())
    }

    /// A task of any user of this device.
    pub fn create_for(&self, user: &str, title: &str) {
        let draft = serde_json::json!({ "title": title }).to_string();
        self.run(self.engine.write(user, "tasks", vec![Write::Create { draft }])).unwrap();
    }

    pub fn titles(&self) -> Vec<String> {
        self.titles_of(&self.user)
    }

    pub fn titles_of(&self, user: &str) -> Vec<String> {
        let text = self.run(self.engine.read_all(user, "tasks", false)).unwrap();
        let all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let mut titles: Vec<String> = all.iter().map(|task| task["title"].as_str().unwrap_or("").to_owned()).collect();
        titles.sort();
        titles
    }

    pub fn pending(&self) -> u64 {
        self.run(self.engine.pending_count(&self.user)).unwrap()
    }

    /// Syncs with options as JSON.
    pub fn sync_with(&self, options: &str) -> Result<SyncResult> {
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        let options = Options::read(Members::new(&options, Code::InvalidArgument, "The sync options")?)?;
        self.run(self.engine.synchronize(&self.user, options, None, Rc::default()))
    }

    pub fn sync(&self) -> SyncResult {
        self.sync_with("{}").unwrap()
    }
}

/// A resolver made of a function.
pub struct Asked<F>(pub F);

impl<F: Fn(&Conflict) -> Result<Resolution>> Resolver for Asked<F> {
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> futures_util::future::LocalBoxFuture<'a, Result<Resolution>> {
        let answer = (self.0)(conflict);
        Box::pin(async move { answer })
    }
}
