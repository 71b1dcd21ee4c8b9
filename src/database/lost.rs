//! A log that was lost under an open instance: its outbox is saved into the new one, and kept in
//! memory until that is done.

use std::fmt;
use std::rc::Rc;

use crate::database::{Database, MAX_STALE, Source, load, overtaken};
use crate::error::Result;
use crate::host::Host;
use crate::operation::Operation;
use crate::replica::record::{Commit, Event};
use crate::store::{Durability, Store};

/// Hears that the log was lost, and how many operations were saved into the new one.
#[derive(Clone)]
pub struct Lost(Rc<dyn Fn(usize)>);

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lost")
    }
}

impl<S: Store, H: Host> Database<S, H> {
    /// Has it told when the log was lost.
    pub fn on_lost(&self, heard: Rc<dyn Fn(usize)>) {
        *self.lost.borrow_mut() = Some(Lost(heard));
    }

    /// The log was wiped or evicted under this instance: begins a new one, and saves into it the
    /// operations that this instance still knows. Rows come again with the next pull.
    pub(super) async fn salvage_in_turn(&self) -> Result<()> {
        let known: Vec<Operation> = self.with(|replica| replica.outbox().iter().map(|queued| queued.op.clone()).collect());
        // Kept here until they are durable again: the state that held them is about to go.
        self.unsaved.borrow_mut().extend(known);
        self.save_in_turn().await
    }

    /// Saves the operations of a lost log. Another tab may be doing the same: whoever is second
    /// loads what the first has saved, and adds what is missing.
    pub(super) async fn save_in_turn(&self) -> Result<()> {
        let user_id = self.with(|replica| replica.user_id().to_owned());
        for _ in 0..MAX_STALE {
            let fresh = load(&self.store, &user_id, self.budget).await?;
            self.replace(fresh);
            let mut commit = Commit::default();
            for op in self.unsaved.borrow().iter() {
                // One that a later edit in another tab carries along already would undo that edit.
                if self.with(|replica| !replica.outbox().knows(&op.op_id)) {
                    commit.queue(op.clone(), Vec::new());
                }
            }
            commit.events.push(Event::NeedFullPull);
            if self.append(commit.into(), Durability::Strict, Source::OtherTab).await? {
                let saved = self.unsaved.take().len();
                let lost = self.lost.borrow().clone();
                if let Some(Lost(lost)) = lost {
                    lost(saved);
                }
                return Ok(());
            }
        }
        Err(overtaken())
    }
}
