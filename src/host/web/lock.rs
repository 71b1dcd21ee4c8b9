//! Web Locks, asked for with `ifAvailable`: the answer is yes or no, at once, and never a queue.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Function, Promise};
use tokio::sync::oneshot;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::error::{Code, Error, Result};

/// Holds a lock until it is dropped, or until the tab dies.
#[derive(Debug)]
pub struct LockGuard {
    /// Resolves the promise that holds the lock; none where the browser has no locks.
    release: Option<Function>,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Takes the lock of that name if it is free now. A guard without a lock where the browser has none.
pub(super) async fn try_lock(locks: Option<LockManager>, name: &str) -> Result<Option<LockGuard>> {
    let Some(locks) = locks else {
        return Ok(Some(LockGuard { release: None }));
    };
    let (answer, answered) = oneshot::channel();
    // Answered once: by the browser's callback, or by the promise where the request is refused.
    let answer = Rc::new(RefCell::new(Some(answer)));

    let granted = Rc::clone(&answer);
    let callback = Closure::once(move |lock: JsValue| -> JsValue {
        let Some(answer) = granted.take() else {
            return JsValue::UNDEFINED;
        };
        if lock.is_null() {
            let _ = answer.send(Ok(None));
            return JsValue::UNDEFINED;
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        match answer.send(Ok(Some(LockGuard { release }))) {
            Ok(()) => held.into(),
            // Whoever asked has gone, and the guard with it: the lock is let go at once.
            Err(_) => JsValue::UNDEFINED,
        }
    });
    let options = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE);
    let request = locks.request(name, &options, callback.as_js_value().unchecked_ref()).map_err(|thrown| refused(&thrown))?;

    // The request lives until the lock is released, whether or not anyone still waits for the answer.
    spawn_local(async move {
        let ended = JsFuture::from(request).await;
        drop(callback);
        if let (Err(reason), Some(answer)) = (ended, answer.take()) {
            let _ = answer.send(Err(refused(&reason)));
        }
    });
    match answered.await {
        Ok(answer) => answer,
        Err(_) => Ok(None),
    }
}

fn refused(reason: &JsValue) -> Error {
    Error::new(Code::StorageUnavailable, "The browser refuses locks here; open the page in a context that may store data.")
        .caused_by(super::describe(reason))
}

#[wasm_bindgen]
extern "C" {
    // web-sys has it behind an unstable flag only.
    #[derive(Clone, Debug)]
    pub(super) type LockManager;

    #[wasm_bindgen(method, catch)]
    fn request(this: &LockManager, name: &str, options: &js_sys::Object, callback: &Function) -> Result<Promise, JsValue>;
}
