//! Where a browser keeps databases: IndexedDB, or memory where it gives none, which is said.

use std::cell::RefCell;
use std::rc::Rc;

use crate::datum::Backing;
use crate::error::{Code, Result};
use crate::host::Host;
use crate::host::web::WebHost;
use crate::small::Small;
use crate::store::indexeddb::IndexedDbStore;
use crate::store::indexeddb::RootDatabase;
use crate::store::memory::MemoryStore;
use crate::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};

const DEVICE: &str = "deviceId";

type OnOpen = Box<dyn Fn(&str)>;

/// The databases of one app.
pub struct WebBacking {
    name: String,
    root: Option<RootDatabase>,
    device_id: String,
    in_memory: RefCell<Small<MemoryStore>>,
    on_open: RefCell<Option<Rc<OnOpen>>>,
}

impl WebBacking {
    /// Opens the app's root database; where the browser gives no storage, everything stays in memory.
    pub async fn open(name: &str) -> Result<Self> {
        let (root, device_id) = match open_root(name).await {
            Ok((root, device_id)) => (Some(root), device_id),
            Err(error) if error.code() == Code::StorageUnavailable => (None, new_id()),
            Err(error) => return Err(error),
        };
        Ok(Self { name: name.to_owned(), root, device_id, in_memory: RefCell::default(), on_open: RefCell::default() })
    }

    /// Calls back with each user whose database opens.
    pub fn on_open(&self, callback: impl Fn(&str) + 'static) {
        *self.on_open.borrow_mut() = Some(Rc::new(Box::new(callback)));
    }
}

async fn open_root(name: &str) -> Result<(RootDatabase, String)> {
    let root = RootDatabase::open(name).await?;
    let device_id = root.get_or_put(DEVICE, &new_id()).await?;
    Ok((root, device_id))
}

fn new_id() -> String {
    let host = WebHost::new();
    let mut random = [0; 10];
    host.random(&mut random);
    crate::time::uuid_v7(host.now_ms(), random)
}

impl Backing for WebBacking {
    type Store = WebStore;

    async fn open(&self, user_id: &str) -> Result<WebStore> {
        let store = match &self.root {
            Some(root) => {
                let store = IndexedDbStore::open(&self.name, user_id).await?;
                root.register_user(user_id).await?;
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

    fn device_id(&self) -> String {
        self.device_id.clone()
    }

    fn is_durable(&self) -> bool {
        self.root.is_some()
    }

    async fn users(&self) -> Result<Vec<String>> {
        match &self.root {
            Some(root) => root.users().await,
            None => Ok(self.in_memory.borrow().iter().map(|(user, _)| user.to_owned()).collect()),
        }
    }

    async fn forget(&self, user_id: &str) -> Result<()> {
        self.in_memory.borrow_mut().remove(user_id);
        match &self.root {
            Some(root) => root.forget_user(user_id).await,
            None => Ok(()),
        }
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

    async fn wipe(&self) -> Result<()> {
        match self {
            Self::Durable(store) => store.wipe().await,
            Self::Memory(store) => store.wipe().await,
        }
    }

    fn close(&self) {
        match self {
            Self::Durable(store) => store.close(),
            Self::Memory(store) => store.close(),
        }
    }
}
