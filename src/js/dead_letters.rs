//! Dead letters: operations that the remote has rejected for good.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::arguments::{read_string, read_user};
use crate::js::convert::{decode, encode_entity, promise};
use crate::js::instance::Instance;
use crate::js::manager::options::read_user_option;
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

/// Makes dead letters of a pending operation and of those that depend on it.
pub(super) fn discard_operation(
    instance: &Rc<Instance>,
    op_id: &JsValue,
    options: &JsValue,
) -> Promise {
    let (instance, op_id) = (Rc::clone(instance), read_string(op_id, "`opId`"));
    let user = read_user_option(options).and_then(|user| instance.engine.user_or_current(user));
    promise(async move {
        let letters = instance.engine.dead_letters();
        let text = letters.discard_operation(&user?, &op_id?).await?;
        decode(&text)
    })
}

pub(super) fn discard(instance: &Rc<Instance>, id: &JsValue) -> Promise {
    let (instance, id) = (Rc::clone(instance), read_string(id, "`id`"));
    promise(async move {
        instance.engine.dead_letters().discard(&id?).await?;
        Ok(JsValue::UNDEFINED)
    })
}
