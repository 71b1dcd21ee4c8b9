//! Hints from the app's own adapter: `subscribe(userId, hint)`, which answers with what ends it.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::model::error::{Error, Result};
use crate::ports::remote::Hints;
use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;
use crate::web::adapter::failed;
use crate::web::host::spawn;
use crate::web::http::deadline::settle;

/// The method of the adapter.
pub(super) const NAME: &str = "subscribe";

/// What a subscription and the adapter's callback share. The callback may outlive the subscription:
/// then it does nothing.
#[derive(Default)]
struct Shared {
    hinted: Cell<bool>,
    ended: Cell<bool>,
    failure: RefCell<Option<Error>>,
    unsubscribe: RefCell<Option<Function>>,
    woken: Notify,
}

impl Shared {
    fn end(&self) {
        self.ended.set(true);
        let unsubscribe = self.unsubscribe.borrow_mut().take();
        if let Some(unsubscribe) = unsubscribe {
            // Nobody is left who could be told that it threw.
            let _ = unsubscribe.call0(&JsValue::UNDEFINED);
        }
    }
}

struct Subscription(Rc<Shared>);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Subscribes, and passes each hint on until the future is dropped. However many come at once, they
/// are one.
///
/// # Errors
/// What `subscribe` threw, or rejected with.
pub(super) async fn listen(
    adapter: &JsValue,
    method: &Function,
    user_id: &str,
    hint: &mut dyn FnMut(),
) -> Result<Hints> {
    let subscription = Subscription(Rc::new(Shared::default()));
    let shared = &subscription.0;
    let heard = Rc::clone(shared);
    let callback = Closure::<dyn Fn()>::new(move || {
        if !heard.ended.get() && !heard.hinted.replace(true) {
            heard.woken.notify_one();
        }
    });
    // The garbage collector's to free: an adapter may call it for as long as it holds it.
    let returned = method
        .call2(
            adapter,
            &JsValue::from_str(user_id),
            &callback.into_js_value(),
        )
        .map_err(|thrown| failed(&thrown, NAME))?;
    let settled = Rc::clone(shared);
    // Apart from the waiting below: a promise may bring the end of a subscription after it is over.
    spawn(async move {
        match settle(&returned).await {
            Ok(value) => {
                *settled.unsubscribe.borrow_mut() = value.dyn_into().ok();
                if settled.ended.get() {
                    settled.end();
                }
            }
            Err(thrown) => {
                *settled.failure.borrow_mut() = Some(failed(&thrown, NAME));
                settled.woken.notify_one();
            }
        }
    });
    hint();
    loop {
        shared.woken.notified().await;
        if let Some(error) = shared.failure.borrow_mut().take() {
            return Err(error);
        }
        if shared.hinted.replace(false) {
            hint();
        }
    }
}
