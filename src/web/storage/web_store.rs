//! One user's log: in IndexedDB, or in memory while the browser gives no storage.

use std::cell::Cell;
use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::config::storage::Durability;
use crate::model::error::Result;
use crate::ports::memory_store::MemoryStore;
use crate::ports::store::{Append, AppendError, Records, Store, Tail, lost};
use crate::util::cell::RefCell;
use crate::web::indexeddb::IndexedDbStore;

/// Where a log is.
#[derive(Clone)]
enum Place {
    Durable(IndexedDbStore),
    Memory(MemoryStore),
}

/// One user's log. Clones share its place.
#[derive(Clone)]
pub struct WebStore {
    place: Rc<RefCell<Place>>,
    /// The storage is back, and nothing was loaded from it yet: to its reader, the log in memory is
    /// lost, so that what is only there is saved into this one.
    returned: Rc<Cell<bool>>,
    stood_in: Rc<Cell<bool>>,
}

impl WebStore {
    fn at(place: Place) -> Self {
        Self {
            place: Rc::new(RefCell::new(place)),
            returned: Rc::default(),
            stood_in: Rc::default(),
        }
    }

    /// A log in IndexedDB.
    pub(super) fn durable(store: IndexedDbStore) -> Self {
        Self::at(Place::Durable(store))
    }

    /// A log in memory.
    pub(super) fn memory(store: MemoryStore) -> Self {
        Self::at(Place::Memory(store))
    }

    /// Moves a log from memory to IndexedDB: the next call fails with `storageLost`.
    pub(super) fn move_to(&self, store: IndexedDbStore) {
        self.stood_in.set(true);
        self.returned.set(true);
        *self.place.borrow_mut() = Place::Durable(store);
    }

    fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    /// Returns the place of the log that its reader knows.
    fn known(&self) -> Result<Place> {
        if self.returned.get() {
            Err(lost())
        } else {
            Ok(self.place())
        }
    }
}

impl Store for WebStore {
    async fn load(&self) -> Result<Records> {
        match self.place() {
            Place::Durable(store) => {
                let records = store.load().await?;
                self.returned.set(false);
                Ok(records)
            }
            Place::Memory(store) => store.load().await,
        }
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        match self.known()? {
            Place::Durable(store) => store.tail(after).await,
            Place::Memory(store) => store.tail(after).await,
        }
    }

    async fn append(&self, append: Append, durability: Durability) -> Result<(), AppendError> {
        match self.known()? {
            Place::Durable(store) => store.append(append, durability).await,
            Place::Memory(store) => store.append(append, durability).await,
        }
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        match self.known()? {
            Place::Durable(store) => store.bodies(ids).await,
            Place::Memory(store) => store.bodies(ids).await,
        }
    }

    async fn free(&self, below: Seq) -> Result<()> {
        match self.known()? {
            Place::Durable(store) => store.free(below).await,
            Place::Memory(store) => store.free(below).await,
        }
    }

    async fn wipe(&self) -> Result<()> {
        match self.place() {
            Place::Durable(store) => store.wipe().await,
            Place::Memory(store) => store.wipe().await,
        }
    }

    fn rest(&self) {
        match self.place() {
            Place::Durable(store) => store.rest(),
            Place::Memory(store) => store.rest(),
        }
    }

    fn close(&self) {
        match self.place() {
            Place::Durable(store) => store.close(),
            Place::Memory(store) => store.close(),
        }
    }

    fn took_over(&self) -> bool {
        self.stood_in.take()
    }
}
