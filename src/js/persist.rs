//! Whether the browser keeps what is stored, and what the app is told of that.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::convert::promise;
use crate::js::{Datum, Inner};
use crate::model::config::Persist;
use crate::ports::host::Host;
use crate::web::host::spawn;

/// Says where nothing is kept, and asks the browser to keep what there will be, where the engine is
/// to ask.
pub(super) fn watch(inner: &Rc<Inner>) {
    let engine = &inner.engine;
    if let Some(refused) = engine.backing().refused() {
        let why = refused.cause().unwrap_or_default();
        inner.audience.say(
            "warn",
            "The browser gives no storage: everything is kept in memory, and lost with the page.",
            why,
        );
    }
    if engine.config().persist != Persist::Always || engine.backing().refused().is_some() {
        return;
    }
    let (worth, weak) = (engine.first_write(), Rc::downgrade(inner));
    spawn(async move {
        worth.reached().await;
        if let Some(inner) = weak.upgrade() {
            inner.request_persistence().await;
        }
    });
}

impl Inner {
    async fn request_persistence(&self) -> bool {
        let host = self.engine.host();
        if self.engine.config().persist == Persist::Never {
            return host.storage().await.persisted;
        }
        let granted = host.request_persistence().await;
        let said = if granted {
            "The browser has promised not to evict what is stored."
        } else {
            "The browser may evict what is stored when it needs room."
        };
        self.audience.say("info", said, "");
        granted
    }
}

#[wasm_bindgen]
impl Datum {
    /// Asks the browser never to evict what is stored.
    #[wasm_bindgen(js_name = requestPersistence)]
    pub fn request_persistence(&self) -> Promise {
        let inner = Rc::clone(&self.inner);
        promise(async move { Ok(JsValue::from_bool(inner.request_persistence().await)) })
    }
}
