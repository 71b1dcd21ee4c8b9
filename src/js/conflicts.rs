//! Conflicts that wait for the app's decision, and the explanations of earlier ones.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::js::arguments::{read_string, read_user};
use crate::js::convert::{decode, promise};
use crate::js::manager::options::read_user_option;
use crate::js::{Datum, middleware, resolver};
use crate::model::error::{Code, Error};

#[wasm_bindgen]
impl Datum {
    /// Returns the parked conflicts of a user.
    pub fn conflicts(&self, user_id: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        promise(async move {
            middleware::conflicts(
                &instance.engine.conflicts().list(&user?).await?,
                &instance.middlewares(),
            )
        })
    }

    /// Returns how the latest conflicts of an entity were decided.
    #[wasm_bindgen(js_name = explainMerge)]
    pub fn explain_merge(&self, entity: &JsValue, id: &JsValue, options: &JsValue) -> Promise {
        let (instance, entity, id) = (
            Rc::clone(&self.instance),
            read_string(entity, "`entity`"),
            read_string(id, "`id`"),
        );
        let user = read_user_option(options).and_then(|user| instance.engine.user_or_current(user));
        promise(async move {
            decode(
                &instance
                    .engine
                    .conflicts()
                    .explain(&user?, &entity?, &id?)
                    .await?,
            )
        })
    }

    /// Decides a parked conflict.
    #[wasm_bindgen(js_name = resolveConflict)]
    pub fn resolve_conflict(&self, id: &JsValue, resolution: &JsValue) -> Promise {
        let (instance, id) = (Rc::clone(&self.instance), read_string(id, "`id`"));
        let entity = id
            .as_ref()
            .ok()
            .and_then(|id| instance.engine.conflicts().entity_of(id));
        let middleware = entity.and_then(|entity| instance.middleware_of(&entity));
        let resolution = resolver::resolution(resolution, middleware.as_ref()).map_err(|error| match error.code() {
            Code::Conflict => Error::new(
                Code::InvalidArgument,
                "`resolution` must be { take: \"local\" | \"remote\" | \"later\" } or { take: \"merged\", data }.",
            ),
            _ => error,
        });
        promise(async move {
            instance
                .engine
                .conflicts()
                .resolve(&id?, resolution?)
                .await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}
