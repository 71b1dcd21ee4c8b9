//! The schedules of all users, and this tab's state that decides whether they run here.

use std::cell::Cell;

use crate::engine::user::User;
use crate::model::config::{Config, Options};
use crate::ports::host::Host;
use crate::ports::store::Store;
use crate::schedule::{Moment, Schedule};
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Schedules {
    users: RefCell<VecMap<Schedule>>,
    /// Wakes the loop.
    pub(super) woken: Notify,
    leads: Cell<bool>,
    hidden: Cell<bool>,
}

/// State that is compared before and after catching up with another tab's commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(super) last_success: Option<u64>,
    pub(super) pending: usize,
}

impl Progress {
    pub(crate) fn of<S: Store, H: Host>(user: &User<S, H>) -> Self {
        user.db.peek(|replica| Self {
            last_success: replica.facts().last_success,
            pending: replica.outbox().len(),
        })
    }
}

impl Schedules {
    pub(crate) fn leads(&self) -> bool {
        self.leads.get()
    }

    /// Returns true if this is a change.
    pub(super) fn set_leads(&self, leads: bool) -> bool {
        self.leads.replace(leads) != leads
    }

    /// Returns true if this is a change.
    pub(super) fn set_hidden(&self, hidden: bool) -> bool {
        self.hidden.replace(hidden) != hidden
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.hidden.get()
    }

    /// Returns true if this tab leads and is visible.
    pub(super) fn are_active(&self) -> bool {
        self.leads.get() && !self.hidden.get()
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Changes a user's schedule, and creates it if there is none.
    pub(super) fn with(&self, user_id: &str, change: impl FnOnce(&mut Schedule)) {
        change(self.users.borrow_mut().entry(user_id));
        self.wake();
    }

    /// Changes a user's schedule, if there is one; returns what `change` returns.
    pub(super) fn with_known<T>(
        &self,
        user_id: &str,
        change: impl FnOnce(&mut Schedule) -> T,
    ) -> Option<T> {
        self.users.borrow_mut().get_mut(user_id).map(change)
    }

    /// Changes every user's schedule.
    pub(super) fn for_each(&self, mut change: impl FnMut(&str, &mut Schedule)) {
        for (user_id, schedule) in self.users.borrow_mut().iter_mut() {
            change(user_id, schedule);
        }
    }

    /// Returns true if a user's automatic cycles are started in this tab.
    pub(crate) fn are_started(&self, user_id: &str) -> bool {
        self.get(user_id, Schedule::is_started).unwrap_or_default()
    }

    pub(crate) fn get<T>(&self, user_id: &str, look: impl FnOnce(&Schedule) -> T) -> Option<T> {
        self.users.borrow().get(user_id).map(look)
    }

    /// Returns true if there was a schedule.
    pub(super) fn remove(&self, user_id: &str) -> bool {
        let removed = self.users.borrow_mut().remove(user_id);
        self.wake();
        removed.is_some()
    }

    /// Ends the loop after its running cycles.
    pub(crate) fn clear(&self) {
        self.users.take();
        self.wake();
    }

    /// Takes the cycles that are due, with their options.
    pub(super) fn take_due(&self, now: Moment, config: &Config) -> Vec<(String, Options)> {
        self.users
            .borrow_mut()
            .iter_mut()
            .filter_map(|(id, schedule)| Some((id.to_owned(), schedule.due(now, config)?)))
            .collect()
    }

    /// Returns the time until the first cycle is due, in milliseconds.
    pub(super) fn first_due_in(&self, now: Moment) -> Option<u64> {
        self.users
            .borrow()
            .values()
            .filter_map(|schedule| schedule.left(now))
            .min()
    }
}
