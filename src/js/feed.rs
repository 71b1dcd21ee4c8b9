//! Feeds as async iterables, and an abort signal as a way to stop a cycle.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::engine::activity::ActivityReader;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::events::Reader;
use crate::engine::status_feed::{StatusHub, StatusReader};
use crate::js::convert::{decode, error_to_js, feed_promise, to_js};
use crate::model::error::Result;
use crate::web::interop::{EventListener, set_member};

/// The next value of a loop; `None` at its end.
pub(crate) type Next = LocalBoxFuture<'static, Result<Option<JsValue>>>;

/// What one loop over a feed reads.
pub(crate) trait LoopReader {
    fn next(self: Rc<Self>) -> Next;
    /// Ends the reader: the loop was left.
    fn end(&self);
}

/// What changes: `for await (const value of feed)`. One class for all, since each class costs its
/// own glue.
#[wasm_bindgen]
pub struct Feed {
    open: Box<dyn Fn() -> Rc<dyn LoopReader>>,
    /// Of the status alone.
    hub: Option<Rc<StatusHub>>,
}

impl Feed {
    /// Makes a feed; `open` makes what a loop over it reads.
    pub(crate) fn new(open: impl Fn() -> Rc<dyn LoopReader> + 'static) -> Self {
        Self {
            open: Box::new(open),
            hub: None,
        }
    }

    /// Makes the feed of a user's status.
    pub(crate) fn of_status(hub: Rc<StatusHub>) -> Self {
        let of_loops = Rc::clone(&hub);
        Self {
            open: Box::new(move || Rc::new(of_loops.subscribe())),
            hub: Some(hub),
        }
    }
}

#[wasm_bindgen]
impl Feed {
    /// The latest snapshot of a status; undefined of other feeds.
    ///
    /// # Errors
    /// None: a status always has a JavaScript form.
    #[wasm_bindgen(getter)]
    pub fn current(&self) -> Result<JsValue, JsValue> {
        self.hub.as_ref().map_or(Ok(JsValue::UNDEFINED), |hub| {
            to_js(&*hub.current()).map_err(|e| error_to_js(&e))
        })
    }

    /// A new reader for each loop.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> FeedIterator {
        FeedIterator {
            reader: (self.open)(),
        }
    }
}

/// One loop over a feed.
#[wasm_bindgen]
pub struct FeedIterator {
    reader: Rc<dyn LoopReader>,
}

#[wasm_bindgen]
impl FeedIterator {
    /// Returns the next value, immediately if there is one that this loop has not seen.
    pub fn next(&self) -> Promise {
        let next = Rc::clone(&self.reader).next();
        feed_promise(async move { Ok(iteration(next.await?.as_ref())) })
    }

    /// Ends the reader: the loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        self.reader.end();
        Promise::resolve(&iteration(None))
    }

    /// Returns the iterator itself, so that a second loop over it continues after the first.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            reader: Rc::clone(&self.reader),
        }
    }
}

impl LoopReader for StatusReader {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move {
            let status = Self::next(&self).await;
            status.map(|status| to_js(&*status)).transpose()
        })
    }

    fn end(&self) {
        Self::end(self);
    }
}

impl LoopReader for Reader {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move {
            let event = Self::next(&self).await;
            event.map(|event| decode(&event.text)).transpose()
        })
    }

    fn end(&self) {
        Self::end(self);
    }
}

impl LoopReader for ActivityReader {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move {
            let activity = Self::next(&self).await;
            activity.map(|text| decode(&text)).transpose()
        })
    }

    fn end(&self) {
        Self::end(self);
    }
}

/// Returns an iteration result: a value, or the end for `None`.
fn iteration(value: Option<&JsValue>) -> JsValue {
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
