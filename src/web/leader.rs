//! Leader election: the tab that holds one Web Lock per app and origin runs the automatic cycles.
//!
//! A visible tab steals the lock, so a frozen holder can never stand in its way; a hidden tab
//! releases it and queues again. Nothing depends on it for safety: two leaders waste requests, and
//! without Web Locks every tab leads.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use js_sys::Object;
use wasm_bindgen::prelude::*;
use web_sys::AbortController;

use crate::web::interop::{await_value, set_member, spawn, thrown_name};
use crate::web::locks::{HeldLock, LockManager};
use crate::web::page::Presence;

/// Takes part in the election until it is dropped.
pub struct LeaderElection(Rc<Candidate>);

impl LeaderElection {
    /// Queues for the lock of that app, or steals it if the page is visible. Calls `changed` with
    /// whether this tab leads, on each change, and never from within a method of this type.
    pub(super) fn new(
        locks: Option<LockManager>,
        app: &str,
        presence: Presence,
        changed: impl FnMut(bool) + 'static,
    ) -> Self {
        let candidate = Rc::new(Candidate {
            locks,
            name: format!("datum-sync-lead:{app}"),
            changed: RefCell::new(Box::new(changed)),
            turn: Cell::new(0),
            leads: Cell::new(false),
            reported: Cell::new(false),
            held: RefCell::default(),
            queued: RefCell::default(),
        });
        candidate.request(presence);
        Self(candidate)
    }

    /// Takes the lead, passes it on or leaves the queue, now that the page is shown, hidden or
    /// away.
    pub fn presence(&self, presence: Presence) {
        if presence != Presence::Visible || !self.0.leads.get() {
            self.0.request(presence);
        }
    }
}

impl Drop for LeaderElection {
    fn drop(&mut self) {
        // Suppresses a report that is still to come.
        self.0.reported.set(self.0.leads.get());
        self.0.withdraw();
    }
}

impl fmt::Debug for LeaderElection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderElection")
            .field("leads", &self.0.leads.get())
            .finish_non_exhaustive()
    }
}

struct Candidate {
    locks: Option<LockManager>,
    name: String,
    changed: RefCell<Box<dyn FnMut(bool)>>,
    /// Counts requests; answers to all but the last are ignored.
    turn: Cell<u32>,
    leads: Cell<bool>,
    /// What `changed` was called with last.
    reported: Cell<bool>,
    held: RefCell<Option<HeldLock>>,
    /// Takes a queued request out of the queue.
    queued: RefCell<Option<AbortController>>,
}

impl Candidate {
    /// Releases the lock or leaves the queue, then makes a new request as the presence demands.
    fn request(self: &Rc<Self>, presence: Presence) {
        self.withdraw();
        if matches!(presence, Presence::Away | Presence::Cached) {
            // A lock, or a place in its queue, would keep the page out of the back/forward cache.
            self.report_later();
            return;
        }
        let Some(locks) = &self.locks else {
            self.leads.set(true);
            self.report_later();
            return;
        };
        let turn = self.turn.get();
        let options = Object::new();
        if presence == Presence::Visible {
            set_member(&options, "steal", &JsValue::TRUE);
        } else if let Ok(controller) = AbortController::new() {
            // A request that steals takes no signal, and needs none: it is granted at once.
            set_member(&options, "signal", &controller.signal());
            self.queued.replace(Some(controller));
        }
        let granted = Rc::downgrade(self);
        let callback = Closure::once(move |_: JsValue| -> JsValue {
            match granted
                .upgrade()
                .filter(|candidate| candidate.turn.get() == turn)
            {
                Some(candidate) => candidate.hold(),
                None => JsValue::UNDEFINED,
            }
        });
        let request = locks.request(&self.name, &options, callback.as_js_value().unchecked_ref());
        let weak = Rc::downgrade(self);
        spawn(async move {
            let ended = match request {
                Ok(request) => await_value(&request).await,
                Err(thrown) => Err(thrown),
            };
            drop(callback);
            if let Err(reason) = ended {
                Self::lost(&weak, turn, &reason);
            }
        });
        self.report_later();
    }

    /// Returns the promise that holds the granted lock until it is resolved.
    fn hold(self: &Rc<Self>) -> JsValue {
        let (promise, held) = HeldLock::new();
        self.held.replace(held);
        self.queued.take();
        self.leads.set(true);
        self.report_later();
        promise.into()
    }

    /// Handles a request that was refused, or a lock that was stolen.
    fn lost(weak: &Weak<Self>, turn: u32, reason: &JsValue) {
        let Some(candidate) = weak
            .upgrade()
            .filter(|candidate| candidate.turn.get() == turn)
        else {
            return;
        };
        if thrown_name(reason).as_deref() == Some("AbortError") {
            // Stolen by a visible tab, which will pass it on: queue, as a hidden tab does.
            candidate.request(Presence::Hidden);
        } else {
            candidate.leads.set(true);
            candidate.report_later();
        }
    }

    fn withdraw(&self) {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.leads.set(false);
        let (held, queued) = (self.held.take(), self.queued.take());
        if let Some(queued) = queued {
            queued.abort();
        }
        drop(held);
    }

    // In a task of its own: `changed` may call back into the caller, and a lead that is lost and
    // won within one turn is no change.
    fn report_later(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        spawn(async move {
            let Some(candidate) = weak.upgrade() else {
                return;
            };
            let leads = candidate.leads.get();
            if candidate.reported.replace(leads) != leads
                && let Ok(mut changed) = candidate.changed.try_borrow_mut()
            {
                changed(leads);
            }
        });
    }
}
