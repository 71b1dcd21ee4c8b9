//! The store in memory: the readable definition of a store, and the fallback if the browser gives
//! no storage. Clones share one log, as tabs share one database.

use std::cell::Cell;
use std::rc::Rc;

use crate::log::address::{BodyId, Seq};
use crate::model::config::storage::Durability;
use crate::model::error::{Code, Error, Result};
use crate::ports::store::{Append, AppendError, Records, Store, Tail, lost, wiped};
use crate::util::cell::RefCell;
use crate::util::collections::seq_map::SeqMap;

#[derive(Debug, Default)]
struct Log {
    records: SeqMap<Rc<[u8]>>,
    bodies: SeqMap<Rc<[u8]>>,
    checkpoint: Seq,
    /// How often it was wiped.
    wiped: u64,
    /// How often it was lost otherwise; each time, another log began.
    lost: u64,
}

/// One instance's handle on a shared log.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    log: Rc<RefCell<Log>>,
    closed: Rc<Cell<bool>>,
    /// How often the log had been wiped when this instance was opened.
    wiped: u64,
    /// Which log this instance loaded last.
    known: Rc<Cell<u64>>,
    resting: Rc<Cell<bool>>,
}

impl MemoryStore {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a second instance on the same log, as another tab would.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let log = self.log.borrow();
        Self {
            log: Rc::clone(&self.log),
            closed: Rc::default(),
            wiped: log.wiped,
            known: Rc::new(Cell::new(log.lost)),
            resting: Rc::default(),
        }
    }

    /// Loses everything, as a browser does that needs room.
    pub fn evict(&self) {
        let mut log = self.log.borrow_mut();
        *log = Log {
            wiped: log.wiped,
            lost: log.lost.saturating_add(1),
            ..Log::default()
        };
    }

    /// Distinguishes this log from an earlier or later one of the same user.
    #[must_use]
    pub fn identity(&self) -> String {
        self.log.borrow().lost.to_string()
    }

    /// Returns the sequence numbers that are taken, emptied ones included.
    #[must_use]
    pub fn keys(&self) -> Vec<Seq> {
        self.log
            .borrow()
            .records
            .iter()
            .map(|(seq, _)| *seq)
            .collect()
    }

    /// Returns the ids of the bodies that it has.
    #[must_use]
    pub fn body_ids(&self) -> Vec<BodyId> {
        (self.log.borrow().bodies.iter())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Replaces a record's bytes, or removes it, as a failing disk does.
    pub fn damage(&self, seq: Seq, bytes: Option<&[u8]>) {
        let mut log = self.log.borrow_mut();
        match bytes {
            Some(bytes) => log.records.insert(seq, Rc::from(bytes)),
            None => drop(log.records.remove(seq)),
        }
    }

    fn open(&self) -> Result<&RefCell<Log>> {
        if self.closed.get() {
            return Err(Error::new(Code::Closed, "The store has been closed."));
        }
        if self.log.borrow().wiped != self.wiped {
            return Err(wiped());
        }
        Ok(&self.log)
    }

    /// Returns the log, if it is the one that this instance has loaded.
    fn known(&self) -> Result<&RefCell<Log>> {
        let log = self.open()?;
        if log.borrow().lost != self.known.get() {
            return Err(lost());
        }
        Ok(log)
    }
}

impl Store for MemoryStore {
    async fn load(&self) -> Result<Records> {
        let log = self.open()?.borrow();
        self.known.set(log.lost);
        self.resting.set(false);
        Ok(log.records.from(log.checkpoint).to_vec())
    }

    async fn tail(&self, after: Seq) -> Result<Tail> {
        let log = self.known()?.borrow();
        self.resting.set(false);
        Ok(Tail::of(
            after,
            log.records.from(after.saturating_add(1)).to_vec(),
        ))
    }

    async fn append(&self, append: Append, _: Durability) -> Result<(), AppendError> {
        let mut log = self.known()?.borrow_mut();
        if self.resting.get() || log.records.get(append.seq).is_some() {
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
        Ok(ids
            .iter()
            .map(|id| log.bodies.get(*id).map(Rc::clone))
            .collect())
    }

    async fn free(&self, below: Seq) -> Result<()> {
        let mut log = self.known()?.borrow_mut();
        let mut kept = SeqMap::default();
        for (seq, record) in log.records.from(below) {
            kept.insert(*seq, Rc::clone(record));
        }
        log.records = kept;
        Ok(())
    }

    async fn wipe(&self) -> Result<()> {
        let mut log = self.open()?.borrow_mut();
        *log = Log {
            wiped: log.wiped.saturating_add(1),
            lost: log.lost.saturating_add(1),
            ..Log::default()
        };
        drop(log);
        self.close();
        Ok(())
    }

    fn rest(&self) {
        self.resting.set(true);
    }

    fn close(&self) {
        self.closed.set(true);
    }
}
