//! What waits for the app: dead letters and parked conflicts.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::convert::{decode, encode, promise, read_string};
use crate::js::manager::user_option;
use crate::js::{Datum, middleware, resolver, user};
use crate::model::error::{Code, Error};

#[wasm_bindgen]
impl Datum {
    /// The operations that the remote will never accept.
    #[wasm_bindgen(js_name = deadLetters)]
    pub fn dead_letters(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), user(user_id));
        promise(async move { decode(&inner.engine.dead_letters().list(&user?).await?) })
    }

    /// Queues one of them once more.
    #[wasm_bindgen(js_name = retryDeadLetter)]
    pub fn retry_dead_letter(&self, id: &JsValue, edited: &JsValue) -> Promise {
        let (inner, id) = (Rc::clone(&self.inner), read_string(id, "`id`"));
        let edited = (!edited.is_undefined() && !edited.is_null())
            .then(|| encode(edited, Code::InvalidEntity, "The edited entity"));
        promise(async move {
            inner
                .engine
                .dead_letters()
                .retry(&id?, edited.transpose()?)
                .await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Gives one of them up.
    #[wasm_bindgen(js_name = discardDeadLetter)]
    pub fn discard_dead_letter(&self, id: &JsValue) -> Promise {
        let (inner, id) = (Rc::clone(&self.inner), read_string(id, "`id`"));
        promise(async move {
            inner.engine.dead_letters().discard(&id?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// The conflicts that wait for a decision.
    pub fn conflicts(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), user(user_id));
        promise(async move {
            middleware::conflicts(
                &inner.engine.conflicts().list(&user?).await?,
                &inner.middleware,
            )
        })
    }

    /// How the latest conflicts of an entity were decided.
    #[wasm_bindgen(js_name = explainMerge)]
    pub fn explain_merge(&self, entity: &JsValue, id: &JsValue, options: &JsValue) -> Promise {
        let (inner, entity, id) = (
            Rc::clone(&self.inner),
            read_string(entity, "`entity`"),
            read_string(id, "`id`"),
        );
        let user =
            user_option(options).and_then(|options| inner.engine.user_or_current(options.user_id));
        promise(async move {
            decode(
                &inner
                    .engine
                    .conflicts()
                    .explain(&user?, &entity?, &id?)
                    .await?,
            )
        })
    }

    /// Decides one of them.
    #[wasm_bindgen(js_name = resolveConflict)]
    pub fn resolve_conflict(&self, id: &JsValue, resolution: &JsValue) -> Promise {
        let (inner, id) = (Rc::clone(&self.inner), read_string(id, "`id`"));
        let entity = id
            .as_ref()
            .ok()
            .and_then(|id| inner.engine.conflicts().entity_of(id));
        let middleware = entity.and_then(|entity| inner.middleware.get(&entity));
        let resolution = resolver::resolution(resolution, middleware).map_err(|error| match error.code() {
            Code::Conflict => Error::new(
                Code::InvalidArgument,
                "`resolution` must be { take: \"local\" | \"remote\" | \"later\" } or { take: \"merged\", data }.",
            ),
            _ => error,
        });
        promise(async move {
            inner.engine.conflicts().resolve(&id?, resolution?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}
