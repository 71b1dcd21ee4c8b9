//! Finds out over which operation, or over how many at once, a push fails: one of them that the
//! remote cannot take never holds up the others.
//!
//! A push that failed as a whole is searched by halves, in the same cycle, with one attempt each.
//! One operation is sent first: a remote that takes none is left alone after a few requests.

use crate::engine::cycle::push::Push;
use crate::engine::cycle::retry::is_slow;
use crate::model::error::{Code, Error, Result};
use crate::model::operation::Operation;
use crate::model::protocol::retry_after::LONGEST_FOREIGN_WAIT_MS;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::replica::Replica;

/// How many operations may fail alone, one after the other, before the remote counts as failing on
/// all of them. `ANSWERED` if it has answered something else in this cycle.
const MOST_ALONE: usize = 1;
const MOST_ALONE_ANSWERED: usize = 2;

/// The search of one cycle.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// The operations of the smallest push that failed, without those that have gone since.
    among: Vec<String>,
    /// The size of that push, whether it was too slow, and the largest one that went since.
    failed: usize,
    slow: bool,
    went: usize,
    /// All that was left of a failed push was sent at once after some of it went: if that goes too,
    /// the size was the cause.
    tried_rest: bool,
    /// Operations that failed alone. The next push that goes shows that they are the cause.
    pub(super) alone: Vec<(String, Error)>,
    /// A push went since an operation last failed alone.
    proved: bool,
    /// A push went in this cycle.
    pub(super) any_went: bool,
}

impl Search {
    pub(super) const fn is_on(&self) -> bool {
        !self.among.is_empty() || !self.alone.is_empty()
    }

    pub(super) const fn narrows(&self) -> bool {
        !self.among.is_empty()
    }

    /// Returns true if the operation is not to be sent now. `only` is the one that is sent to see
    /// whether the remote takes any.
    pub(super) fn excludes(&self, op_id: &str, only: Option<&str>) -> bool {
        self.alone.iter().any(|(alone, _)| alone == op_id)
            || only.is_some_and(|only| only != op_id)
            || (!self.among.is_empty() && !self.among.iter().any(|id| id == op_id))
    }

    /// Returns the most operations for the next push.
    pub(super) fn limit(&self) -> usize {
        match (self.among.len(), self.proved) {
            (0, _) => usize::MAX,
            (_, false) => 1,
            (left, true) if !self.tried_rest && self.went > 1 => left.min(self.went),
            (left, true) => left.div_ceil(2),
        }
    }

    /// Chooses the operation that is sent to see whether the remote takes any; `None` if that is
    /// known. By chance, so that many bad ones in a row do not hold up the others for ever.
    pub(super) fn candidate(&self, roll: u32) -> Option<String> {
        let at = (roll as usize).checked_rem(self.among.len())?;
        self.among.get(at).filter(|_| !self.proved).cloned()
    }

    /// Ends the search, as what is left of it cannot be sent. Returns false if it was over.
    pub(super) fn give_up(&mut self) -> bool {
        !std::mem::take(&mut self.among).is_empty()
    }

    fn narrow(&mut self, ids: &[String], slow: bool) {
        if self.among.is_empty() {
            self.went = 0;
            self.tried_rest = false;
        } else if self.went > 1 {
            self.tried_rest = true;
        }
        self.failed = ids.len();
        self.slow = slow;
        self.among = ids.to_vec();
    }

    fn blame(&mut self, op_id: &str, error: Error) {
        if std::mem::take(&mut self.proved) {
            self.among.clear();
        } else {
            self.among.retain(|id| id != op_id);
        }
        self.alone.push((op_id.to_owned(), error));
    }

    /// Records a push that went. Returns the sizes of one that went and of one that did not, if
    /// nothing but the size was the cause, and whether that was slow.
    fn succeeded(&mut self, ids: &[String]) -> Option<(usize, usize, bool)> {
        self.proved = true;
        self.any_went = true;
        if !self.alone.is_empty() {
            // Found.
            self.among.clear();
        }
        if self.among.is_empty() {
            return None;
        }
        self.went = self.went.max(ids.len());
        self.among.retain(|id| !ids.contains(id));
        self.among
            .is_empty()
            .then_some((self.went, self.failed, self.slow))
    }
}

impl<S: Store, R: Remote, H: Host> Push<'_, S, R, H> {
    /// Decides what follows from a push that failed as a whole and was not stopped: `Ok` if another
    /// one may tell more.
    pub(super) fn search(&self, batch: &[Operation], ids: &[String], error: Error) -> Result<()> {
        let cycle = self.cycle;
        let mut search = self.search.borrow_mut();
        if !cycle.is_own(&error) {
            return Err(error);
        }
        match batch {
            [op] => search.blame(&op.op_id, error.clone().on(&op.entity, Some(&op.id))),
            _ => {
                if is_slow(&error) {
                    cycle.batch_size.too_slow(ids.len());
                }
                search.narrow(ids, is_slow(&error));
            }
        }
        let answered = cycle.notes.answered.get();
        if cycle.notes.pull_failed.get() && !answered && error.code() == Code::Network {
            return Err(error);
        }
        // The pull shows whether the remote answers at all, for nothing.
        let waits_for_pull = cycle.notes.pull_follows.get() && !answered && !search.proved;
        let most = if answered {
            MOST_ALONE_ANSWERED
        } else {
            MOST_ALONE
        };
        if waits_for_pull || search.alone.len() > most {
            return Err(search
                .alone
                .first()
                .map_or(error, |(_, first)| first.clone()));
        }
        Ok(())
    }

    /// Records a push that went: operations that failed alone before it rest.
    pub(super) fn found(&self, ids: &[String]) {
        let cycle = self.cycle;
        let size = self.search.borrow_mut().succeeded(ids);
        if let Some((went, failed, slow)) = size {
            cycle
                .batch_size
                .found(went, if slow { usize::MAX } else { failed });
        }
        self.rest_alone();
    }

    /// Lets the operations that failed alone rest, and reports them.
    pub(super) fn rest_alone(&self) {
        let alone = std::mem::take(&mut self.search.borrow_mut().alone);
        for (op_id, error) in alone {
            let waits = |replica: &Replica| replica.outbox().get(&op_id).is_some();
            if !self.cycle.db.read(waits) {
                continue;
            }
            let asked = error.retry_after_ms();
            let asked = asked.map(|ms| ms.min(LONGEST_FOREIGN_WAIT_MS));
            self.rest(&op_id, asked, &error);
            self.cycle
                .db
                .update(|replica| replica.outbox_mut().mark_failing(&op_id));
            self.cycle.warn(&error);
        }
    }
}
