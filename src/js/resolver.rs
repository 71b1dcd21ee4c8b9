//! Conflict resolvers: the built-in ones by name, and the app's own functions.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use js_sys::Function;
use wasm_bindgen::prelude::*;

use crate::conflict::{Conflict, Resolution};
use crate::engine::cycle::resolvers::Resolver;
use crate::js::arguments::read_string;
use crate::js::convert::{decode, encode_entity, from_js};
use crate::js::middleware::{Middleware, Middlewares};
use crate::model::error::{Code, Error, Result};
use crate::web::interop::{await_value, member};

/// Returns the app's function as a resolver, which gets entities after middleware.
pub fn custom(function: Function, middleware: &Middlewares) -> Rc<dyn Resolver> {
    Rc::new(JsResolver(function, Rc::clone(middleware)))
}

struct JsResolver(Function, Middlewares);

impl Resolver for JsResolver {
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> LocalBoxFuture<'a, Result<Resolution>> {
        Box::pin(async move {
            let threw = |thrown: JsValue| {
                Error::new(
                    Code::Conflict,
                    "The conflict resolver threw or rejected; the conflict is parked.",
                )
                .caused_by(from_js(&thrown, Code::Conflict))
            };
            let middleware = self.1.get(&conflict.entity);
            let asked = match middleware {
                Some(middleware) => middleware
                    .conflict(&conflict.to_json())
                    .map_err(|thrown| from_js(&thrown, Code::InvalidEntity))?,
                None => decode(&conflict.to_json())?,
            };
            let answer = self.0.call1(&JsValue::UNDEFINED, &asked).map_err(threw)?;
            let answer = await_value(&answer).await.map_err(threw)?;
            resolution(&answer, middleware)
        })
    }
}

/// Reads the decision of a resolver or of the app.
///
/// # Errors
/// Fails with [`Code::Conflict`] if the value is not a resolution, and with [`Code::InvalidEntity`]
/// for a merged entity that JSON cannot hold or middleware refuses.
pub fn resolution(answer: &JsValue, middleware: Option<&Middleware>) -> Result<Resolution> {
    let take = if answer.is_object() {
        read_string(&member(answer, "take"), "`take`").unwrap_or_default()
    } else {
        String::new()
    };
    match take.as_str() {
        "local" => Ok(Resolution::Local),
        "remote" => Ok(Resolution::Remote),
        "later" => Ok(Resolution::Later),
        "merged" => {
            let (data, what) = (member(answer, "data"), "The merged entity");
            let text = match middleware {
                Some(middleware) => middleware
                    .merged(&data, what)
                    .map_err(|thrown| from_js(&thrown, Code::InvalidEntity))?,
                None => encode_entity(&data, what)?,
            };
            Ok(Resolution::Merged(Rc::from(text)))
        }
        _ => Err(Error::new(
            Code::Conflict,
            "A conflict resolver must answer { take: \"local\" | \"remote\" | \"later\" } or { take: \"merged\", data }; the conflict is parked.",
        )),
    }
}
