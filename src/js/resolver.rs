//! The app's own conflict resolver: a function from a conflict to a resolution, at once or later.

use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::conflict::{Builtin, Conflict, Resolution};
use crate::error::{Code, Error, Result};
use crate::js::convert::{decode, encode, from_js, read_string};
use crate::sync::resolve::Resolver;

/// A resolver that the app gave.
pub enum Given {
    /// By name.
    Builtin(Builtin),
    /// A function.
    Custom(Rc<dyn Resolver>),
}

/// Reads a resolver.
///
/// # Errors
/// `code`, naming the field and listing the names that there are.
pub fn read(value: &JsValue, code: Code, field: &str) -> Result<Given> {
    if let Some(function) = value.dyn_ref::<Function>() {
        return Ok(Given::Custom(Rc::new(JsResolver(function.clone()))));
    }
    let name = value.as_string();
    let builtin = Builtin::NAMES.iter().find(|(known, _)| name.as_deref() == Some(known));
    builtin.map(|(_, builtin)| Given::Builtin(*builtin)).ok_or_else(|| {
        let fix = "must be \"merge\", \"lastWriteWins\", \"localPriority\", \"remotePriority\", \"ask\" or a function.";
        Error::new(code, format!("`{field}` {fix}"))
    })
}

struct JsResolver(Function);

impl Resolver for JsResolver {
    fn resolve<'a>(&'a self, conflict: &'a Conflict) -> LocalBoxFuture<'a, Result<Resolution>> {
        Box::pin(async move {
            let threw = |thrown: JsValue| {
                Error::new(Code::Conflict, "The conflict resolver threw or rejected; the conflict is parked.")
                    .caused_by(from_js(&thrown, Code::Conflict))
            };
            let asked = decode(&conflict.to_json())?;
            let answer = self.0.call1(&JsValue::UNDEFINED, &asked).map_err(threw)?;
            let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(threw)?;
            resolution(&answer)
        })
    }
}

/// Reads what a resolver, or the app itself, decides.
///
/// # Errors
/// [`Code::Conflict`] where it is no resolution; [`Code::InvalidEntity`] for a merged entity that JSON cannot hold.
pub fn resolution(answer: &JsValue) -> Result<Resolution> {
    let part = |key: &str| js_sys::Reflect::get(answer, &JsValue::from_str(key)).unwrap_or_default();
    let take = if answer.is_object() { read_string(&part("take"), "`take`").unwrap_or_default() } else { String::new() };
    match take.as_str() {
        "local" => Ok(Resolution::Local),
        "remote" => Ok(Resolution::Remote),
        "later" => Ok(Resolution::Later),
        "merged" => Ok(Resolution::Merged(Rc::from(encode(&part("data"), Code::InvalidEntity, "The merged entity")?))),
        _ => Err(Error::new(
            Code::Conflict,
            "A conflict resolver must answer { take: \"local\" | \"remote\" | \"later\" } or { take: \"merged\", data }; the conflict is parked.",
        )),
    }
}
