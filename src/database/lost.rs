//! A log that was lost under an open instance: its outbox is saved into the new one, and kept in
//! memory until that is done.

use std::fmt;
use std::rc::Rc;

use crate::database::{Database, MAX_STALE, Source, load, overtaken};
use crate::error::Result;
use crate::host::Host;
use crate::operation::Operation;
use crate::replica::Replica;
use crate::replica::record::{Commit, Event, SegmentWrite};
use crate::store::{Durability, Store};

/// What a lost log had and nobody else has.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    ops: Vec<Operation>,
    /// Fields that never leave the device.
    fields: Vec<SegmentWrite>,
}

impl Unsaved {
    /// Whether there is nothing to save.
    pub(super) const fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.fields.is_empty()
    }
}

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
    /// operations that this instance still knows, and the fields that no server has. Rows come again with the next pull.
    pub(super) async fn salvage_in_turn(&self) -> Result<()> {
        let known: Vec<Operation> = self.with(|replica| replica.outbox().iter().map(|queued| queued.op.clone()).collect());
        // Kept here until they are durable again: the state that held them is about to go.
        let fields = self.with(Replica::device_segments);
        self.unsaved.borrow_mut().ops.extend(known);
        self.unsaved.borrow_mut().fields.extend(fields);
        self.save_in_turn().await
    }

    /// Saves the operations of a lost log. Another tab may be doing the same: whoever is second
    /// loads what the first has saved, and adds what is missing.
    pub(super) async fn save_in_turn(&self) -> Result<()> {
        let user_id = self.with(|replica| replica.user_id().to_owned());
        for _ in 0..MAX_STALE {
            let fresh = load(&self.store, &user_id, self.budget).await?;
            self.replace(fresh);
            let mut commit = Commit { segments: self.unsaved.borrow().fields.clone(), events: Vec::new() };
            for op in &self.unsaved.borrow().ops {
                // One that a later edit in another tab carries along already would undo that edit.
                if self.with(|replica| !replica.outbox().knows(&op.op_id)) {
                    commit.queue(op.clone(), Vec::new());
                }
            }
            commit.events.push(Event::NeedFullPull);
            if self.append(commit.into(), Durability::Strict, Source::OtherTab).await? {
                let saved = self.unsaved.take().ops.len();
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
