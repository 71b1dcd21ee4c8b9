//! The status feed as an async iterable, and an abort signal as a way to stop a cycle.

use std::rc::Rc;

use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::status_feed::{StatusHub, StatusReader};
use crate::js::convert::{error_to_js, feed_promise, to_js};
use crate::web::interop::{EventListener, set_member};

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
    /// None: a status always has a JavaScript form.
    #[wasm_bindgen(getter)]
    pub fn current(&self) -> Result<JsValue, JsValue> {
        to_js(&*self.hub.current()).map_err(|e| error_to_js(&e))
    }

    /// A new reader for each loop.
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
    /// Returns the next snapshot, immediately if this reader has not seen the latest.
    pub fn next(&self) -> Promise {
        let subscription = Rc::clone(&self.subscription);
        feed_promise(async move {
            match subscription.next().await {
                Some(status) => Ok(iteration(Some(&to_js(&*status)?))),
                None => Ok(iteration(None)),
            }
        })
    }

    /// Ends the reader: the loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        self.subscription.end();
        Promise::resolve(&iteration(None))
    }

    /// Returns the iterator itself, so that a second loop over it continues after the first.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            subscription: Rc::clone(&self.subscription),
        }
    }
}

/// Returns an iteration result: a value, or the end for `None`.
pub(crate) fn iteration(value: Option<&JsValue>) -> JsValue {
    let step = Object::new();
    set_member(&step, "value", value.unwrap_or(&JsValue::UNDEFINED));
    set_member(&step, "done", &JsValue::from_bool(value.is_none()));
    step.into()
}

/// Stops a cycle when the signal aborts, until it is dropped.
pub(crate) struct AbortWatch {
    _listener: EventListener,
}

impl AbortWatch {
    pub(crate) fn new(signal: AbortSignal, cancel: &Rc<Cancel>, reason: Stop) -> Self {
        if signal.aborted() {
            cancel.stop(reason);
        }
        let cancel = Rc::clone(cancel);
        let target = vec![(signal.unchecked_into(), &["abort"][..])];
        Self {
            _listener: EventListener::new(target, move |_| cancel.stop(reason)),
        }
    }
}
