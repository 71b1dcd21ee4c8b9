//! Pausing sync: for all users or for single ones, whether their database is open or not.

use std::cell::Cell;

use crate::engine::cycle::cancel::Stop;
use crate::engine::{Backing, Pauses, User};
use crate::model::error::Result;
use crate::model::status::SyncState;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;

/// The paused users.
#[derive(Debug, Default)]
pub(super) struct PauseState {
    everybody: Cell<bool>,
    /// Per-user overrides made after the last global pause or resume.
    overrides: RefCell<VecMap<bool>>,
}

impl PauseState {
    /// Pauses or resumes one user, or all.
    fn set(&self, user_id: Option<&str>, paused: bool) {
        match user_id {
            Some(user_id) => drop(self.overrides.borrow_mut().insert(user_id, paused)),
            None => {
                self.everybody.set(paused);
                self.overrides.take();
            }
        }
    }

    pub(super) fn is_paused(&self, user_id: &str) -> bool {
        self.overrides
            .borrow()
            .get(user_id)
            .copied()
            .unwrap_or(self.everybody.get())
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> Pauses<'_, B, R, H> {
    /// Pauses one user's sync, or that of all, including users who sign in later. A running cycle
    /// stops at its next safe point, and none begins until [`Self::resume`].
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::Closed`];
    /// [`crate::model::error::Code::InvalidArgument`] for a bad id.
    pub async fn pause(self, user_id: Option<&str>) -> Result<()> {
        let concerned = self.set(user_id, true)?;
        let running = concerned
            .iter()
            .filter_map(|id| self.engine.opened(id))
            .filter(|user| user.cycle.is_running());
        let ends: Vec<_> = running
            .map(|user| {
                user.stop(Stop::Pause);
                user.cycle.join()
            })
            .collect();
        for end in ends {
            // The result goes to the caller that began the cycle.
            let _ = end.await;
        }
        Ok(())
    }

    /// Resumes sync: of all users, or of one while the others stay paused.
    ///
    /// # Errors
    /// Fails with [`crate::model::error::Code::Closed`];
    /// [`crate::model::error::Code::InvalidArgument`] for a bad id.
    pub async fn resume(self, user_id: Option<&str>) -> Result<()> {
        for user in self
            .set(user_id, false)?
            .iter()
            .filter_map(|id| self.engine.opened(id))
        {
            self.engine.refresh_status(&user);
        }
        Ok(())
    }

    /// Records a pause or its end, shows it and broadcasts it; returns the users concerned.
    fn set(self, user_id: Option<&str>, paused: bool) -> Result<Vec<String>> {
        self.engine.check_open()?;
        let concerned = match user_id {
            Some(user_id) => {
                self.engine.status_hub(user_id)?;
                vec![user_id.to_owned()]
            }
            None => self.engine.open_users.ids_with_hub(),
        };
        self.engine.pause_state.set(user_id, paused);
        for user_id in &concerned {
            self.show(user_id)?;
            self.engine.auto_sync().pause_changed(user_id);
            self.engine.tabs().broadcast_pause(user_id, paused);
        }
        Ok(concerned)
    }

    /// Shows in a user's status whether sync is paused. A cycle that is still stopping shows it
    /// itself, at its end.
    pub(super) fn show(self, user_id: &str) -> Result<()> {
        let hub = self.engine.status_hub(user_id)?;
        let paused = self.engine.pause_state.is_paused(user_id);
        // Before this instance's first cycle the state after a pause is idle, not that of an
        // earlier cycle.
        let user = self
            .engine
            .opened(user_id)
            .filter(|user| user.tab.has_shown_cycle());
        let last_state = user
            .map(|user| user.db.peek(|replica| replica.facts().last_state))
            .unwrap_or_default();
        hub.update(|status| match status.status {
            SyncState::Syncing => {}
            SyncState::Paused if !paused => {
                status.status = last_state;
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

    /// Follows another tab's pause or resume.
    pub(super) fn on_message(self, user: &User<B::Store, H>, paused: bool) {
        self.engine.pause_state.set(Some(&user.id), paused);
        if paused {
            user.stop(Stop::Pause);
        }
        let _ = self.show(&user.id);
        self.engine.auto_sync().pause_changed(&user.id);
    }
}
