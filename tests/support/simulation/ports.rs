//! The three ports, and all that goes wrong in them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use datum_server::MemoryServer;
use datum_sync::datum::Backing;
use datum_sync::error::{Code, Error, Result};
use datum_sync::host::{Host, StorageEstimate};
use datum_sync::protocol::{DeviceMetadata, PullRequest, PushRequest};
use datum_sync::remote::{Hints, Pulled, Pushed, Remote};
use datum_sync::store::memory::MemoryStore;
use datum_sync::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};

use super::Dice;
use crate::support::clock::Clock;

/// What may go wrong, all at once or not at all.
#[derive(Default)]
pub struct Weather {
    /// Requests are lost, doubled, delayed, cut and refused.
    pub network: Cell<bool>,
    /// Storage fails now and then.
    pub storage: Cell<bool>,
    /// Tabs do not hear of each other.
    pub silence: Cell<bool>,
    /// The lock is given to everybody.
    pub broken_lock: Cell<bool>,
}

/// What one device's tabs share.
pub struct Shared {
    pub clock: Rc<Clock>,
    pub dice: Rc<Dice>,
    pub weather: Rc<Weather>,
    pub online: Cell<bool>,
    pub skew: Cell<i64>,
    pub locks: RefCell<BTreeMap<String, Holder>>,
    pub stores: RefCell<BTreeMap<String, MemoryStore>>,
    pub device_id: String,
    /// The storage was lost at least once.
    pub evicted: Rc<Cell<bool>>,
    /// Everything that happens, in order.
    pub trace: Rc<RefCell<Vec<String>>>,
    /// Heads that were announced and not heard yet, with who said them.
    pub announced: RefCell<Vec<(u64, u64)>>,
}

/// One tab's host.
pub struct SimHost {
    pub shared: Rc<Shared>,
    pub owner: u64,
}

pub struct Guard(Option<(Rc<Shared>, String, Holder)>);

/// Who hears that a lock is stolen.
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

    fn now_ms(&self) -> u64 {
        self.shared.clock.now().saturating_add_signed(self.shared.skew.get())
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
        if self.shared.weather.broken_lock.get() {
            return Ok(Some(Guard(None)));
        }
        let robbed = match self.shared.locks.borrow().get(name) {
            Some(_) if !steal => return Ok(None),
            robbed => robbed.cloned(),
        };
        let holder = Holder::default();
        self.shared.locks.borrow_mut().insert(name.to_owned(), Rc::clone(&holder));
        if let Some(stolen) = robbed.and_then(|robbed| robbed.borrow().clone()) {
            stolen();
        }
        Ok(Some(Guard(Some((Rc::clone(&self.shared), name.to_owned(), holder)))))
    }

    fn on_stolen(&self, guard: &Guard, stolen: Rc<dyn Fn()>) {
        if let Some((_, _, holder)) = &guard.0 {
            holder.replace(Some(stolen));
        }
    }

    // The status is no subject of these histories.
    fn say(&self, _: &str, _: &str) {}

    fn announce(&self, _: &str, head: u64) {
        if !self.shared.weather.silence.get() {
            self.shared.announced.borrow_mut().push((self.owner, head));
        }
    }

    async fn storage(&self) -> StorageEstimate {
        StorageEstimate::default()
    }
}

/// A log whose every call takes time, before and after it has its effect: a tab may die in between.
pub struct SimStore {
    inner: MemoryStore,
    shared: Rc<Shared>,
}

impl SimStore {
    async fn pause(&self) {
        let ms = if self.shared.dice.chance(50) { self.shared.dice.below(3_000) } else { self.shared.dice.below(4) };
        self.shared.clock.sleep(ms).await;
    }

    fn failure(&self) -> Option<Error> {
        let fails = self.shared.weather.storage.get() && self.shared.dice.chance(30);
        fails.then(|| {
            let code = *self.shared.dice.pick(&[Code::StorageFull, Code::StorageUnavailable, Code::StorageBlocked]);
            Error::new(code, "The storage fails now.")
        })
    }
}

impl Store for SimStore {
    async fn load(&self) -> Result<Records> {
        self.pause().await;
        self.inner.load().await
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        self.pause().await;
        self.failure().map_or(Ok(()), Err)?;
        self.inner.tail(after).await
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        self.pause().await;
        if let Some(error) = self.failure() {
            return Err(AppendError::Failed(error));
        }
        let done = self.inner.append(append, durability).await;
        self.pause().await;
        done
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        self.pause().await;
        self.inner.bodies(ids).await
    }

    async fn wipe(&self) -> Result<()> {
        self.pause().await;
        self.inner.wipe().await
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// One tab's way to the device's databases.
pub struct SimBacking(pub Rc<Shared>);

impl Backing for SimBacking {
    type Store = SimStore;

    async fn open(&self, user_id: &str) -> Result<SimStore> {
        let inner = self.0.stores.borrow_mut().entry(user_id.to_owned()).or_default().reopen();
        Ok(SimStore { inner, shared: Rc::clone(&self.0) })
    }

    fn device_id(&self) -> String {
        self.0.device_id.clone()
    }

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

/// One tab's way to the server. The token is the device's user, whoever is asked about.
pub struct SimRemote {
    pub server: MemoryServer,
    pub token: String,
    pub shared: Rc<Shared>,
}

enum Answer {
    Body(Vec<u8>),
    Gone,
    TooLarge,
}

impl SimRemote {
    async fn ask(&self, method: &'static str, path: &str, body: Vec<u8>) -> Result<Answer> {
        let dice = &self.shared.dice;
        let lost = || Err(Error::new(Code::Network, "Nothing came back."));
        if !self.shared.online.get() {
            return lost();
        }
        let bad = self.shared.weather.network.get();
        self.shared.clock.sleep(if bad && dice.chance(80) { dice.below(40_000) } else { dice.below(60) }).await;
        if bad && dice.chance(50) {
            return lost();
        }
        if bad && dice.chance(40) {
            let status = *dice.pick(&[401, 403, 408, 413, 425, 426, 429, 500, 503]);
            let after = dice.chance(500).then(|| dice.below(5_000));
            return classify(status, after, Vec::new());
        }
        let serve = || self.server.handle(&self.token, method, &format!("/sync/v1{path}"), &body, self.shared.clock.now());
        let mut answer = serve();
        if bad && dice.chance(40) {
            // Doubled on the way; the second answer arrives.
            answer = serve();
        }
        self.shared.clock.sleep(if bad && dice.chance(80) { dice.below(40_000) } else { dice.below(60) }).await;
        if bad && dice.chance(50) {
            return lost();
        }
        let (status, mut bytes) = answer;
        if path == "/push" {
            let line = format!(
                "{:>9} ms      {} pushed {} and gets {status} {}",
                self.shared.clock.now.get(),
                self.shared.device_id,
                short(&body),
                short(&bytes)
            );
            self.shared.trace.borrow_mut().push(line);
        }
        if bad && dice.chance(30) && !bytes.is_empty() {
            bytes.truncate(dice.below(bytes.len() as u64) as usize);
        }
        classify(status, None, bytes)
    }
}

fn short(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(700).collect()
}

fn classify(status: u16, after: Option<u64>, body: Vec<u8>) -> Result<Answer> {
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
    Err(Error::new(code, String::from_utf8_lossy(&body).into_owned()).with_status(status).with_retry_after(after))
}

impl Remote for SimRemote {
    async fn pull(&self, _: &str, request: &PullRequest) -> Result<Pulled> {
        match self.ask("POST", "/pull", serde_json::to_vec(request).unwrap()).await? {
            Answer::Body(bytes) => Ok(Pulled::Page(bytes)),
            Answer::Gone => Ok(Pulled::CursorGone),
            Answer::TooLarge => Err(Error::new(Code::ServerError, "413 to a pull.")),
        }
    }

    async fn push(&self, _: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let body = request.to_json().into_bytes();
        let (sent, several) = (body.len() as u64, request.operations.len() > 1);
        match self.ask("POST", "/push", body).await? {
            Answer::Body(bytes) => Ok(Pushed::Reply { bytes, sent }),
            Answer::TooLarge if several => Ok(Pushed::TooLarge),
            Answer::TooLarge | Answer::Gone => Err(Error::new(Code::ServerError, "An answer to nothing that was asked.")),
        }
    }

    async fn metadata(&self, _: &str) -> Result<Option<Vec<u8>>> {
        match self.ask("GET", "/metadata", Vec::new()).await? {
            Answer::Body(bytes) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    async fn put_metadata(&self, _: &str, metadata: &DeviceMetadata) -> Result<()> {
        self.ask("PUT", "/metadata", serde_json::to_vec(metadata).unwrap()).await.map(|_| ())
    }

    async fn clear_metadata(&self, _: &str) -> Result<()> {
        self.ask("DELETE", "/metadata", Vec::new()).await.map(|_| ())
    }

    async fn hints(&self, _: &str, _: &mut dyn FnMut()) -> Result<Hints> {
        Ok(Hints::Never)
    }

    async fn health(&self) -> Result<bool> {
        Ok(true)
    }
}
