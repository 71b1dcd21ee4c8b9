//! The status feed as an async iterable, and an abort signal as a way to stop a cycle.

use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::status_feed::{StatusHub, StatusReader};
use crate::js::convert::{error_to_js, promise, to_js};

/// The status of one user: `for await (const status of feed)`, and `feed.current`.
#[wasm_bindgen]
pub struct StatusFeed {
    hub: Rc<StatusHub>,
}

impl StatusFeed {
    pub(crate) const fn new(hub: Rc<StatusHub>) -> Self {
        Self { hub }
    }
}

#[wasm_bindgen]
impl StatusFeed {
    /// The latest snapshot.
    ///
    /// # Errors
    /// None that a status can cause.
    #[wasm_bindgen(getter)]
    pub fn current(&self) -> Result<JsValue, JsValue> {
        to_js(&*self.hub.current()).map_err(|e| error_to_js(&e))
    }

    /// A reader of its own for each loop.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> StatusIterator {
        StatusIterator {
            subscription: Rc::new(self.hub.subscribe()),
        }
    }
}

/// One loop over the feed.
#[wasm_bindgen]
pub struct StatusIterator {
    subscription: Rc<StatusReader>,
}

#[wasm_bindgen]
impl StatusIterator {
    /// The next snapshot; at once where there is one that this reader has not seen.
    pub fn next(&self) -> Promise {
        let subscription = Rc::clone(&self.subscription);
        promise(async move {
            match subscription.next().await {
                Some(status) => Ok(step(&to_js(&*status)?, false)),
                None => Ok(step(&JsValue::UNDEFINED, true)),
            }
        })
    }

    /// The loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        self.subscription.end();
        Promise::resolve(&step(&JsValue::UNDEFINED, true))
    }

    /// A loop over an iterator goes on where it stands.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            subscription: Rc::clone(&self.subscription),
        }
    }
}

pub(crate) fn step(value: &JsValue, done: bool) -> JsValue {
    let step = Object::new();
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&step, &JsValue::from_str("value"), value);
    let _ = Reflect::set(&step, &JsValue::from_str("done"), &JsValue::from_bool(done));
    step.into()
}

/// Stops a cycle when the signal is aborted, until it is dropped.
pub(crate) struct AbortWatch {
    signal: AbortSignal,
    callback: Closure<dyn FnMut()>,
}

impl AbortWatch {
    pub(crate) fn new(signal: AbortSignal, cancel: &Rc<Cancel>, reason: Stop) -> Self {
        if signal.aborted() {
            cancel.stop(reason);
        }
        let cancel = Rc::clone(cancel);
        let callback = Closure::<dyn FnMut()>::new(move || cancel.stop(reason));
        let _ = signal
            .add_event_listener_with_callback("abort", callback.as_js_value().unchecked_ref());
        Self { signal, callback }
    }
}

impl Drop for AbortWatch {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback(
            "abort",
            self.callback.as_js_value().unchecked_ref(),
        );
    }
}
