//! Which tab runs the automatic cycles: the holder of one Web Lock an app and origin.
//!
//! A tab that somebody looks at takes the lock from whoever has it, so a frozen holder can never
//! stand in its way; one that is hidden lets go and queues again. It is an economy and no more:
//! two tabs that both lead waste requests, and where the browser gives no locks, every tab leads.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::web::host::spawn;
use crate::web::locks::LockManager;
use crate::web::page::Presence;

/// Strives for the lead until it is dropped.
pub struct Lead(Rc<Inner>);

impl Lead {
    /// Queues for the lead of that app; takes it where the page is visible. `changed` hears whether
    /// this tab leads, on each change, and never from within a call of this type's methods.
    pub(super) fn new(
        locks: Option<LockManager>,
        app: &str,
        presence: Presence,
        changed: impl FnMut(bool) + 'static,
    ) -> Self {
        let inner = Rc::new(Inner {
            locks,
            name: format!("datum-sync-lead:{app}"),
            changed: RefCell::new(Box::new(changed)),
            turn: Cell::new(0),
            leads: Cell::new(false),
            told: Cell::new(false),
            holding: RefCell::default(),
            queueing: RefCell::default(),
        });
        inner.strive(presence == Presence::Visible, presence);
        Self(inner)
    }

    /// The page was shown, hidden, or put away: takes the lead, passes it on, or leaves the queue.
    pub fn presence(&self, presence: Presence) {
        match presence {
            Presence::Visible if self.0.leads.get() => {}
            _ => self.0.strive(presence == Presence::Visible, presence),
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // Nobody is told any more.
        self.0.told.set(self.0.leads.get());
        self.0.withdraw();
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead")
            .field("leads", &self.0.leads.get())
            .finish_non_exhaustive()
    }
}

struct Inner {
    locks: Option<LockManager>,
    name: String,
    changed: RefCell<Box<dyn FnMut(bool)>>,
    /// Counts requests; the answers to all but the last are nobody's.
    turn: Cell<u32>,
    leads: Cell<bool>,
    told: Cell<bool>,
    /// Resolves the promise that holds the lock.
    holding: RefCell<Option<Function>>,
    /// Takes a request out of the queue.
    queueing: RefCell<Option<AbortController>>,
}

impl Inner {
    /// Gives up whatever it has or waits for, and asks anew.
    fn strive(self: &Rc<Self>, steal: bool, presence: Presence) {
        self.withdraw();
        if matches!(presence, Presence::Away | Presence::Cached) {
            // Neither a lock nor a place in the queue: either would keep the page out of the cache.
            self.tell_later();
            return;
        }
        let Some(locks) = &self.locks else {
            self.leads.set(true);
            self.tell_later();
            return;
        };
        let turn = self.turn.get();
        let options = Object::new();
        if steal {
            let _ = Reflect::set(&options, &"steal".into(), &JsValue::TRUE);
        } else if let Ok(controller) = AbortController::new() {
            // A theft cannot be aborted, and need not be: it is answered at once.
            let _ = Reflect::set(&options, &"signal".into(), &controller.signal());
            self.queueing.replace(Some(controller));
        }
        let granted = Rc::downgrade(self);
        let callback = Closure::once(move |_: JsValue| -> JsValue {
            match granted.upgrade().filter(|inner| inner.turn.get() == turn) {
                Some(inner) => inner.hold(),
                None => JsValue::UNDEFINED,
            }
        });
        let request = locks.request(&self.name, &options, callback.as_js_value().unchecked_ref());
        let weak = Rc::downgrade(self);
        spawn(async move {
            let ended = match request {
                Ok(request) => JsFuture::from(request).await,
                Err(thrown) => Err(thrown),
            };
            drop(callback);
            if let Err(reason) = ended {
                Self::lost(&weak, turn, &reason);
            }
        });
        self.tell_later();
    }

    /// The lock is ours until the promise that this answers is resolved.
    fn hold(self: &Rc<Self>) -> JsValue {
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        self.holding.replace(release);
        self.queueing.take();
        self.leads.set(true);
        self.tell_later();
        held.into()
    }

    /// A request was refused, or its lock stolen.
    fn lost(weak: &Weak<Self>, turn: u32, reason: &JsValue) {
        let Some(inner) = weak.upgrade().filter(|inner| inner.turn.get() == turn) else {
            return;
        };
        let stolen = Reflect::get(reason, &"name".into()).is_ok_and(|name| name == "AbortError");
        if stolen {
            // Not stolen back: it is in better hands, and will be passed on.
            inner.strive(false, Presence::Hidden);
        } else {
            inner.leads.set(true);
            inner.tell_later();
        }
    }

    fn withdraw(&self) {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.leads.set(false);
        let (holding, queueing) = (self.holding.take(), self.queueing.take());
        if let Some(queueing) = queueing {
            queueing.abort();
        }
        if let Some(holding) = holding {
            let _ = holding.call0(&JsValue::UNDEFINED);
        }
    }

    // In a turn of its own: what it says may call back into whoever asked, and a lead that comes
    // back within one turn was never gone.
    fn tell_later(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        spawn(async move {
            let Some(inner) = weak.upgrade() else { return };
            let leads = inner.leads.get();
            if inner.told.replace(leads) != leads
                && let Ok(mut changed) = inner.changed.try_borrow_mut()
            {
                changed(leads);
            }
        });
    }
}
