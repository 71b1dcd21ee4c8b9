//! Web Locks in shared mode: every instance that has a database open holds one.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::Object;
use wasm_bindgen::prelude::*;
use web_sys::AbortController;

use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::interop::{await_value, set_member, spawn};
use crate::web::locks::{HeldLock, LockManager, LockRequest, await_releases};
use crate::web::timer::sleep;

/// A request for a lock in shared mode, granted or queued, until it is dropped.
#[derive(Debug)]
pub struct SharedLock {
    state: Rc<SharedLockState>,
    _request: LockRequest,
}

#[derive(Debug, Default)]
struct SharedLockState {
    is_dropped: Cell<bool>,
    held: RefCell<Option<HeldLock>>,
    /// Takes a queued request out of the queue.
    queued: Option<AbortController>,
}

/// Requests a lock in shared mode, and waits `patience_ms` milliseconds at most for the grant.
pub(super) async fn share(locks: LockManager, name: &str, patience_ms: u64) -> Option<SharedLock> {
    await_releases(name).await;
    let state = Rc::new(SharedLockState {
        queued: AbortController::new().ok(),
        ..SharedLockState::default()
    });
    let options = Object::new();
    set_member(&options, "mode", &"shared".into());
    if let Some(controller) = &state.queued {
        set_member(&options, "signal", &controller.signal());
    }
    let (granted, answered) = oneshot::channel();
    let mut granted = Some(granted);
    let own = Rc::clone(&state);
    let callback = Closure::once(move |_: JsValue| -> JsValue {
        if own.is_dropped.get() {
            return JsValue::UNDEFINED;
        }
        let (promise, held) = HeldLock::new();
        own.held.replace(held);
        if let Some(granted) = granted.take() {
            let _ = granted.send(());
        }
        promise.into()
    });
    let request = locks
        .request(name, &options, callback.as_js_value().unchecked_ref())
        .ok()?;
    let lock = SharedLock {
        state,
        _request: LockRequest::new(name, &request),
    };
    spawn(async move {
        // If it is refused, dropping the callback drops the sender, which ends the wait below.
        let _ = await_value(&request).await;
        drop(callback);
    });
    match select(answered, Box::pin(sleep(patience_ms))).await {
        Either::Left((Err(_), _)) => None,
        Either::Left((Ok(()), _)) | Either::Right(_) => Some(lock),
    }
}

impl Drop for SharedLock {
    fn drop(&mut self) {
        self.state.is_dropped.set(true);
        let held = self.state.held.take();
        match (held, &self.state.queued) {
            (Some(held), _) => drop(held),
            (None, Some(controller)) => controller.abort(),
            (None, None) => {}
        }
    }
}
