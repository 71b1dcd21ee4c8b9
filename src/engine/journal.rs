//! The journal of changed entities that all watches of a user share.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::state::tables;
use crate::state::touched::{Changed, RowChange};
use crate::util::cell::RefCell;
use crate::util::collections::sort::sort;
use crate::util::local_sync::Notify;

/// How many changed entities the journal keeps.
const JOURNAL: usize = 20_000;

/// The table and the id of a row that has changed.
pub(super) type ChangedRow = (Rc<str>, Box<str>);

/// A row, and true if readers see more of it changed than how far its writes have come.
type JournalItem = (ChangedRow, bool);

/// The changed entities of one user, latest last.
#[derive(Debug, Default)]
pub struct Journal {
    items: RefCell<VecDeque<JournalItem>>,
    /// The number of the next item.
    pub(super) next: Cell<u64>,
    pub(super) watching: Cell<u32>,
    pub(super) notify: Notify,
    pub(super) closed: Cell<bool>,
}

impl Journal {
    pub(super) fn note(&self, changes: &[Changed]) {
        let mut items = self.items.borrow_mut();
        for changed in changes {
            let entity: Rc<str> = Rc::from(changed.entity.as_str());
            for (id, change) in &changed.ids {
                if items.len() >= JOURNAL {
                    items.pop_front();
                }
                let row = (Rc::clone(&entity), id.as_str().into());
                items.push_back((row, *change != RowChange::SyncState));
                self.next.set(self.next.get().saturating_add(1));
            }
        }
        drop(items);
        self.notify.notify_waiters();
    }

    /// Returns the changed ids of a type from item `seen` on; `None` if those items have been
    /// dropped. Those of which nothing but the sync state has changed are among them if `states` is
    /// true.
    pub(super) fn since(
        &self,
        seen: u64,
        entity: &str,
        only: Option<&str>,
        states: bool,
    ) -> Option<Vec<String>> {
        let items = self.items.borrow();
        let missed = usize::try_from(self.next.get().saturating_sub(seen)).unwrap_or(usize::MAX);
        let skip = items.len().checked_sub(missed)?;
        let concerned = items.iter().skip(skip).filter(|((of, id), is_seen)| {
            (*is_seen || states)
                && tables::selects(entity, of)
                && only.is_none_or(|only| only == &**id)
        });
        let mut ids: Vec<String> = concerned.map(|((_, id), _)| id.to_string()).collect();
        sort(&mut ids);
        ids.dedup();
        Some(ids)
    }

    /// Returns the rows of a selection that have changed from item `seen` on, each once, with their
    /// tables; `None` if those items have been dropped.
    /// Those of which nothing but the sync state has changed are among them if `states` is true.
    pub(super) fn rows_since(
        &self,
        seen: u64,
        selection: &str,
        states: bool,
    ) -> Option<Vec<ChangedRow>> {
        let items = self.items.borrow();
        let missed = usize::try_from(self.next.get().saturating_sub(seen)).unwrap_or(usize::MAX);
        let skip = items.len().checked_sub(missed)?;
        let concerned = items.iter().skip(skip);
        let mut rows: Vec<ChangedRow> = concerned
            .filter(|((of, _), is_seen)| (*is_seen || states) && tables::selects(selection, of))
            .map(|(row, _)| row.clone())
            .collect();
        sort(&mut rows);
        rows.dedup();
        Some(rows)
    }

    /// Ends every watch.
    pub fn close(&self) {
        self.closed.set(true);
        self.notify.notify_waiters();
    }
}

/// Keeps changes being noted while it lives.
#[derive(Debug)]
pub(super) struct Noting(Rc<Journal>);

impl Noting {
    pub(super) fn new(journal: &Rc<Journal>) -> Self {
        journal
            .watching
            .set(journal.watching.get().saturating_add(1));
        Self(Rc::clone(journal))
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let watching = &self.0.watching;
        watching.set(watching.get().saturating_sub(1));
    }
}
