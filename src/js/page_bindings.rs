//! The listeners of an open instance.

use std::rc::Rc;

use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::web::channel::Listening;
use crate::web::interop::EventListener;
use crate::web::leader::LeaderElection;

/// The listeners of an instance, for as long as it is open.
#[derive(Default)]
pub(super) struct PageBindings {
    /// By user.
    pub(super) channels: RefCell<VecMap<Listening>>,
    pub(super) network: RefCell<Option<EventListener>>,
    pub(super) leaving: RefCell<Option<EventListener>>,
    attendance: RefCell<Option<Attendance>>,
    /// The body of the last push that a hidden page sent.
    pub(super) last_flush: RefCell<String>,
}

impl PageBindings {
    pub(super) fn stop_listening(&self, user_id: &str) {
        let listening = self.channels.borrow_mut().remove(user_id);
        // Dropped after the borrow has ended.
        drop(listening);
    }

    pub(super) fn attend(&self, attendance: Attendance) {
        self.attendance.borrow_mut().replace(attendance);
    }

    /// Removes every listener.
    pub(super) fn release(&self) {
        let channels = std::mem::take(&mut *self.channels.borrow_mut());
        let (network, leaving, attendance) = (
            self.network.borrow_mut().take(),
            self.leaving.borrow_mut().take(),
            self.attendance.borrow_mut().take(),
        );
        drop((channels, network, leaving, attendance));
    }
}

/// Reports to the engine whether this tab leads and is visible, until it is dropped.
pub(crate) struct Attendance {
    pub(super) _presence: EventListener,
    pub(super) _election: Rc<LeaderElection>,
}
