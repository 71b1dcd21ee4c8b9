//! The life of a page: whether it is visible, and when it goes away. A worker has no document and
//! counts as visible.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use web_sys::{Event, EventTarget};

use crate::web::interop::EventListener;

/// The state of this page in the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is shown.
    Visible,
    /// It is not shown, and its scripts run now and then.
    Hidden,
    /// It is frozen or left: no script runs until it comes back.
    Away,
    /// It is in the back/forward cache, which refuses pages that hold locks or connections.
    Cached,
}

/// Returns the presence of a page whose scripts run.
pub(super) fn presence() -> Presence {
    match global()
        .document()
        .and_then(|document| document.visibility_state())
    {
        Some(state) if state == "hidden" => Presence::Hidden,
        _ => Presence::Visible,
    }
}

/// Calls back with each change of the page's presence.
pub(super) fn on_presence(mut changed: impl FnMut(Presence) + 'static) -> EventListener {
    let last = Rc::new(Cell::new(presence()));
    listen(
        &["visibilitychange", "freeze", "resume"],
        &["pagehide", "pageshow"],
        move |event| {
            let now = next_presence(last.get(), &event);
            if last.replace(now) != now {
                changed(now);
            }
        },
    )
}

fn next_presence(last: Presence, event: &Event) -> Presence {
    match event.type_().as_str() {
        "pagehide" if event.unchecked_ref::<PageTransition>().persisted() => Presence::Cached,
        // A page in the cache is frozen as well.
        "freeze" if last == Presence::Cached => Presence::Cached,
        "freeze" | "pagehide" => Presence::Away,
        // A page that goes away becomes hidden as well, before or after that.
        "visibilitychange"
            if matches!(last, Presence::Away | Presence::Cached)
                && presence() == Presence::Hidden =>
        {
            last
        }
        _ => presence(),
    }
}

/// Calls back when the page is hidden or left, perhaps twice for one leaving. On phones, being
/// hidden is often the last event that a page receives. Never calls back in a worker.
pub(super) fn on_leaving(on_leave: impl Fn() + 'static) -> EventListener {
    listen(&["visibilitychange"], &["pagehide"], move |event| {
        if event.type_() == "pagehide" || presence() == Presence::Hidden {
            on_leave();
        }
    })
}

/// Listens to events of the document and of the window; to none in a worker.
fn listen(
    of_document: &'static [&'static str],
    of_window: &'static [&'static str],
    callback: impl FnMut(Event) + 'static,
) -> EventListener {
    let events = global().document().map_or_else(Vec::new, |document| {
        vec![
            (document.unchecked_into::<EventTarget>(), of_document),
            (js_sys::global().unchecked_into(), of_window),
        ]
    });
    EventListener::new(events, callback)
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
