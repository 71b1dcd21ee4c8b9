//! What happens when the page is hidden or left, or the network goes: what waits is sent along, and
//! the service worker is asked to send what is left.

use std::rc::{Rc, Weak};

use wasm_bindgen::prelude::*;

use crate::js::Inner;

#[wasm_bindgen(module = "/src/js/support.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestBackgroundSync)]
    fn request_background_sync(tag: &str);
}

/// Watches for an instance, for as long as it is open.
pub(super) fn watch(inner: &Rc<Inner>) {
    let config = inner.engine.config();
    if !config.flush_on_leave && !config.background_sync {
        return;
    }
    let weak: Weak<Inner> = Rc::downgrade(inner);
    let watch = inner.engine.host().on_leaving(move || {
        if let Some(inner) = weak.upgrade() {
            inner.leave();
        }
    });
    *inner.leaving.borrow_mut() = Some(watch);
}

impl Inner {
    fn leave(&self) {
        let Some(user) = self.engine.current_user() else {
            return;
        };
        let remote = self.engine.remote();
        if self.engine.config().flush_on_leave
            && remote.can_flush(&user)
            && let Some(body) = self.engine.pending().unload_request(&user)
            // A page is hidden before it is left: once is enough for the same operations.
            && self.left.replace(body.clone()) != body
        {
            remote.flush_on_leave(&user, body);
        }
        self.ask_for_background_sync();
    }

    /// Asks the service worker for a sync, where the app wants that and operations wait.
    pub(super) fn ask_for_background_sync(&self) {
        let config = self.engine.config();
        let waits = config.background_sync
            && self
                .engine
                .current_user()
                .is_some_and(|user| self.engine.pending().any(&user));
        if waits {
            request_background_sync(&format!("datum-sync:{}", config.name));
        }
    }
}
