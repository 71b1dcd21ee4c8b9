//! Whose sync is paused: everybody's, or that of single users, whether their database is open or
//! not.

use std::cell::Cell;

use crate::engine::{Backing, Engine};
use crate::model::error::Result;
use crate::model::status::SyncState;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;

/// The pauses of one engine.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    everybody: Cell<bool>,
    /// Users of whom something else was said after what was said of everybody.
    but: RefCell<VecMap<bool>>,
}

impl Pauses {
    /// Pauses one user or all, or takes that back.
    pub(super) fn set(&self, user_id: Option<&str>, paused: bool) {
        match user_id {
            Some(user_id) => drop(self.but.borrow_mut().insert(user_id, paused)),
            None => {
                self.everybody.set(paused);
                self.but.take();
            }
        }
    }

    /// Whether a user's sync is paused.
    pub(super) fn holds(&self, user_id: &str) -> bool {
        self.but
            .borrow()
            .get(user_id)
            .copied()
            .unwrap_or(self.everybody.get())
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Engine<B, R, H> {
    /// Makes the status of a user say whether sync is paused. A cycle that is still stopping says
    /// so itself, at its end.
    pub(super) fn show_pause(&self, user_id: &str) -> Result<()> {
        let hub = self.status_hub(user_id)?;
        let paused = self.pauses.holds(user_id);
        // Before the first cycle of this instance there is nothing that ended.
        let user = self.opened(user_id).filter(|user| user.seat.has_shown());
        let ended = user
            .map(|user| user.db.peek(|replica| replica.facts().last_state))
            .unwrap_or_default();
        hub.update(|status| match status.status {
            SyncState::Syncing => {}
            SyncState::Paused if !paused => {
                status.status = ended;
                status.reckon_health();
            }
            _ if paused => {
                status.status = SyncState::Paused;
                status.reckon_health();
            }
            _ => {}
        });
        Ok(())
    }
}
