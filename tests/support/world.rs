//! Devices, a server and a network that misbehaves on request, in virtual time: the real engine on
//! memory stores against the very rules that the server runs. No test waits for anything.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use datum_server::MemoryServer;
use datum_sync::config::{Config, Options};
use datum_sync::conflict::{Conflict, Resolution};
use datum_sync::datum::{Backing, Engine};
use datum_sync::error::{Code, Error, Result};
use datum_sync::host::{Host, StorageEstimate};
use datum_sync::members::Members;
use datum_sync::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::remote::{Pulled, Pushed, Remote};
use datum_sync::replica::local::{Write, Written};
use datum_sync::status::SyncResult;
use datum_sync::store::memory::MemoryStore;
use datum_sync::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};
use datum_sync::sync::Cancel;
use datum_sync::sync::resolve::{Resolver, Resolvers};

pub const EPOCH_2026: u64 = 1_790_000_000_000;

/// One clock for a whole world; sleeping is what moves it.
#[derive(Default)]
pub struct Clock {
    now: Cell<u64>,
    next: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl Clock {
    pub fn now(&self) -> u64 {
        EPOCH_2026 + self.now.get()
    }

    pub fn advance(&self, ms: u64) {
        self.now.set(self.now.get() + ms);
    }

    /// Runs a future to its end; when nothing else can go on, time goes to the next timer.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        struct Flag(AtomicBool);
        impl Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            while flag.0.swap(false, Ordering::SeqCst) {
                if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                    return value;
                }
            }
            let first = self.timers.borrow().keys().next().copied();
            let (at, id) = first.expect("nothing can go on, and no timer runs: a deadlock");
            self.now.set(self.now.get().max(at));
            let waker = self.timers.borrow_mut().remove(&(at, id));
            waker.unwrap().wake();
        }
    }

    fn sleep(self: &Rc<Self>, ms: u64) -> Sleep {
        let id = self.next.get();
        self.next.set(id + 1);
        Sleep { clock: Rc::clone(self), at: self.now.get() + ms, id, armed: false }
    }
}

struct Sleep {
    clock: Rc<Clock>,
    at: u64,
    id: u64,
    armed: bool,
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now.get() >= self.at {
            return Poll::Ready(());
        }
        self.armed = true;
        self.clock.timers.borrow_mut().insert((self.at, self.id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.timers.borrow_mut().remove(&(self.at, self.id));
    }
}

/// Locks that all tabs of a device share.
pub type Locks = Rc<RefCell<BTreeSet<String>>>;

pub struct FakeHost {
    pub clock: Rc<Clock>,
    pub online: Cell<bool>,
    /// How far this device's clock is off, in milliseconds.
    pub skew: Cell<i64>,
    pub locks: Locks,
    dice: Cell<u64>,
}

pub struct Guard(Locks, String);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.borrow_mut().remove(&self.1);
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

    async fn try_lock(&self, name: &str) -> Result<Option<Guard>> {
        let free = self.locks.borrow_mut().insert(name.to_owned());
        Ok(free.then(|| Guard(Rc::clone(&self.locks), name.to_owned())))
    }

    fn announce(&self, _: &str, _: u64) {}

    async fn storage(&self) -> StorageEstimate {
        StorageEstimate::default()
    }
}

/// What the network does to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// The server does the work, and its answer is lost.
    ReplyLost,
    /// The server answers this status, and does nothing.
    Status(u16, Option<u64>),
    /// The server does the work, and these bytes arrive instead of its answer.
    Garbled(Vec<u8>),
    /// The answer comes after that many milliseconds.
    Slow(u64),
}

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub body: Vec<u8>,
}

/// A device's way to the server.
#[derive(Clone)]
pub struct Wire {
    pub server: MemoryServer,
    pub clock: Rc<Clock>,
    pub faults: Rc<RefCell<VecDeque<(&'static str, Fault)>>>,
    pub seen: Rc<RefCell<Vec<Request>>>,
    /// Called when a request arrives, before the server does anything.
    pub on_request: Rc<RefCell<Option<Box<dyn Fn(&Request)>>>>,
}

enum Answer {
    Body(Vec<u8>),
    Gone,
    TooLarge,
}

impl Wire {
    async fn ask(&self, user: &str, method: &'static str, path: &str, body: Vec<u8>) -> Result<Answer> {
        let request = Request { method, path: path.to_owned(), body };
        self.seen.borrow_mut().push(request.clone());
        if let Some(hook) = &*self.on_request.borrow() {
            hook(&request);
        }
        let fault = {
            let mut faults = self.faults.borrow_mut();
            let at = faults.iter().position(|(only, _)| path.ends_with(only));
            at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
        };
        let serve = || self.server.handle(user, method, &format!("/sync/v1{path}"), &request.body, self.clock.now());
        let (status, body) = match fault {
            None => serve(),
            Some(Fault::Lost) => return Err(Error::new(Code::Network, "The request was lost.")),
            Some(Fault::ReplyLost) => {
                let _ = serve();
                return Err(Error::new(Code::Network, "The answer was lost."));
            }
            Some(Fault::Status(status, after)) => return self.classify(status, after, Vec::new()),
            Some(Fault::Garbled(bytes)) => {
                let _ = serve();
                (200, bytes)
            }
            Some(Fault::Slow(ms)) => {
                self.clock.sleep(ms).await;
                serve()
            }
        };
        self.classify(status, None, body)
    }

    fn classify(&self, status: u16, after: Option<u64>, body: Vec<u8>) -> Result<Answer> {
        let code = match status {
            200..=299 => return Ok(Answer::Body(body)),
            410 => return Ok(Answer::Gone),
            413 => return Ok(Answer::TooLarge),
            401 => Code::Unauthorized,
            403 => Code::Forbidden,
            409 => Code::UserMismatch,
            426 => Code::ClientOutdated,
            429 => Code::RateLimited,
            408 | 425 | 500..=599 => Code::ServerError,
            _ => Code::Protocol,
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        Err(Error::new(code, format!("status {status}")).with_status(status).with_retry_after(after).caused_by(text))
    }
}

impl Remote for Wire {
    async fn pull(&self, user: &str, request: &PullRequest) -> Result<Pulled> {
        match self.ask(user, "POST", "/pull", serde_json::to_vec(request).unwrap()).await? {
            Answer::Body(bytes) => Ok(Pulled::Page(bytes)),
            Answer::Gone => Ok(Pulled::CursorGone),
            Answer::TooLarge => unreachable!(),
        }
    }

    async fn push(&self, user: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let body = serde_json::to_vec(request).unwrap();
        let sent = body.len() as u64;
        match self.ask(user, "POST", "/push", body).await? {
            Answer::Body(bytes) => Ok(Pushed::Reply { bytes, sent }),
            Answer::TooLarge => Ok(Pushed::TooLarge),
            Answer::Gone => unreachable!(),
        }
    }

    async fn metadata(&self, user: &str) -> Result<Option<Vec<u8>>> {
        match self.ask(user, "GET", "/metadata", Vec::new()).await? {
            Answer::Body(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    async fn put_metadata(&self, user: &str, metadata: &DeviceMetadata) -> Result<()> {
        self.ask(user, "PUT", "/metadata", serde_json::to_vec(metadata).unwrap()).await.map(|_| ())
    }

    async fn clear_metadata(&self, user: &str) -> Result<()> {
        self.ask(user, "DELETE", "/metadata", Vec::new()).await.map(|_| ())
    }

    async fn health(&self) -> Result<bool> {
        Ok(true)
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
}

impl Store for CountedStore {
    async fn load(&self) -> Result<Records> {
        self.inner.load().await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        self.inner.tail(after).await
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        if let Some(code) = self.failing.borrow_mut().pop_front() {
            return Err(AppendError::Failed(Error::new(code, "The storage failed, as the test asked.")));
        }
        let mut counts = self.counts.get();
        counts.transactions += 1;
        counts.records += 1 + append.bodies.len() as u64;
        self.counts.set(counts);
        self.inner.append(append, durability).await
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        self.inner.bodies(ids).await
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
        Ok(CountedStore { inner: store.inner.reopen(), counts: Rc::clone(&store.counts), failing: Rc::clone(&store.failing) })
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
    clock: Rc<Clock>,
}

/// One device.
pub struct Device {
    pub disk: Disk,
    pub wire: Wire,
    pub user: String,
    clock: Rc<Clock>,
    locks: Locks,
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
                on_request: Rc::default(),
            },
            user: user.to_owned(),
            clock: Rc::clone(&self.clock),
            locks: Rc::default(),
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
            dice: Cell::new(self.seed.get()),
        };
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

    pub fn titles(&self) -> Vec<String> {
        let text = self.run(self.engine.read_all(&self.user, "tasks", false)).unwrap();
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
