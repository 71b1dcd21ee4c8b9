//! The host of a tab in virtual time: clock, dice, locks and the channel between tabs.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::clock::Clock;
use datum_sync::model::error::{Code, Error, Result};
use datum_sync::ports::host::{Host, StorageEstimate, TabMessage};
use datum_sync::ports::remote::Remote;
use datum_sync::util::local_sync::{Notify, yield_now};

/// Locks that all tabs of a device share, each with its holder's callback for a theft.
pub type Locks = Rc<RefCell<BTreeMap<String, Holder>>>;

pub type Holder = Rc<RefCell<Option<Rc<dyn Fn()>>>>;

/// The channel between the tabs of a device: per tab, the messages that it has not received yet,
/// each with its database.
#[derive(Clone, Default)]
pub struct TabChannel {
    pub inboxes: Rc<RefCell<BTreeMap<u64, Inbox>>>,
    pub arrived: Rc<Notify>,
}

pub type Inbox = VecDeque<(String, TabMessage)>;

impl TabChannel {
    fn post(&self, from: u64, database: &str, message: &TabMessage) {
        for (_, mail) in self
            .inboxes
            .borrow_mut()
            .iter_mut()
            .filter(|(tab, _)| **tab != from)
        {
            mail.push_back((database.to_owned(), message.clone()));
        }
        self.arrived.notify_waiters();
    }
}

pub struct TestHost {
    pub clock: Rc<Clock>,
    pub online: Rc<Cell<bool>>,
    /// How far this device's clock is off, in milliseconds.
    pub skew: Cell<i64>,
    pub locks: Locks,
    pub channel: TabChannel,
    /// Which tab of the device this is.
    pub tab: u64,
    /// Whether the browser has Web Locks.
    pub has_locks: Rc<Cell<bool>>,
    /// How far each look at the clock advances it: simulated work.
    pub work_ms: Cell<u64>,
    /// How often the engine has yielded.
    pub yields: Rc<Cell<u64>>,
    pub dice: Cell<u64>,
    /// A part of the engine cannot be had.
    pub lacks_part: Cell<bool>,
    /// One neither comes nor fails.
    pub stalls_part: Cell<bool>,
    /// How often the engine has waited for all its parts.
    pub loads: Cell<u64>,
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

/// A shared holder of a lock has an entry of its own, named `lock#n`.
impl TestHost {
    fn is_shared(&self, name: &str) -> bool {
        self.locks.borrow().keys().any(|held| {
            held.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('#'))
        })
    }
}

impl Host for TestHost {
    type Guard = Guard;
    type Share = Guard;

    fn now_ms(&self) -> u64 {
        self.clock.now().saturating_add_signed(self.skew.get())
    }

    fn elapsed_ms(&self) -> u64 {
        self.clock
            .now
            .set(self.clock.now.get() + self.work_ms.get());
        self.clock.now.get()
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            // SplitMix64: the same numbers in every run.
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
        self.yields.set(self.yields.get() + 1);
        // Everything else that is ready runs, as in a browser.
        yield_now().await;
    }

    fn has_all(&self) -> bool {
        !self.lacks_part.get() && !self.stalls_part.get()
    }

    async fn load_all(&self) -> Result<()> {
        self.loads.set(self.loads.get() + 1);
        if self.stalls_part.get() {
            std::future::pending::<()>().await;
        }
        if self.lacks_part.get() {
            return Err(Error::new(
                Code::Network,
                "A part of the engine cannot be had.",
            ));
        }
        Ok(())
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
        self.channel
            .post(self.tab, database, &TabMessage::Head(head));
    }

    fn post_status(&self, database: &str, word: &str) {
        self.channel
            .post(self.tab, database, &TabMessage::Status(word.to_owned()));
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
