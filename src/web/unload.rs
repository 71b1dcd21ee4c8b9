//! The page goes away: it is hidden, or left. On phones being hidden is the last that it hears.

use std::fmt;

use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::EventTarget;

use crate::web::host::Callback;

/// Calls back when the page is hidden or left, until it is dropped. A worker is never told.
#[must_use]
pub struct LeavingWatch {
    events: Vec<(EventTarget, &'static str, Callback)>,
}

impl LeavingWatch {
    /// Watches. The callback may be called twice for one leaving.
    pub(super) fn new(left: impl Fn() + Clone + 'static) -> Self {
        let global = js_sys::global();
        let mut events: Vec<(EventTarget, &'static str, Callback)> = Vec::new();
        let document = Reflect::get(&global, &"document".into()).unwrap_or_default();
        if document.is_object() {
            let page = document.clone();
            let hidden = left.clone();
            let callback = Callback::new(move || {
                let state = Reflect::get(&page, &"visibilityState".into())
                    .ok()
                    .and_then(|state| state.as_string());
                if state.as_deref() == Some("hidden") {
                    hidden();
                }
            });
            events.push((document.unchecked_into(), "visibilitychange", callback));
            events.push((global.unchecked_into(), "pagehide", Callback::new(left)));
        }
        for (target, event, callback) in &events {
            let _ = target
                .add_event_listener_with_callback(event, callback.as_js_value().unchecked_ref());
        }
        Self { events }
    }
}

impl Drop for LeavingWatch {
    fn drop(&mut self) {
        for (target, event, callback) in &self.events {
            let _ = target
                .remove_event_listener_with_callback(event, callback.as_js_value().unchecked_ref());
        }
    }
}

impl fmt::Debug for LeavingWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeavingWatch").finish_non_exhaustive()
    }
}
