//! Helpers for the whole browser adapter: read members, await values, start tasks, listen to
//! events, abort requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use js_sys::{Array, Function, JSON, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, AbortSignal, Event, EventTarget};

use crate::model::error::{Code, Error, Result};

/// Returns a member of a JavaScript value; undefined if it has none or reading it throws.
pub(crate) fn member(value: &JsValue, key: &str) -> JsValue {
    // Reflect throws on what is not an object, and so may a getter or a proxy.
    Reflect::get(value, &JsValue::from_str(key)).unwrap_or_default()
}

/// Sets a member of an object that this module has made, which cannot fail.
pub(crate) fn set_member(object: &JsValue, key: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}

/// Whether a value has a method of that name.
pub(crate) fn has_method(value: &JsValue, name: &str) -> bool {
    member(value, name).is_function()
}

/// Lets a Node process end although that timer or channel is open: what is waited for is kept by
/// the calls that wait. Browsers have numbers for timers, and no such method.
pub(crate) fn unref(handle: &JsValue) {
    if handle.is_object()
        && let Ok(unref) = member(handle, "unref").dyn_into::<Function>()
    {
        let _ = unref.call0(handle);
    }
}

/// Whether an optional value was left out.
pub(crate) fn is_absent(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// Returns a thrown value as text: its name and message if it is an Error.
pub(crate) fn thrown_text(thrown: &JsValue) -> String {
    let words = |value: &JsValue| value.as_string().filter(|text| !text.is_empty());
    if let Some(text) = words(thrown) {
        return text;
    }
    match (
        words(&member(thrown, "name")),
        words(&member(thrown, "message")),
    ) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (None, Some(text)) | (Some(text), None) => text,
        (None, None) => "a value that is not an Error".to_owned(),
    }
}

/// Returns the name of a thrown Error, such as `AbortError`.
pub(crate) fn thrown_name(thrown: &JsValue) -> Option<String> {
    member(thrown, "name").as_string()
}

/// Awaits a promise, a thenable or a plain value, as `await` does.
///
/// # Errors
/// The reason of a rejection, or what its `constructor` or `then` throws.
pub(crate) async fn await_value(value: &JsValue) -> Result<JsValue, JsValue> {
    // `Promise.resolve` and `then` read members of the app's promise, and what those throw would
    // end the module's call without a trace. `all` makes a rejection of it.
    let all = JsFuture::from(Promise::all(&Array::of1(value))).await?;
    Ok(Array::from(&all).get(0))
}

/// Returns the JSON text of a value of the app.
///
/// # Errors
/// What was thrown, in words; or which method of the page's scripts keeps JSON from being written.
pub(crate) fn json_of(value: &JsValue) -> Result<String, String> {
    for name in ["Object", "Array"] {
        let prototype = member(&member(&js_sys::global(), name), "prototype");
        if has_method(&prototype, "toJSON") {
            return Err(format!(
                "a script of this page has added `{name}.prototype.toJSON`; delete that method"
            ));
        }
    }
    let text = JSON::stringify(value).map_err(|thrown| thrown_text(&thrown))?;
    let nothing = || "it is nothing in JSON".to_owned();
    text.as_string().ok_or_else(nothing)
}

/// Starts a task that nobody waits for.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    // Boxed, so that the code that starts a task exists once and not at each call.
    spawn_boxed(Box::pin(work));
}

#[inline(never)]
fn spawn_boxed(work: Pin<Box<dyn Future<Output = ()>>>) {
    spawn_local(work);
}

/// Aborts its signal when it is dropped: a request lives no longer than the future that awaits it.
///
/// Never with a reason: the rejection is then a DOMException and not a bare value.
#[derive(Debug)]
pub(crate) struct AbortGuard {
    controller: AbortController,
    is_armed: bool,
}

impl AbortGuard {
    pub(crate) fn new() -> Result<Self> {
        match AbortController::new() {
            Ok(controller) => Ok(Self {
                controller,
                is_armed: true,
            }),
            Err(thrown) => Err(
                Error::new(Code::Network, "The browser has no AbortController.")
                    .caused_by(thrown_text(&thrown)),
            ),
        }
    }

    pub(crate) fn signal(&self) -> AbortSignal {
        self.controller.signal()
    }

    /// Ends the guard without aborting, once the work is done.
    pub(crate) fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for AbortGuard {
    fn drop(&mut self) {
        if self.is_armed {
            self.controller.abort();
        }
    }
}

/// Handles DOM events.
pub(crate) type EventCallback = Closure<dyn FnMut(Event)>;

/// Returns a closure as the function that the DOM takes.
pub(crate) fn function_of(callback: &EventCallback) -> &Function {
    callback.as_js_value().unchecked_ref()
}

/// Listens to events until it is dropped.
#[must_use]
pub struct EventListener {
    events: Vec<(EventTarget, &'static [&'static str])>,
    callback: EventCallback,
}

impl EventListener {
    /// Listens to the named events of each target.
    pub(crate) fn new(
        events: Vec<(EventTarget, &'static [&'static str])>,
        callback: impl FnMut(Event) + 'static,
    ) -> Self {
        let listener = Self {
            events,
            callback: EventCallback::new(callback),
        };
        listener.for_each(|target, event, callback| {
            let _ = target.add_event_listener_with_callback(event, callback);
        });
        listener
    }

    fn for_each(&self, act: impl Fn(&EventTarget, &str, &Function)) {
        for (target, events) in &self.events {
            for event in *events {
                act(target, event, function_of(&self.callback));
            }
        }
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        self.for_each(|target, event, callback| {
            let _ = target.remove_event_listener_with_callback(event, callback);
        });
    }
}

impl fmt::Debug for EventListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventListener").finish_non_exhaustive()
    }
}
