//! Hints from the app's adapter: `subscribe(userId, hint)`, which returns a function that ends it.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::model::error::{Error, Result};
use crate::ports::remote::Hints;
use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;
use crate::web::adapter::failed;
use crate::web::interop::{await_value, spawn};

pub(super) const NAME: &str = "subscribe";

/// Shared by a subscription and the adapter's callback. The callback may outlive the subscription
/// and then does nothing.
#[derive(Default)]
struct HintState {
    hinted: Cell<bool>,
    ended: Cell<bool>,
    failure: RefCell<Option<Error>>,
    unsubscribe: RefCell<Option<Function>>,
    woken: Notify,
}

impl HintState {
    fn end(&self) {
        self.ended.set(true);
        let unsubscribe = self.unsubscribe.borrow_mut().take();
        if let Some(unsubscribe) = unsubscribe {
            // Nobody is left to report an exception to.
            let _ = unsubscribe.call0(&JsValue::UNDEFINED);
        }
    }
}

struct HintSubscription(Rc<HintState>);

impl Drop for HintSubscription {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Subscribes, and passes hints on until the future is dropped. Several at once count as one.
///
/// # Errors
/// The error for what `subscribe` threw or rejected with.
pub(super) async fn listen(
    adapter: &JsValue,
    method: &Function,
    user_id: &str,
    hint: &mut dyn FnMut(),
) -> Result<Hints> {
    let subscription = HintSubscription(Rc::default());
    let shared = &subscription.0;
    let callback_state = Rc::clone(shared);
    let callback = Closure::<dyn Fn()>::new(move || {
        if !callback_state.ended.get() && !callback_state.hinted.replace(true) {
            callback_state.woken.notify_one();
        }
    });
    // Freed by the garbage collector: the adapter may call it for as long as it holds it.
    let returned = method
        .call2(
            adapter,
            &JsValue::from_str(user_id),
            &callback.into_js_value(),
        )
        .map_err(|thrown| failed(&thrown, NAME))?;
    let state = Rc::clone(shared);
    // In a task of its own: a promise may resolve after the subscription has ended.
    spawn(async move {
        match await_value(&returned).await {
            Ok(value) => {
                *state.unsubscribe.borrow_mut() = value.dyn_into().ok();
                if state.ended.get() {
                    state.end();
                }
            }
            Err(thrown) => {
                *state.failure.borrow_mut() = Some(failed(&thrown, NAME));
                state.woken.notify_one();
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
