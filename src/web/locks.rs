//! Web Locks for cycles, requested with `ifAvailable`: granted or refused at once, never queued.
//! The lock of a holder that sends no heartbeat is stolen, and the holder is notified if it wakes
//! up.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;

use crate::model::error::{Code, Error, Result};
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::oneshot;
use crate::web::interop::{await_value, set_member, spawn, thrown_text};

/// Holds a lock until it is dropped, or until the tab dies.
#[derive(Debug)]
pub struct LockGuard {
    // Dropped in this order. `None` if the browser has no locks.
    _held: Option<HeldLock>,
    _request: Option<LockRequest>,
    theft: Rc<Theft>,
}

/// Whether the lock was stolen, and the callback for that.
#[derive(Default)]
struct Theft {
    happened: Cell<bool>,
    callback: RefCell<Option<Rc<dyn Fn()>>>,
}

impl fmt::Debug for Theft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Theft")
            .field("happened", &self.happened)
            .finish_non_exhaustive()
    }
}

impl Theft {
    fn report(&self) {
        self.happened.set(true);
        let callback = self.callback.borrow().clone();
        if let Some(callback) = callback {
            callback();
        }
    }
}

impl LockGuard {
    /// Calls back when the lock is stolen; at once if it was already.
    pub(super) fn on_stolen(&self, callback: Rc<dyn Fn()>) {
        self.theft.callback.replace(Some(callback));
        if self.theft.happened.get() {
            self.theft.report();
        }
    }
}

/// Takes the lock of that name if it is free, or steals it. Returns a guard without a lock if the
/// browser has no locks.
pub(super) async fn lock(
    locks: Option<LockManager>,
    name: &str,
    steal: bool,
) -> Result<Option<LockGuard>> {
    let theft = Rc::<Theft>::default();
    let Some(locks) = locks else {
        return Ok(Some(LockGuard {
            _held: None,
            _request: None,
            theft,
        }));
    };
    await_releases(name).await;
    let (request, granted) = request(&locks, name, steal, Rc::clone(&theft))?;
    match granted.await {
        Ok(Ok(Some(held))) => Ok(Some(LockGuard {
            _held: Some(held),
            _request: Some(request),
            theft,
        })),
        Ok(Ok(None)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error),
    }
}

/// Waits until the browser has freed the locks of that name that this module has released.
pub(super) async fn await_releases(name: &str) {
    while let Some(ending) = first_ending(name) {
        let _ = await_value(&ending).await;
        // Removed only now, so that it is awaited again if this future was dropped in the meantime.
        ended(name, &ending);
    }
}

type Grant = Result<Option<HeldLock>>;

fn request(
    locks: &LockManager,
    name: &str,
    steal: bool,
    theft: Rc<Theft>,
) -> Result<(LockRequest, oneshot::Receiver<Grant>)> {
    let (sender, granted) = oneshot::channel();
    // Used once: by the browser's callback, or by the promise if the request is refused.
    let sender: Rc<RefCell<Option<oneshot::Sender<Grant>>>> = Rc::new(RefCell::new(Some(sender)));

    let of_callback = Rc::clone(&sender);
    let callback = Closure::once(move |lock: JsValue| -> JsValue {
        let Some(sender) = of_callback.take() else {
            return JsValue::UNDEFINED;
        };
        if lock.is_null() {
            let _ = sender.send(Ok(None));
            return JsValue::UNDEFINED;
        }
        let (held, release) = HeldLock::new();
        // If the receiver is gone, this drops the lock, which releases it at once.
        let _ = sender.send(Ok(release));
        held.into()
    });
    let options = js_sys::Object::new();
    let mode = if steal { "steal" } else { "ifAvailable" };
    set_member(&options, mode, &JsValue::TRUE);
    let request = locks
        .request(name, &options, callback.as_js_value().unchecked_ref())
        .map_err(|thrown| refused(&thrown))?;
    let own = LockRequest::new(name, &request);

    // The request lives until the lock is released, whether or not its answer is still awaited.
    spawn(async move {
        let ended = await_value(&request).await;
        drop(callback);
        if let Err(reason) = ended {
            match sender.take() {
                Some(sender) => drop(sender.send(Err(refused(&reason)))),
                // It was granted: only a theft ends it with a rejection.
                None => theft.report(),
            }
        }
    });
    Ok((own, granted))
}

thread_local! {
    /// The requests of this window or worker whose locks are released but not yet free, by name.
    ///
    /// A lock is freed some turns after its promise resolves, so a request made at once would be
    /// refused because of a holder that is gone. Seen in Chromium.
    static ENDING: RefCell<VecMap<Vec<Promise>>> = const { RefCell::new(VecMap::new()) };
}

fn first_ending(name: &str) -> Option<Promise> {
    ENDING.with_borrow(|ending| ending.get(name)?.first().cloned())
}

fn ended(name: &str, request: &Promise) {
    ENDING.with_borrow_mut(|ending| {
        if let Some(requests) = ending.get_mut(name) {
            requests.retain(|other| !js_sys::Object::is(other, request));
            if requests.is_empty() {
                ending.remove(name);
            }
        }
    });
}

/// A lock request; its promise settles when the browser has freed the lock.
#[derive(Debug)]
pub(super) struct LockRequest {
    name: String,
    request: Promise,
}

impl LockRequest {
    pub(super) fn new(name: &str, request: &Promise) -> Self {
        Self {
            name: name.to_owned(),
            request: request.clone(),
        }
    }
}

impl Drop for LockRequest {
    fn drop(&mut self) {
        let (name, request) = (std::mem::take(&mut self.name), self.request.clone());
        ENDING.with_borrow_mut(|ending| ending.entry(&name).push(request));
    }
}

/// A granted lock, released when this is dropped.
#[derive(Debug)]
pub(super) struct HeldLock(Function);

impl HeldLock {
    /// Returns the promise to give the browser, which holds the lock until it resolves, and the
    /// value that resolves it.
    pub(super) fn new() -> (Promise, Option<Self>) {
        let mut release = None;
        let promise = Promise::new(&mut |resolve, _| release = Some(Self(resolve)));
        (promise, release)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

fn refused(reason: &JsValue) -> Error {
    Error::new(
        Code::StorageUnavailable,
        "The browser refuses locks here; open the page in a context that may store data.",
    )
    .caused_by(thrown_text(reason))
}

#[wasm_bindgen]
extern "C" {
    // web-sys has it behind an unstable flag only.
    #[derive(Clone, Debug)]
    pub(super) type LockManager;

    #[wasm_bindgen(method, catch)]
    pub(super) fn request(
        this: &LockManager,
        name: &str,
        options: &js_sys::Object,
        callback: &Function,
    ) -> Result<Promise, JsValue>;
}
