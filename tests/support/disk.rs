//! The storage that a device's tabs share: memory stores that count and fail on request, and the
//! notes kept beside them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use datum_sync::engine::Backing;
use datum_sync::log::address::{BodyId, Seq};
use datum_sync::model::config::storage::Durability;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::ports::backing::NoteReason;
use datum_sync::ports::loss_detection::LossDetector;
use datum_sync::ports::memory_store::MemoryStore;
use datum_sync::ports::store::{Append, AppendError, Records, Store, Tail};
use datum_sync::util::local_sync::yield_now;

/// Counts of storage operations.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageCounts {
    /// Writing transactions.
    pub transactions: u64,
    pub records: u64,
    /// Reading transactions.
    pub reads: u64,
}

/// A callback, and the number of appends, or of looks at the tail, until it is called.
type AfterAppends = (u64, Box<dyn FnOnce()>);

/// A memory store that counts, and fails on request.
#[derive(Clone, Default)]
pub struct CountedStore {
    pub inner: MemoryStore,
    pub counts: Rc<Cell<StorageCounts>>,
    /// The next appends fail with this code, writing nothing.
    pub failing: Rc<RefCell<VecDeque<Code>>>,
    /// The next loads fail with this code.
    pub failing_loads: Rc<RefCell<VecDeque<Code>>>,
    /// The next wipes fail with this code.
    pub failing_wipes: Rc<RefCell<VecDeque<Code>>>,
    /// Bodies come back with a byte flipped.
    pub damaged: Rc<Cell<bool>>,
    /// For how many turns others run before bodies are looked up, and then before they are there.
    pub body_turns: Rc<Cell<(u32, u32)>>,
    after_appends: Rc<RefCell<Option<AfterAppends>>>,
    before_tails: Rc<RefCell<Option<AfterAppends>>>,
    before_wipes: Rc<RefCell<Option<AfterAppends>>>,
}

impl CountedStore {
    /// Calls `call` as soon as `appends` more appends are stored, before the last of them returns.
    pub fn after_appends(&self, appends: u64, call: impl FnOnce() + 'static) {
        if appends == 0 {
            call();
        } else {
            *self.after_appends.borrow_mut() = Some((appends, Box::new(call)));
        }
    }

    /// Calls `call` in front of that look at what other tabs have written: what it does is seen.
    pub fn before_tail(&self, look: u64, call: impl FnOnce() + 'static) {
        *self.before_tails.borrow_mut() = Some((look, Box::new(call)));
    }

    /// Calls `call` in front of the next wipe: what it does is wiped too.
    pub fn before_wipe(&self, call: impl FnOnce() + 'static) {
        *self.before_wipes.borrow_mut() = Some((1, Box::new(call)));
    }

    fn count(waiting: &RefCell<Option<AfterAppends>>) {
        let due = waiting.take();
        match due {
            Some((1, call)) => call(),
            Some((more, call)) => *waiting.borrow_mut() = Some((more - 1, call)),
            None => {}
        }
    }

    fn count_read(&self) {
        let counts = self.counts.get();
        self.counts.set(StorageCounts {
            reads: counts.reads + 1,
            ..counts
        });
    }
}

impl Store for CountedStore {
    async fn load(&self) -> Result<Records> {
        if let Some(code) = self.failing_loads.borrow_mut().pop_front() {
            return Err(Error::new(code, "The storage failed, as the test asked."));
        }
        self.count_read();
        self.inner.load().await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        Self::count(&self.before_tails);
        self.count_read();
        self.inner.tail(after).await
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        if let Some(code) = self.failing.borrow_mut().pop_front() {
            return Err(AppendError::Failed(Error::new(
                code,
                "The storage failed, as the test asked.",
            )));
        }
        // Pending once, as in browsers, so that writes made meanwhile can join the next commit.
        yield_now().await;
        let mut counts = self.counts.get();
        counts.transactions += 1;
        counts.records += 1 + append.bodies.len() as u64;
        self.counts.set(counts);
        self.inner.append(append, durability).await?;
        Self::count(&self.after_appends);
        Ok(())
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        self.count_read();
        let (before, after) = self.body_turns.get();
        for _ in 0..before {
            yield_now().await;
        }
        let mut bodies = self.inner.bodies(ids).await?;
        for _ in 0..after {
            yield_now().await;
        }
        for body in bodies.iter_mut().flatten().filter(|_| self.damaged.get()) {
            let mut bytes = body.to_vec();
            bytes[0] ^= 1;
            *body = Rc::from(bytes);
        }
        Ok(bodies)
    }

    async fn free(&self, below: Seq) -> Result<()> {
        self.inner.free(below).await
    }

    async fn wipe(&self) -> Result<()> {
        Self::count(&self.before_wipes);
        if let Some(code) = self.failing_wipes.borrow_mut().pop_front() {
            return Err(Error::new(code, "The storage failed, as the test asked."));
        }
        self.inner.wipe().await
    }

    fn rest(&self) {
        self.inner.rest();
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
    /// Notes about each log, kept in the app's database.
    pub notes: Rc<RefCell<BTreeMap<String, String>>>,
    /// Notes about each log, kept in `localStorage`.
    pub field_hashes: Rc<RefCell<BTreeMap<String, String>>>,
    /// The number of notes written.
    pub noted: Rc<Cell<u64>>,
    wipes: Rc<RefCell<BTreeMap<String, u64>>>,
    loss_detector: Rc<LossDetector>,
}

impl Disk {
    pub fn new(device_id: &str) -> Self {
        Self {
            stores: Rc::default(),
            device_id: device_id.to_owned(),
            durable: Rc::new(Cell::new(true)),
            notes: Rc::default(),
            field_hashes: Rc::default(),
            noted: Rc::default(),
            wipes: Rc::default(),
            loss_detector: Rc::default(),
        }
    }

    /// Returns the same profile for another tab.
    pub fn tab(&self) -> Self {
        Self {
            loss_detector: Rc::default(),
            ..self.clone()
        }
    }
}

impl Backing for Disk {
    type Store = CountedStore;

    async fn open(&self, user_id: &str) -> Result<CountedStore> {
        let mut stores = self.stores.borrow_mut();
        let store = stores.entry(user_id.to_owned()).or_default();
        let wipes = self
            .wipes
            .borrow()
            .get(user_id)
            .copied()
            .unwrap_or_default();
        let notes =
            [&self.notes, &self.field_hashes].map(|place| place.borrow().get(user_id).cloned());
        self.loss_detector
            .opened(user_id, &store.inner.identity(), wipes, notes);
        Ok(CountedStore {
            inner: store.inner.reopen(),
            counts: Rc::clone(&store.counts),
            failing: Rc::clone(&store.failing),
            failing_loads: Rc::clone(&store.failing_loads),
            failing_wipes: Rc::clone(&store.failing_wipes),
            damaged: Rc::clone(&store.damaged),
            body_turns: Rc::clone(&store.body_turns),
            after_appends: Rc::clone(&store.after_appends),
            before_tails: Rc::clone(&store.before_tails),
            before_wipes: Rc::clone(&store.before_wipes),
        })
    }

    fn nothing(&self) -> CountedStore {
        CountedStore::default()
    }

    fn device_id(&self, user_id: &str) -> String {
        self.loss_detector.device_id(user_id, &self.device_id)
    }

    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>> {
        self.loss_detector.loss(user_id, head, pending)
    }

    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason) {
        let Some(identity) = self
            .stores
            .borrow()
            .get(user_id)
            .map(|store| store.inner.identity())
        else {
            return;
        };
        if let Some(note) = self
            .loss_detector
            .seen(user_id, &identity, head, pending, occasion)
        {
            self.noted.set(self.noted.get() + 1);
            self.notes
                .borrow_mut()
                .insert(user_id.to_owned(), note.clone());
            self.field_hashes
                .borrow_mut()
                .insert(user_id.to_owned(), note);
        }
    }

    fn is_durable(&self) -> bool {
        self.durable.get()
    }

    async fn users(&self) -> Result<Vec<String>> {
        Ok(self.stores.borrow().keys().cloned().collect())
    }

    async fn forget(&self, user_id: &str) -> Result<()> {
        self.stores.borrow_mut().remove(user_id);
        self.notes.borrow_mut().remove(user_id);
        self.field_hashes.borrow_mut().remove(user_id);
        *self
            .wipes
            .borrow_mut()
            .entry(user_id.to_owned())
            .or_default() += 1;
        self.loss_detector.forget(user_id);
        Ok(())
    }
}
