//! Web Locks for cycles, asked for with `ifAvailable`: the answer is yes or no, at once, and never
//! a queue. A lock whose holder says nothing any more is stolen, and the holder, if it wakes up,
//! hears of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::model::error::{Code, Error, Result};
use crate::util::collections::vec_map::VecMap;
use crate::util::local_sync::oneshot;
use crate::web::host::spawn;

/// Holds a lock until it is dropped, or until the tab dies.
#[derive(Debug)]
pub struct LockGuard {
    // Let go in this order. None where the browser has no locks.
    _held: Option<Held>,
    _asked: Option<Asked>,
    stolen: Stolen,
}

/// Who hears that the lock was stolen.
type Stolen = Rc<OnStolen>;

#[derive(Default)]
struct OnStolen {
    gone: Cell<bool>,
    tell: RefCell<Option<Rc<dyn Fn()>>>,
}

impl fmt::Debug for OnStolen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStolen")
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

impl OnStolen {
    fn tell(&self) {
        self.gone.set(true);
        let tell = self.tell.borrow().clone();
        if let Some(tell) = tell {
            tell();
        }
    }
}

impl LockGuard {
    /// Calls back where the lock is stolen, or was meanwhile.
    pub(super) fn on_stolen(&self, tell: Rc<dyn Fn()>) {
        self.stolen.tell.replace(Some(tell));
        if self.stolen.gone.get() {
            self.stolen.tell();
        }
    }
}

/// Takes the lock of that name if it is free now, or from whoever has it. A guard without a lock
/// where the browser has none.
pub(super) async fn lock(
    locks: Option<LockManager>,
    name: &str,
    steal: bool,
) -> Result<Option<LockGuard>> {
    let stolen = Stolen::default();
    let Some(locks) = locks else {
        return Ok(Some(LockGuard {
            _held: None,
            _asked: None,
            stolen,
        }));
    };
    settle(name).await;
    let (asked, answered) = ask(&locks, name, steal, Rc::clone(&stolen))?;
    match answered.await {
        Ok(Ok(Some(held))) => Ok(Some(LockGuard {
            _held: Some(held),
            _asked: Some(asked),
            stolen,
        })),
        Ok(Ok(None)) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error),
    }
}

/// Waits until the requests of that name that are over for us are over for the browser too.
pub(super) async fn settle(name: &str) {
    while let Some(ending) = first_ending(name) {
        let _ = JsFuture::from(ending.clone()).await;
        // Only now, so that it is waited for again where this future was dropped meanwhile.
        ended(name, &ending);
    }
}

type Answer = Result<Option<Held>>;

fn ask(
    locks: &LockManager,
    name: &str,
    steal: bool,
    stolen: Stolen,
) -> Result<(Asked, oneshot::Receiver<Answer>)> {
    let (answer, answered) = oneshot::channel();
    // Answered once: by the browser's callback, or by the promise where the request is refused.
    let answer: Rc<RefCell<Option<oneshot::Sender<Answer>>>> = Rc::new(RefCell::new(Some(answer)));

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
        // Where whoever asked has gone, this drops it, and the lock is let go at once.
        let _ = answer.send(Ok(release.map(Held)));
        held.into()
    });
    let options = js_sys::Object::new();
    let _ = js_sys::Reflect::set(
        &options,
        &(if steal { "steal" } else { "ifAvailable" }).into(),
        &JsValue::TRUE,
    );
    let request = locks
        .request(name, &options, callback.as_js_value().unchecked_ref())
        .map_err(|thrown| refused(&thrown))?;
    let asked = Asked::new(name, &request);

    // The request lives until the lock is released, whether or not anyone still waits for the
    // answer.
    spawn(async move {
        let ended = JsFuture::from(request).await;
        drop(callback);
        if let Err(reason) = ended {
            match answer.take() {
                Some(answer) => drop(answer.send(Err(refused(&reason)))),
                // It was granted: only a theft ends it so.
                None => stolen.tell(),
            }
        }
    });
    Ok((asked, answered))
}

thread_local! {
    /// The requests of this window or worker that are over for us but not yet for the browser, by
    /// name.
    ///
    /// A lock is freed some turns after its promise resolves, so who asks again at once would be
    /// told that it is taken, by a holder that is no more. Seen in Chromium.
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

/// A request; its promise settles when the browser has freed the lock.
#[derive(Debug)]
pub(super) struct Asked {
    name: String,
    request: Promise,
}

impl Asked {
    pub(super) fn new(name: &str, request: &Promise) -> Self {
        Self {
            name: name.to_owned(),
            request: request.clone(),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (name, request) = (std::mem::take(&mut self.name), self.request.clone());
        ENDING.with_borrow_mut(|ending| ending.entry(&name).push(request));
    }
}

/// Resolves the promise that holds the lock.
#[derive(Debug)]
struct Held(Function);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

fn refused(reason: &JsValue) -> Error {
    Error::new(
        Code::StorageUnavailable,
        "The browser refuses locks here; open the page in a context that may store data.",
    )
    .caused_by(crate::web::host::describe(reason))
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
