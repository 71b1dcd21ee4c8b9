//! Stopping: what is dropped is aborted, and what takes too long is dropped.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal};

use crate::model::error::{Code, Error, Result};
use crate::web::http::failure::{member, words};

/// The longest delay of `setTimeout`, in milliseconds; a greater one fires at once.
const LONGEST_MS: u32 = i32::MAX as u32;

/// Aborts its signal when it is dropped: a request lives no longer than the future that waits for
/// it.
///
/// Always without a reason: the rejection is then a DOMException, never a bare value.
#[derive(Debug)]
pub(crate) struct AbortGuard {
    controller: AbortController,
    is_armed: bool,
}

impl AbortGuard {
    /// A guard around a signal to hand out.
    pub(crate) fn new() -> Result<Self> {
        match AbortController::new() {
            Ok(controller) => Ok(Self {
                controller,
                is_armed: true,
            }),
            Err(thrown) => Err(
                Error::new(Code::Network, "The browser has no AbortController.")
                    .caused_by(words(&thrown)),
            ),
        }
    }

    /// The signal.
    pub(crate) fn signal(&self) -> AbortSignal {
        self.controller.signal()
    }

    /// The work is done: whoever listens to the signal hears nothing any more.
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

/// What a promise settles to. `value` may be anything that JavaScript returned.
///
/// # Errors
/// What it rejected with.
pub(crate) async fn settle(value: &JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::resolve(value)).await
}

/// The future's output, or none after so many milliseconds; the future is dropped then.
pub(crate) async fn within<F: Future>(ms: u32, future: F) -> Option<F::Output> {
    let timer = Timer::start(ms);
    match select(pin!(future), pin!(timer.wait())).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// A timer of the browser, cleared when it is dropped.
struct Timer {
    id: JsValue,
    rings: Promise,
}

impl Timer {
    fn start(ms: u32) -> Self {
        let mut id = JsValue::UNDEFINED;
        let rings = Promise::new(&mut |resolve: Function, _| {
            id = call("setTimeout", &resolve, &JsValue::from(ms.min(LONGEST_MS)));
        });
        Self { id, rings }
    }

    async fn wait(&self) {
        // It never rejects; without timers it never resolves, and the cycle's own timeout stands
        // alone.
        let _ = JsFuture::from(self.rings.clone()).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        call("clearTimeout", &self.id, &JsValue::UNDEFINED);
    }
}

/// Calls a function of the global object, which may be a window's or a worker's.
fn call(name: &str, first: &JsValue, second: &JsValue) -> JsValue {
    let global = js_sys::global();
    member(&global, name)
        .dyn_ref::<Function>()
        .and_then(|f| f.call2(&global, first, second).ok())
        .unwrap_or_default()
}
