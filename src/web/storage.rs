//! The databases of one app: in IndexedDB, or in memory while the browser gives no storage.

use std::rc::{Rc, Weak};

use crate::log::address::Seq;
use crate::model::entity::check_id;
use crate::model::error::{Code, Error, Result};
use crate::ports::backing::{Backing, NoteReason};
use crate::ports::host::Host;
use crate::ports::loss_detection::LossDetector;
use crate::ports::memory_store::MemoryStore;
use crate::ports::store::Store;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::WebHost;
use crate::web::indexeddb::connection::Connection;
use crate::web::indexeddb::{IndexedDbStore, RootDatabase};
use crate::web::interop::spawn;
use crate::web::local_storage::{mark, set_mark};
use crate::web::storage::web_store::WebStore;
use crate::web::timer::sleep;

pub mod web_store;

const DEVICE: &str = "deviceId";

type OnOpen = Box<dyn Fn(&str)>;

/// How long an open that fails is repeated, in milliseconds, if this device has stored data before.
const PATIENCE_MS: u64 = 10_000;

/// The pauses between attempts to open the storage, in milliseconds: the first, the longest while
/// `initialize` waits for it, and the longest after that.
const PAUSES_MS: (u64, u64, u64) = (100, 1_000, 30_000);

/// The text in `localStorage` of a user whose data is to be removed once the storage is back.
const TO_WIPE: &str = "wiped";

/// The databases of one app.
pub struct WebBacking(Rc<Databases>);

struct Databases {
    name: String,
    root: RefCell<Option<RootDatabase>>,
    /// The reason why there was no `root` at first.
    refused: Option<Error>,
    device_id: RefCell<String>,
    loss_detector: LossDetector,
    opened: RefCell<VecMap<IndexedDbStore>>,
    in_memory: RefCell<VecMap<StandIn>>,
    on_open: RefCell<Option<Rc<OnOpen>>>,
    on_change: RefCell<Option<Rc<dyn Fn()>>>,
}

/// A user's log in memory, and the handle that was opened on it last.
#[derive(Default)]
struct StandIn {
    log: MemoryStore,
    handle: Option<WebStore>,
}

impl WebBacking {
    /// Opens the app's root database. Without storage, everything stays in memory until there is
    /// one; if the device has stored data before, it waits for that data first.
    pub async fn open(name: &str) -> Result<Self> {
        let expects = mark(&key_of(name)).is_some();
        let (mut pause, mut waited) = (PAUSES_MS.0, 0_u64);
        let opened = loop {
            match open_root(name).await {
                Err(error)
                    if error.code() == Code::StorageUnavailable
                        && expects
                        && waited < PATIENCE_MS =>
                {
                    sleep(pause).await;
                    waited = waited.saturating_add(pause);
                    pause = pause.saturating_mul(2).min(PAUSES_MS.1);
                }
                opened => break opened,
            }
        };
        let (root, refused, device_id) = match opened {
            Ok((root, device_id)) => (Some(root), None, device_id),
            Err(error) if error.code() == Code::StorageUnavailable => (None, Some(error), new_id()),
            Err(error) => return Err(error),
        };
        let databases = Rc::new(Databases {
            name: name.to_owned(),
            root: RefCell::new(root),
            refused,
            device_id: RefCell::new(device_id),
            loss_detector: LossDetector::default(),
            opened: RefCell::default(),
            in_memory: RefCell::default(),
            on_open: RefCell::default(),
            on_change: RefCell::default(),
        });
        if databases.refused.is_some() {
            spawn(wait_for_storage(Rc::downgrade(&databases)));
        } else {
            databases.watch_root();
        }
        Ok(Self(databases))
    }

    /// Returns the reason why everything was kept in memory at first, if it was.
    pub fn refused(&self) -> Option<&Error> {
        self.0.refused.as_ref()
    }

    /// Calls back when the logs of open users have moved to a storage that is back, or were removed
    /// on purpose: each is to be caught up with.
    pub fn on_change(&self, callback: impl Fn() + 'static) {
        *self.0.on_change.borrow_mut() = Some(Rc::new(callback));
    }

    /// Calls back with each user whose database opens.
    pub fn on_open(&self, callback: impl Fn(&str) + 'static) {
        *self.0.on_open.borrow_mut() = Some(Rc::new(Box::new(callback)));
    }
}

impl Databases {
    /// The key of a user's note in `localStorage`.
    fn mark_of(&self, user_id: &str) -> String {
        ["datum-sync:", &self.name, "/", user_id].concat()
    }

    fn root(&self) -> Option<RootDatabase> {
        self.root.borrow().clone()
    }

    fn changed(&self) {
        let callback = self.on_change.borrow().clone();
        if let Some(callback) = callback {
            callback();
        }
    }

    /// Opens a user's log in IndexedDB.
    async fn open_durable(
        self: &Rc<Self>,
        root: &RootDatabase,
        user_id: &str,
    ) -> Result<IndexedDbStore> {
        let key = self.mark_of(user_id);
        if mark(&key).as_deref() == Some(TO_WIPE) {
            root.open_store(user_id).await?.0.wipe().await?;
            set_mark(&key, None);
        }
        let (store, note, wipes) = root.open_store(user_id).await?;
        self.loss_detector
            .opened(user_id, &store.identity(), wipes, [note, mark(&key)]);
        self.watch_deletion(store.connection());
        self.opened.borrow_mut().insert(user_id, store.clone());
        Ok(store)
    }

    fn watch_root(self: &Rc<Self>) {
        if let Some(root) = self.root() {
            self.watch_deletion(root.connection());
        }
    }

    /// Moves the logs that are in memory to the storage that is back.
    async fn move_to(self: &Rc<Self>, root: RootDatabase, device_id: String) -> Result<()> {
        loop {
            let next = self
                .in_memory
                .borrow()
                .iter()
                .next()
                .map(|(user, _)| user.to_owned());
            let Some(user) = next else {
                break;
            };
            let store = self.open_durable(&root, &user).await?;
            let stand_in = self.in_memory.borrow_mut().remove(&user);
            if let Some(handle) = stand_in.and_then(|stand_in| stand_in.handle) {
                handle.move_to(store);
            }
        }
        *self.device_id.borrow_mut() = device_id;
        *self.root.borrow_mut() = Some(root);
        self.changed();
        Ok(())
    }

    /// If the app deletes all its databases, which is how many sign a user out, what is open is
    /// removed as well, and does not come back.
    fn watch_deletion(self: &Rc<Self>, connection: &Connection) {
        let weak = Rc::downgrade(self);
        connection.on_deleted(move || {
            if let Some(databases) = weak.upgrade() {
                spawn(databases.follow_deletion());
            }
        });
    }

    async fn follow_deletion(self: Rc<Self>) {
        let opened: Vec<_> = self.opened.borrow().values().cloned().collect();
        let mut followed = false;
        for store in opened {
            followed |= store.follow_deletion().await;
        }
        if followed {
            self.changed();
        }
    }
}

/// Opens the storage again and again, until it opens or the instance is gone.
async fn wait_for_storage(databases: Weak<Databases>) {
    let mut pause = PAUSES_MS.0;
    loop {
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSES_MS.2);
        let Some(databases) = databases.upgrade() else {
            return;
        };
        let Ok((root, device_id)) = open_root(&databases.name).await else {
            continue;
        };
        if databases.move_to(root, device_id).await.is_ok() {
            databases.watch_root();
            return;
        }
    }
}

fn key_of(name: &str) -> String {
    ["datum-sync:", name].concat()
}

async fn open_root(name: &str) -> Result<(RootDatabase, String)> {
    let root = RootDatabase::open(name).await?;
    let key = key_of(name);
    // The root may be lost without the users' databases: they keep their device id.
    let device_id = root
        .get_or_put(
            DEVICE,
            &mark(&key)
                .filter(|id| check_id(id).is_ok())
                .unwrap_or_else(new_id),
        )
        .await?;
    set_mark(&key, Some(&device_id));
    Ok((root, device_id))
}

fn new_id() -> String {
    let host = WebHost::new();
    let mut random = [0; 10];
    host.random(&mut random);
    crate::util::uuid::uuid_v7(host.now_ms(), random)
}

impl Backing for WebBacking {
    type Store = WebStore;

    async fn open(&self, user_id: &str) -> Result<WebStore> {
        let databases = &self.0;
        let store = match databases.root() {
            Some(root) => WebStore::durable(databases.open_durable(&root, user_id).await?),
            None => {
                let mut in_memory = databases.in_memory.borrow_mut();
                let stand_in = in_memory.entry(user_id);
                let handle = WebStore::memory(stand_in.log.reopen());
                stand_in.handle = Some(handle.clone());
                handle
            }
        };
        let callback = databases.on_open.borrow().clone();
        if let Some(callback) = callback {
            callback(user_id);
        }
        Ok(store)
    }

    fn nothing(&self) -> WebStore {
        WebStore::memory(MemoryStore::new())
    }

    fn device_id(&self, user_id: &str) -> String {
        self.0
            .loss_detector
            .device_id(user_id, &self.0.device_id.borrow())
    }

    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>> {
        self.0.loss_detector.loss(user_id, head, pending)
    }

    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason) {
        let databases = &*self.0;
        let identity = databases
            .opened
            .borrow()
            .get(user_id)
            .map(IndexedDbStore::identity);
        let (Some(root), Some(identity)) = (databases.root(), identity) else {
            return;
        };
        let noted = databases
            .loss_detector
            .seen(user_id, &identity, head, pending, occasion);
        if let Some(note) = noted {
            set_mark(&databases.mark_of(user_id), Some(&note));
            let user = user_id.to_owned();
            // A note that fails is replaced by the next one.
            spawn(async move { drop(root.note(&user, &note).await) });
        }
    }

    fn is_durable(&self) -> bool {
        self.0.root.borrow().is_some()
    }

    async fn users(&self) -> Result<Vec<String>> {
        match self.0.root() {
            Some(root) => root.users().await,
            None => Ok(self
                .0
                .in_memory
                .borrow()
                .iter()
                .map(|(user, _)| user.to_owned())
                .collect()),
        }
    }

    async fn forget(&self, user_id: &str) -> Result<()> {
        let databases = &*self.0;
        // The app's database has forgotten the user before the wipe. Without one, the user's data
        // may be in a storage that comes back.
        let to_wipe = databases.root().is_none().then_some(TO_WIPE);
        databases.in_memory.borrow_mut().remove(user_id);
        databases.opened.borrow_mut().remove(user_id);
        databases.loss_detector.forget(user_id);
        set_mark(&databases.mark_of(user_id), to_wipe);
        Ok(())
    }
}
