//! Web Locks in their shared form: a place among those that have a database open.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use crate::util::cell::RefCell;
use crate::util::local_sync::oneshot;
use crate::web::host::{sleep, spawn};
use crate::web::locks::{Asked, LockManager, settle};

/// A request for the shared form of a lock, granted or waiting, until it is dropped.
#[derive(Debug)]
pub struct Share {
    place: Rc<Place>,
    _asked: Asked,
}

#[derive(Debug, Default)]
struct Place {
    gone: Cell<bool>,
    /// Resolves the promise that holds the lock.
    holding: RefCell<Option<Function>>,
    /// Takes a request out of the queue.
    queueing: Option<AbortController>,
}

/// Asks for it, and waits for the grant as long as that.
pub(super) async fn share(locks: LockManager, name: &str, patience_ms: u64) -> Option<Share> {
    settle(name).await;
    let place = Rc::new(Place {
        queueing: AbortController::new().ok(),
        ..Place::default()
    });
    let options = Object::new();
    let _ = Reflect::set(&options, &"mode".into(), &"shared".into());
    if let Some(controller) = &place.queueing {
        let _ = Reflect::set(&options, &"signal".into(), &controller.signal());
    }
    let (granted, answered) = oneshot::channel();
    let mut granted = Some(granted);
    let own = Rc::clone(&place);
    let callback = Closure::once(move |_: JsValue| -> JsValue {
        if own.gone.get() {
            return JsValue::UNDEFINED;
        }
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        own.holding.replace(release);
        if let Some(granted) = granted.take() {
            let _ = granted.send(());
        }
        held.into()
    });
    let request = locks
        .request(name, &options, callback.as_js_value().unchecked_ref())
        .ok()?;
    let share = Share {
        place,
        _asked: Asked::new(name, &request),
    };
    spawn(async move {
        // Where it is refused, dropping the callback tells whoever waits.
        let _ = JsFuture::from(request).await;
        drop(callback);
    });
    match select(answered, Box::pin(sleep(patience_ms))).await {
        Either::Left((Err(_), _)) => None,
        Either::Left((Ok(()), _)) | Either::Right(_) => Some(share),
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.place.gone.set(true);
        let holding = self.place.holding.take();
        match (holding, &self.place.queueing) {
            (Some(release), _) => drop(release.call0(&JsValue::UNDEFINED)),
            (None, Some(controller)) => controller.abort(),
            (None, None) => {}
        }
    }
}
