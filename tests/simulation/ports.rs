//! The state that the tabs of a device share, and the host and backing of each tab.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use datum_server::MemoryServer;
use datum_sync::engine::Backing;
use datum_sync::log::address::Seq;
use datum_sync::model::error::Result;
use datum_sync::ports::backing::NoteReason;
use datum_sync::ports::host::{Host, StorageEstimate};
use datum_sync::ports::memory_store::MemoryStore;

use serde_json::Value;

use super::dice::Dice;
use super::meetings::Meetings;
use super::misbehaviour::Misbehaviour;
use super::push_checks::PushChecker;
use super::storage::SimStore;
use super::tasks::{Owner, Tasks};
use super::world::App;
use crate::support::clock::Clock;

/// Which kinds of faults can happen now.
#[derive(Default)]
pub struct Weather {
    /// Requests are lost, doubled, delayed, cut and refused.
    pub network: Cell<bool>,
    /// Storage fails now and then.
    pub storage: Cell<bool>,
    /// Messages between tabs are lost.
    pub silence: Cell<bool>,
    /// The lock excludes nobody.
    pub broken_lock: Cell<bool>,
    /// The server's own fault.
    pub misbehaviour: Cell<Option<Misbehaviour>>,
}

/// What one device's tabs share.
pub struct Shared {
    pub clock: Rc<Clock>,
    pub dice: Rc<Dice>,
    pub tasks: Rc<Tasks>,
    pub weather: Rc<Weather>,
    pub push_checker: Rc<PushChecker>,
    pub online: Cell<bool>,
    /// Another server, which answers in place of the device's own until this moment.
    pub elsewhere: MemoryServer,
    pub elsewhere_until: Cell<u64>,
    pub skew: Cell<i64>,
    pub locks: RefCell<BTreeMap<String, Holder>>,
    pub stores: RefCell<BTreeMap<String, MemoryStore>>,
    pub device_id: String,
    /// The storage was lost at least once.
    pub evicted: Cell<bool>,
    /// Stored bodies may come back damaged.
    pub damages: Cell<bool>,
    /// Nothing can be written before this moment.
    pub full_until: Cell<u64>,
    /// The app's token is refused from this moment on, until it is refreshed.
    pub token_until: Cell<u64>,
    /// Whether everything that happens is recorded.
    pub traced: bool,
    /// Everything that happens, in order.
    pub trace: Rc<RefCell<Vec<String>>>,
    /// Heads announced and not delivered yet, each with its sender and database.
    pub announced: RefCell<Vec<(Owner, String, u64)>>,
    /// The open tabs, which hear each other's messages about the status.
    pub hearers: RefCell<Vec<(Owner, Weak<App>)>>,
    /// The tabs that have told of their own cycles, by user and start.
    pub begun: RefCell<BTreeMap<(String, String), BTreeSet<Owner>>>,
    /// The cycles that have met another server.
    pub meetings: Meetings,
}

impl Shared {
    /// Returns true if other tabs of this device have been open.
    pub fn has_others(&self, owner: Owner) -> bool {
        let hearers = self.hearers.borrow();
        hearers.iter().any(|(other, _)| *other != owner)
    }

    /// Returns the head of a user's log.
    pub fn head(&self, user: &str) -> Seq {
        let stores = self.stores.borrow();
        let keys = stores.get(user).map(MemoryStore::keys);
        keys.and_then(|keys| keys.last().copied())
            .unwrap_or_default()
    }

    /// Notes the start of a tab's own cycle from what it tells the others.
    fn note_begin(&self, owner: Owner, user: &str, word: &str) {
        let word: Value = serde_json::from_str(word).unwrap();
        if let (Some(_), Some(started)) =
            (word.get("began"), word["status"]["lastStartedAt"].as_str())
        {
            self.meetings.shows(owner, user, started, &word["status"]);
            let mut begun = self.begun.borrow_mut();
            let tabs = begun.entry((user.to_owned(), started.to_owned()));
            tabs.or_default().insert(owner);
        }
    }

    /// Records an event of this device.
    pub fn say(&self, words: &str) {
        if !self.traced {
            return;
        }
        self.trace.borrow_mut().push(format!(
            "{:>9} ms      {}: {words}",
            self.clock.now.get(),
            self.device_id
        ));
    }
}

/// One tab's host.
pub struct SimHost {
    pub shared: Rc<Shared>,
    pub owner: Owner,
}

pub struct Guard(Option<(Rc<Shared>, String, Holder)>);

/// The callback of a holder whose lock is stolen.
pub type Holder = Rc<RefCell<Option<Rc<dyn Fn()>>>>;

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((shared, name, holder)) = &self.0 {
            let mut locks = shared.locks.borrow_mut();
            if locks.get(name).is_some_and(|now| Rc::ptr_eq(now, holder)) {
                locks.remove(name);
            }
        }
    }
}

impl Host for SimHost {
    type Guard = Guard;
    type Share = Guard;

    fn now_ms(&self) -> u64 {
        self.shared
            .clock
            .now()
            .saturating_add_signed(self.shared.skew.get())
    }

    fn elapsed_ms(&self) -> u64 {
        self.shared.clock.now.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.shared.dice.next() as u8;
        }
    }

    async fn sleep(&self, ms: u64) {
        self.shared.clock.sleep(ms).await;
    }

    fn is_online(&self) -> bool {
        self.shared.online.get()
    }

    async fn lock(&self, name: &str, steal: bool) -> Result<Option<Guard>> {
        // Only cycle locks may fail, since they only save work. The locks that keep the log's keys
        // must hold.
        if self.shared.weather.broken_lock.get() && !name.starts_with("datum-sync-open:") {
            return Ok(Some(Guard(None)));
        }
        let is_share = |held: &String| {
            held.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('#'))
        };
        if self.shared.locks.borrow().keys().any(is_share) {
            return Ok(None);
        }
        let robbed = match self.shared.locks.borrow().get(name) {
            Some(_) if !steal => return Ok(None),
            robbed => robbed.cloned(),
        };
        let holder = Holder::default();
        self.shared
            .locks
            .borrow_mut()
            .insert(name.to_owned(), Rc::clone(&holder));
        if let Some(stolen) = robbed.and_then(|robbed| robbed.borrow().clone()) {
            stolen();
        }
        Ok(Some(Guard(Some((
            Rc::clone(&self.shared),
            name.to_owned(),
            holder,
        )))))
    }

    fn on_stolen(&self, guard: &Guard, stolen: Rc<dyn Fn()>) {
        if let Some((_, _, holder)) = &guard.0 {
            holder.replace(Some(stolen));
        }
    }

    // Messages are late, overtake each other, and are lost now and then.
    fn post_status(&self, database: &str, word: &str) {
        let user = database.rsplit('/').next().unwrap_or_default().to_owned();
        self.shared.note_begin(self.owner, &user, word);
        for (owner, engine) in self.shared.hearers.borrow().iter() {
            let Some(engine) = engine.upgrade().filter(|_| *owner != self.owner) else {
                continue;
            };
            let dice = &self.shared.dice;
            if self.shared.weather.silence.get() && dice.chance(300) {
                continue;
            }
            let late = if dice.chance(100) {
                dice.below(3_000)
            } else {
                dice.below(8)
            };
            let (clock, user, word) =
                (Rc::clone(&self.shared.clock), user.clone(), word.to_owned());
            self.shared.tasks.spawn(*owner, async move {
                clock.sleep(late).await;
                engine.tabs().on_message(&user, &word).await;
            });
        }
    }

    async fn share(&self, name: &str, patience_ms: u64) -> Option<Guard> {
        let own = (0..)
            .map(|n| format!("{name}#{n}"))
            .find(|own| !self.shared.locks.borrow().contains_key(own))?;
        let holder = Holder::default();
        self.shared
            .locks
            .borrow_mut()
            .insert(own.clone(), Rc::clone(&holder));
        let share = Guard(Some((Rc::clone(&self.shared), own, holder)));
        let began = self.elapsed_ms();
        while self.shared.locks.borrow().contains_key(name)
            && self.elapsed_ms() - began < patience_ms
        {
            self.sleep(10).await;
        }
        Some(share)
    }

    fn announce(&self, name: &str, head: u64) {
        if !self.shared.weather.silence.get() {
            self.shared
                .announced
                .borrow_mut()
                .push((self.owner, name.to_owned(), head));
        }
    }

    async fn storage(&self) -> StorageEstimate {
        StorageEstimate::default()
    }
}

/// The backing of one tab.
pub struct SimBacking(pub Rc<Shared>);

impl Backing for SimBacking {
    type Store = SimStore;

    async fn open(&self, user_id: &str) -> Result<SimStore> {
        let inner = self
            .0
            .stores
            .borrow_mut()
            .entry(user_id.to_owned())
            .or_default()
            .reopen();
        Ok(SimStore {
            inner,
            shared: Rc::clone(&self.0),
        })
    }

    fn nothing(&self) -> SimStore {
        SimStore {
            inner: MemoryStore::default(),
            shared: Rc::clone(&self.0),
        }
    }

    fn device_id(&self, _: &str) -> String {
        self.0.device_id.clone()
    }

    fn loss(&self, _: &str, _: u64, _: u64) -> Option<Option<u64>> {
        None
    }

    fn note(&self, _: &str, _: u64, _: u64, _: NoteReason) {}

    fn is_durable(&self) -> bool {
        true
    }

    async fn users(&self) -> Result<Vec<String>> {
        Ok(self.0.stores.borrow().keys().cloned().collect())
    }

    async fn forget(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
