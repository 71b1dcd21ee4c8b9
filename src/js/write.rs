//! Writes: converts an app's arguments for the engine, and the engine's output for the app.

use std::borrow::Cow;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::engine::queries::relations::deletes::DeleteHow;
use crate::js::convert::error_to_js;
use crate::js::instance::Instance;
use crate::js::middleware::{Middleware, decoded, decoded_many};
use crate::js::observe::Audience;
use crate::js::waiting;
use crate::model::config::DeleteBehavior;
use crate::model::entity::OwnedKey;
use crate::model::error::{Error, Result};
use crate::model::table::Table;
use crate::plan::write::{Write, Written};
use crate::util::json::write::put_text;

/// A value, or the value that the app's call rejects with: an exception of its own function,
/// unchanged.
pub(crate) type JsResult<T> = Result<T, JsValue>;

/// Converts the output of a write.
pub(crate) type WriteOutput = fn(Vec<Written>, Option<&Middleware>) -> Result<JsValue>;

/// The user whose entities a write changes, and the entities whose operations it follows.
pub(crate) struct WriteTarget {
    pub(crate) user: String,
    /// The space, if the options name one; empty for the user's own.
    pub(crate) space: Option<String>,
    pub(crate) after: Rc<[OwnedKey]>,
    /// The names of the fields that a patch removes.
    pub(crate) removed: Vec<String>,
    /// Only of a delete.
    pub(crate) behavior: Option<DeleteBehavior>,
    /// A delete follows the rules of relations.
    pub(crate) cascade: bool,
}

/// Writes all of these, or none.
pub(crate) async fn write(
    instance: &Rc<Instance>,
    entity: &str,
    target: WriteTarget,
    writes: Vec<Write>,
) -> Result<Vec<Written>> {
    let audience = instance.audience();
    if audience.hears_writes() {
        tell(&audience, entity, &writes);
    }
    let selection = Table::name(entity, target.space.as_deref());
    let deletes = matches!(writes.first(), Some(Write::Delete { .. }));
    let written = if deletes && target.cascade && instance.engine.config().has_delete_rules(entity)
    {
        Box::pin(delete(instance, &target, &selection, writes)).await?
    } else {
        let entities = instance.engine.entities();
        entities
            .write_after(&target.user, &selection, writes, target.after)
            .await?
    };
    instance.compact_later(&target.user);
    waiting::watch(instance, &target.user);
    Ok(written)
}

/// Tells observers of writes that are about to be made.
pub(crate) fn tell(audience: &Audience, entity: &str, writes: &[Write]) {
    for write in writes {
        let (kind, draft) = match write {
            Write::Create { draft } => ("create", Cow::Borrowed(draft.as_str())),
            Write::Update { entity } => ("update", Cow::Borrowed(entity.as_str())),
            Write::Patch { id, changes } | Write::PatchAndRemove { id, changes, .. } => {
                ("patch", Cow::Owned(named(changes, id)))
            }
            Write::Delete { id, .. } => ("delete", Cow::Owned(named("{}", id))),
            Write::Move { id, .. } => ("move", Cow::Owned(named("{}", id))),
        };
        audience.before_write(entity, kind, &draft);
    }
}

/// Deletes these entities, and what goes with them by the rules of relations.
async fn delete(
    instance: &Rc<Instance>,
    target: &WriteTarget,
    selection: &str,
    writes: Vec<Write>,
) -> Result<Vec<Written>> {
    let ids = writes.into_iter().filter_map(|write| match write {
        Write::Delete { id, .. } => Some(id),
        _ => None,
    });
    let how = DeleteHow {
        behavior: target.behavior,
        after: Rc::clone(&target.after),
    };
    let relations = instance.engine.relations();
    let deleted = relations.delete(&target.user, selection, ids.collect(), how);
    Ok(deleted.await?.into_iter().map(Written::Deleted).collect())
}

/// Returns an object's JSON text with the entity's id added.
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

pub(crate) fn patch_of(id: String, changes: String, removed: Vec<String>) -> Write {
    if removed.is_empty() {
        Write::Patch { id, changes }
    } else {
        Write::PatchAndRemove {
            id,
            changes,
            removed,
        }
    }
}

/// Patches an entity whose type has middleware, which gets the whole entity, so that is read first.
pub(crate) async fn patch(
    instance: &Rc<Instance>,
    entity: &str,
    middleware: &Middleware,
    target: Result<WriteTarget>,
    id: Result<String>,
    changes: JsValue,
) -> JsResult<JsValue> {
    let threw = |error: Error| error_to_js(&error);
    let (target, id) = (target.map_err(threw)?, id.map_err(threw)?);
    let stored = instance
        .engine
        .entities()
        .read(
            &target.user,
            &Table::name(entity, target.space.as_deref()),
            &id,
            Include::default(),
        )
        .await
        .map_err(threw)?;
    let planned = middleware.patch(stored.as_deref(), &changes, target.removed.clone())?;
    let write = patch_of(id, planned.text(), planned.removed());
    let written = self::write(instance, entity, target, vec![write])
        .await
        .map_err(threw)?;
    one(written, Some(middleware)).map_err(threw)
}

/// Returns the entity that was written.
pub(crate) fn one(written: Vec<Written>, middleware: Option<&Middleware>) -> Result<JsValue> {
    match written.into_iter().next() {
        Some(Written::Entity(text)) => decoded(&text, middleware),
        _ => Ok(JsValue::NULL),
    }
}

/// Returns all written entities, parsed as one text.
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
