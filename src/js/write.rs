//! Writes between the border and the engine: what an app gave on its way in, and what it gets for
//! it.

use std::borrow::Cow;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::js::Inner;
use crate::js::convert::error_to_js;
use crate::js::middleware::{Middleware, decoded, decoded_many};
use crate::model::entity::OwnedKey;
use crate::model::error::{Error, Result};
use crate::plan::write::{Write, Written};
use crate::util::json::write::put_text;

/// What an app passed in, or what its call rejects with: where the app's own function threw, with
/// the very thing that was thrown.
pub(crate) type Given<T> = Result<T, JsValue>;

/// What a write answers.
pub(crate) type Answer = fn(Vec<Written>, Option<&Middleware>) -> Result<JsValue>;

/// Whose entities are written, and behind what.
pub(crate) struct Call {
    pub(crate) user: String,
    pub(crate) after: Rc<[OwnedKey]>,
}

/// Writes all of these, or none.
pub(crate) async fn write(
    inner: &Rc<Inner>,
    entity: &str,
    call: Call,
    writes: Vec<Write>,
) -> Result<Vec<Written>> {
    if inner.audience.hears_writes() {
        for write in &writes {
            let (kind, draft) = match write {
                Write::Create { draft } => ("create", Cow::Borrowed(draft.as_str())),
                Write::Update { entity } => ("update", Cow::Borrowed(entity.as_str())),
                Write::Patch { id, changes } => ("patch", Cow::Owned(named(changes, id))),
                Write::Delete { id, .. } => ("delete", Cow::Owned(named("{}", id))),
            };
            inner.audience.before_write(entity, kind, &draft);
        }
    }
    let written = inner
        .engine
        .entities()
        .write_after(&call.user, entity, writes, call.after)
        .await?;
    inner.tidy_later(&call.user);
    Ok(written)
}

/// An object with its entity's id, as JSON text.
fn named(object: &str, id: &str) -> String {
    let mut text = object
        .trim_end()
        .strip_suffix('}')
        .unwrap_or("{")
        .to_owned();
    put_text(&mut text, "id", id);
    text.push('}');
    text
}

/// A patch of a type with middleware: that sees the whole entity, which has to be read first.
pub(crate) async fn patch(
    inner: &Rc<Inner>,
    entity: &str,
    middleware: &Middleware,
    call: Result<Call>,
    id: Result<String>,
    changes: JsValue,
) -> Given<JsValue> {
    let threw = |error: Error| error_to_js(&error);
    let (call, id) = (call.map_err(threw)?, id.map_err(threw)?);
    let stored = inner
        .engine
        .entities()
        .read(&call.user, entity, &id, false)
        .await
        .map_err(threw)?;
    let planned = middleware.patch(stored.as_deref(), &changes)?;
    let text = planned.text();
    let write = if planned.is_whole() {
        Write::Update { entity: text }
    } else {
        Write::Patch { id, changes: text }
    };
    let written = self::write(inner, entity, call, vec![write])
        .await
        .map_err(threw)?;
    one(written, Some(middleware)).map_err(threw)
}

/// The entity that was written.
pub(crate) fn one(written: Vec<Written>, middleware: Option<&Middleware>) -> Result<JsValue> {
    match written.into_iter().next() {
        Some(Written::Entity(text)) => decoded(&text, middleware),
        _ => Ok(JsValue::NULL),
    }
}

/// All entities in one text: one parse for the whole call.
pub(crate) fn many(written: Vec<Written>, middleware: Option<&Middleware>) -> Result<JsValue> {
    let mut text = String::from("[");
    for item in &written {
        if let Written::Entity(entity) = item {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(entity);
        }
    }
    text.push(']');
    decoded_many(&text, middleware)
}
