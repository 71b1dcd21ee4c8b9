//! Whether somebody can see this page. A worker has no document and counts as visible.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{Event, EventTarget};

/// What the browser does with this page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is shown.
    Visible,
    /// It is not, and its scripts run now and then.
    Hidden,
    /// It is frozen or left: no script runs until it comes back.
    Away,
    /// It lies in the back/forward cache, which takes no page that holds on to anything.
    Cached,
}

/// As it is now, for a page that is not away.
pub(super) fn presence() -> Presence {
    match global()
        .document()
        .and_then(|document| document.visibility_state())
    {
        Some(state) if state == "hidden" => Presence::Hidden,
        _ => Presence::Visible,
    }
}

/// What says so: of the document, and of the window.
const DOCUMENT_EVENTS: [&str; 3] = ["visibilitychange", "freeze", "resume"];

const WINDOW_EVENTS: [&str; 2] = ["pagehide", "pageshow"];

type Callback = Closure<dyn FnMut(Event)>;

/// Watches the page until it is dropped.
#[must_use]
pub struct PageWatch {
    callback: Callback,
}

impl PageWatch {
    pub(super) fn new(mut changed: impl FnMut(Presence) + 'static) -> Self {
        let last = Rc::new(Cell::new(presence()));
        let callback = Callback::new(move |event: Event| {
            let now = match event.type_().as_str() {
                "pagehide" if event.unchecked_ref::<PageTransition>().persisted() => {
                    Presence::Cached
                }
                // A page in the cache is frozen as well.
                "freeze" if last.get() == Presence::Cached => Presence::Cached,
                "freeze" | "pagehide" => Presence::Away,
                // A page that is put away is hidden as well, before or after that.
                "visibilitychange"
                    if matches!(last.get(), Presence::Away | Presence::Cached)
                        && presence() == Presence::Hidden =>
                {
                    last.get()
                }
                _ => presence(),
            };
            if last.replace(now) != now {
                changed(now);
            }
        });
        let watch = Self { callback };
        watch.each(|target, event, callback| {
            let _ = target.add_event_listener_with_callback(event, callback);
        });
        watch
    }

    fn each(&self, act: impl Fn(&EventTarget, &str, &js_sys::Function)) {
        let Some(document) = global().document() else {
            return;
        };
        let window: EventTarget = js_sys::global().unchecked_into();
        let targets = [
            (
                document.unchecked_ref::<EventTarget>(),
                &DOCUMENT_EVENTS[..],
            ),
            (&window, &WINDOW_EVENTS[..]),
        ];
        for (target, events) in targets {
            for event in events {
                act(target, event, self.callback.as_js_value().unchecked_ref());
            }
        }
    }
}

impl Drop for PageWatch {
    fn drop(&mut self) {
        self.each(|target, event, callback| {
            let _ = target.remove_event_listener_with_callback(event, callback);
        });
    }
}

impl fmt::Debug for PageWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageWatch").finish_non_exhaustive()
    }
}

fn global() -> Global {
    js_sys::global().unchecked_into()
}

#[wasm_bindgen]
extern "C" {
    type PageTransition;

    #[wasm_bindgen(method, getter)]
    fn persisted(this: &PageTransition) -> bool;

    type Global;

    #[wasm_bindgen(method, getter)]
    fn document(this: &Global) -> Option<Document>;

    type Document;

    #[wasm_bindgen(method, getter, js_name = visibilityState)]
    fn visibility_state(this: &Document) -> Option<String>;
}
