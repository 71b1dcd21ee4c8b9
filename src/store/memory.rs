//! The store in memory: the readable definition of what every store does, and what an app gets
//! where the browser gives no storage. Clones share one log, as tabs share one database.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::error::{Code, Error, Result};
use crate::small::ordered::Ordered;
use crate::store::{Append, AppendError, BodyId, Durability, Records, Seq, Store, Tail};

#[derive(Debug, Default)]
struct Log {
    records: Ordered<Rc<[u8]>>,
    bodies: Ordered<Rc<[u8]>>,
    checkpoint: Seq,
    /// How often it was wiped: a log that was wiped is another log.
    wiped: u64,
}

/// One instance's handle on a shared log.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    log: Rc<RefCell<Log>>,
    closed: Rc<Cell<bool>>,
    /// Which log this instance loaded last.
    known: Rc<Cell<u64>>,
}

impl MemoryStore {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A second instance on the same log, as another tab would open it.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let known = Rc::new(Cell::new(self.log.borrow().wiped));
        Self { log: Rc::clone(&self.log), closed: Rc::default(), known }
    }

    fn open(&self) -> Result<&RefCell<Log>> {
        if self.closed.get() {
            return Err(Error::new(Code::Closed, "The store has been closed."));
        }
        Ok(&self.log)
    }

    /// The log, unless another instance wiped it since this one loaded it.
    fn known(&self) -> Result<&RefCell<Log>> {
        let log = self.open()?;
        if log.borrow().wiped != self.known.get() {
            return Err(Error::new(Code::StorageLost, "The stored data was removed in another instance; load again."));
        }
        Ok(log)
    }
}

impl Store for MemoryStore {
    async fn load(&self) -> Result<Records> {
        let log = self.open()?.borrow();
        self.known.set(log.wiped);
        Ok(log.records.from(log.checkpoint).to_vec())
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        let log = self.known()?.borrow();
        let records: Records = log.records.from(after.saturating_add(1)).to_vec();
        if records.iter().any(|(_, record)| record.is_empty()) {
            return Ok(Tail::Compacted);
        }
        Ok(Tail::Records(records))
    }

    async fn append(&self, append: Append, _: Durability) -> Result<(), AppendError> {
        let mut log = self.known()?.borrow_mut();
        if log.records.get(append.seq).is_some() {
            return Err(AppendError::Stale);
        }
        for (id, body) in append.bodies {
            log.bodies.insert(id, body);
        }
        if let Some(superseded) = append.checkpoint {
            for seq in superseded.records {
                log.records.insert(seq, Rc::from([]));
            }
            for id in superseded.bodies {
                log.bodies.remove(id);
            }
            log.checkpoint = append.seq;
        }
        log.records.insert(append.seq, append.record);
        Ok(())
    }

    async fn bodies(&self, ids: &[BodyId]) -> Result<Vec<Option<Rc<[u8]>>>> {
        let log = self.known()?.borrow();
        Ok(ids.iter().map(|id| log.bodies.get(*id).map(Rc::clone)).collect())
    }

    async fn wipe(&self) -> Result<()> {
        let mut log = self.open()?.borrow_mut();
        *log = Log { wiped: log.wiped.saturating_add(1), ..Log::default() };
        drop(log);
        self.close();
        Ok(())
    }

    fn close(&self) {
        self.closed.set(true);
    }
}
