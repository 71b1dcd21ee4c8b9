//! Dead letters: operations that the remote has rejected for good.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::arguments::{read_string, read_user};
use crate::js::convert::{decode, encode_entity, promise};
use crate::js::instance::Instance;
use crate::web::interop::is_absent;

pub(super) fn list(instance: &Rc<Instance>, user_id: &JsValue) -> Promise {
    let (instance, user) = (Rc::clone(instance), read_user(user_id));
    promise(async move { decode(&instance.engine.dead_letters().list(&user?).await?) })
}

/// Queues a dead letter again, with the fields of `edited` if given.
pub(super) fn retry(instance: &Rc<Instance>, id: &JsValue, edited: &JsValue) -> Promise {
    let (instance, id) = (Rc::clone(instance), read_string(id, "`id`"));
    let edited = (!is_absent(edited)).then(|| encode_entity(edited, "The edited entity"));
    promise(async move {
        instance
            .engine
            .dead_letters()
            .retry(&id?, edited.transpose()?)
            .await?;
        Ok(JsValue::UNDEFINED)
    })
}

pub(super) fn discard(instance: &Rc<Instance>, id: &JsValue) -> Promise {
    let (instance, id) = (Rc::clone(instance), read_string(id, "`id`"));
    promise(async move {
        instance.engine.dead_letters().discard(&id?).await?;
        Ok(JsValue::UNDEFINED)
    })
}
