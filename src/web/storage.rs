//! The databases of one app: in IndexedDB, or in memory if the browser gives no storage.

use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::config::storage::Durability;
use crate::model::entity::check_id;
use crate::model::error::{Code, Error, Result};
use crate::ports::backing::{Backing, NoteReason};
use crate::ports::host::Host;
use crate::ports::loss_detection::LossDetector;
use crate::ports::memory_store::MemoryStore;
use crate::ports::store::{Append, AppendError, Records, Store, Tail};
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::WebHost;
use crate::web::indexeddb::{IndexedDbStore, RootDatabase};
use crate::web::interop::spawn;
use crate::web::local_storage::{mark, set_mark};

const DEVICE: &str = "deviceId";

type OnOpen = Box<dyn Fn(&str)>;

/// The databases of one app.
pub struct WebBacking {
    name: String,
    root: Option<RootDatabase>,
    /// The reason why there is no `root`.
    refused: Option<Error>,
    device_id: String,
    loss_detector: LossDetector,
    opened: RefCell<VecMap<IndexedDbStore>>,
    in_memory: RefCell<VecMap<MemoryStore>>,
    on_open: RefCell<Option<Rc<OnOpen>>>,
}

impl WebBacking {
    /// Opens the app's root database. Without storage, everything stays in memory.
    pub async fn open(name: &str) -> Result<Self> {
        let (root, refused, device_id) = match open_root(name).await {
            Ok((root, device_id)) => (Some(root), None, device_id),
            Err(error) if error.code() == Code::StorageUnavailable => (None, Some(error), new_id()),
            Err(error) => return Err(error),
        };
        Ok(Self {
            name: name.to_owned(),
            root,
            refused,
            device_id,
            loss_detector: LossDetector::default(),
            opened: RefCell::default(),
            in_memory: RefCell::default(),
            on_open: RefCell::default(),
        })
    }

    /// Returns the reason why everything stays in memory, if it does.
    pub const fn refused(&self) -> Option<&Error> {
        self.refused.as_ref()
    }

    /// Calls back with each user whose database opens.
    pub fn on_open(&self, callback: impl Fn(&str) + 'static) {
        *self.on_open.borrow_mut() = Some(Rc::new(Box::new(callback)));
    }

    /// The key of a user's note in `localStorage`.
    fn mark_of(&self, user_id: &str) -> String {
        ["datum-sync:", &self.name, "/", user_id].concat()
    }
}

async fn open_root(name: &str) -> Result<(RootDatabase, String)> {
    let root = RootDatabase::open(name).await?;
    let key = ["datum-sync:", name].concat();
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
        let store = match &self.root {
            Some(root) => {
                let (store, note, wipes) = root.open_store(user_id).await?;
                self.loss_detector.opened(
                    user_id,
                    &store.identity(),
                    wipes,
                    [note, mark(&self.mark_of(user_id))],
                );
                self.opened.borrow_mut().insert(user_id, store.clone());
                WebStore::Durable(store)
            }
            None => WebStore::Memory(self.in_memory.borrow_mut().entry(user_id).reopen()),
        };
        let callback = self.on_open.borrow().clone();
        if let Some(callback) = callback {
            callback(user_id);
        }
        Ok(store)
    }

    fn nothing(&self) -> WebStore {
        WebStore::Memory(MemoryStore::new())
    }

    fn device_id(&self, user_id: &str) -> String {
        self.loss_detector.device_id(user_id, &self.device_id)
    }

    fn loss(&self, user_id: &str, head: Seq, pending: u64) -> Option<Option<u64>> {
        self.loss_detector.loss(user_id, head, pending)
    }

    fn note(&self, user_id: &str, head: Seq, pending: u64, occasion: NoteReason) {
        let identity = self
            .opened
            .borrow()
            .get(user_id)
            .map(IndexedDbStore::identity);
        let (Some(root), Some(identity)) = (&self.root, identity) else {
            return;
        };
        if let Some(note) = self
            .loss_detector
            .seen(user_id, &identity, head, pending, occasion)
        {
            set_mark(&self.mark_of(user_id), Some(&note));
            let (root, user) = (root.clone(), user_id.to_owned());
            // A note that fails is replaced by the next one.
            spawn(async move { drop(root.note(&user, &note).await) });
        }
    }

    fn is_durable(&self) -> bool {
        self.root.is_some()
    }

    async fn users(&self) -> Result<Vec<String>> {
        match &self.root {
            Some(root) => root.users().await,
            None => Ok(self
                .in_memory
                .borrow()
                .iter()
                .map(|(user, _)| user.to_owned())
                .collect()),
        }
    }

    async fn forget(&self, user_id: &str) -> Result<()> {
        // The app's database has forgotten the user before the wipe.
        self.in_memory.borrow_mut().remove(user_id);
        self.opened.borrow_mut().remove(user_id);
        self.loss_detector.forget(user_id);
        set_mark(&self.mark_of(user_id), None);
        Ok(())
    }
}

/// One user's log, durable or not.
pub enum WebStore {
    /// In IndexedDB.
    Durable(IndexedDbStore),
    /// In memory.
    Memory(MemoryStore),
}

impl Store for WebStore {
    async fn load(&self) -> Result<Records> {
        match self {
            Self::Durable(store) => store.load().await,
            Self::Memory(store) => store.load().await,
        }
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        match self {
            Self::Durable(store) => store.tail(after).await,
            Self::Memory(store) => store.tail(after).await,
        }
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        match self {
            Self::Durable(store) => store.append(append, durability).await,
            Self::Memory(store) => store.append(append, durability).await,
        }
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        match self {
            Self::Durable(store) => store.bodies(ids).await,
            Self::Memory(store) => store.bodies(ids).await,
        }
    }

    async fn free(&self, below: Seq) -> Result<()> {
        match self {
            Self::Durable(store) => store.free(below).await,
            Self::Memory(store) => store.free(below).await,
        }
    }

    async fn wipe(&self) -> Result<()> {
        match self {
            Self::Durable(store) => store.wipe().await,
            Self::Memory(store) => store.wipe().await,
        }
    }

    fn rest(&self) {
        match self {
            Self::Durable(store) => store.rest(),
            Self::Memory(store) => store.rest(),
        }
    }

    fn close(&self) {
        match self {
            Self::Durable(store) => store.close(),
            Self::Memory(store) => store.close(),
        }
    }
}
