//! Patches of many entities in one commit.

use std::borrow::Cow;
use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::js::arguments::read_string;
use crate::js::convert::{error_to_js, promise_as_is};
use crate::js::instance::Instance;
use crate::js::manager::Manager;
use crate::js::manager::options::read_write_options;
use crate::js::middleware::Middleware;
use crate::js::write::{JsResult, WriteTarget, many, patch_of, write};
use crate::model::entity::Fields;
use crate::model::error::{Code, Error, Result};
use crate::model::table::Table;
use crate::plan::write::Write;
use crate::util::collections::ordered_map::OrderedMap;
use crate::web::interop::{is_absent, set_member, thrown_text};

#[wasm_bindgen]
extern "C" {
    /// As `Array::is_array`, which throws for a proxy that was revoked.
    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
}

/// One patch: its entity, and what it changes.
struct Patch {
    id: String,
    changes: JsValue,
    removed: Vec<String>,
}

/// Replaces some of the fields of entities, all or none.
pub(super) fn patch_many(manager: &Manager, patches: &JsValue, options: &JsValue) -> Promise {
    let target = manager.written(read_write_options(options, "write"));
    let patches = match read_patches(manager, patches) {
        Ok(patches) => patches,
        Err(refused) => return Promise::reject(&refused),
    };
    let ((instance, entity), middleware) = (manager.handles(), manager.middleware());
    promise_as_is(Box::pin(async move {
        let target = target.map_err(threw)?;
        let mut writes = Vec::with_capacity(patches.len());
        let mut patched = OrderedMap::default();
        for patch in patches {
            writes.push(match &middleware {
                Some(middleware) => {
                    let place = (&instance, &*entity, &target);
                    merged(place, middleware, &mut patched, patch).await?
                }
                // Encoded already.
                None => patch_of(
                    patch.id,
                    patch.changes.as_string().unwrap_or_default(),
                    patch.removed,
                ),
            });
        }
        let written = write(&instance, &entity, target, writes).await;
        many(written.map_err(threw)?, middleware.as_ref()).map_err(threw)
    }))
}

/// Reads what an app passes: the changes as JSON text, or as a copy for middleware.
fn read_patches(manager: &Manager, given: &JsValue) -> JsResult<Vec<Patch>> {
    let middleware = manager.middleware();
    let unreadable = |thrown: JsValue| {
        let problem = "The patches could not be read.";
        threw(wrong(manager, problem).caused_by(thrown_text(&thrown)))
    };
    if !is_array(given).map_err(unreadable)? {
        let problem = "The patches must be an array, such as [{ id, changes: { done: true } }].";
        return Err(threw(wrong(manager, problem)));
    }
    let get = |key: JsValue| Reflect::get(given, &key).map_err(unreadable);
    let length = get(JsValue::from_str("length"))?.as_f64();
    let mut patches = Vec::new();
    for index in 0..length.unwrap_or_default() as usize {
        let item = get(JsValue::from_f64(index as f64))?;
        let [id, changes, removed] = members(manager, index, &item).map_err(threw)?;
        let id = read_string(&id, &format!("`id` of patch {index}")).map_err(threw)?;
        let options = Object::new();
        set_member(&options, "remove", &removed);
        let removed = read_write_options(&options, "patch")
            .map_err(threw)?
            .removed;
        let what = format!("`changes` of patch {index}");
        let changes = match &middleware {
            Some(middleware) => middleware.take(&changes, &what)?,
            None => JsValue::from(manager.encoded(&changes, &what).map_err(threw)?),
        };
        patches.push(Patch {
            id,
            changes,
            removed,
        });
    }
    Ok(patches)
}

/// Returns `id`, `changes` and `remove` of a patch, each read once.
fn members(manager: &Manager, index: usize, item: &JsValue) -> Result<[JsValue; 3]> {
    let unreadable = |thrown: JsValue| {
        wrong(manager, format!("Patch {index} could not be read.")).caused_by(thrown_text(&thrown))
    };
    if !item.is_object() || is_array(item).map_err(unreadable)? {
        let problem = format!("Patch {index} must be an object like {{ id, changes }}.");
        return Err(wrong(manager, problem));
    }
    let mut found = [const { JsValue::UNDEFINED }; 3];
    let keys = Reflect::own_keys(item).map_err(unreadable)?;
    for key in keys.iter() {
        let name = key.as_string().unwrap_or_default();
        let place = ["id", "changes", "remove"]
            .iter()
            .position(|known| *known == name);
        let value = Reflect::get(item, &key).map_err(unreadable)?;
        match place.and_then(|place| found.get_mut(place)) {
            Some(member) => *member = value,
            None if is_absent(&value) => {}
            None => {
                let problem = format!(
                    "`{name}` of patch {index} is not known; known are id, changes, remove."
                );
                return Err(wrong(manager, problem));
            }
        }
    }
    Ok(found)
}

fn wrong(manager: &Manager, problem: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::InvalidArgument, problem).on(&manager.entity, None)
}

/// Has middleware make the write of a patch, for which it gets the whole entity: as the patches
/// before it leave it, which `patched` has by id.
async fn merged(
    (instance, entity, target): (&Rc<Instance>, &str, &WriteTarget),
    middleware: &Middleware,
    patched: &mut OrderedMap<String>,
    patch: Patch,
) -> JsResult<Write> {
    let stored = match patched.get(&patch.id) {
        Some(text) => Some(text.clone()),
        None => {
            let selection = Table::name(entity, target.space.as_deref());
            let entities = instance.engine.entities();
            let read = entities.read(&target.user, &selection, &patch.id, Include::default());
            read.await.map_err(threw)?
        }
    };
    let planned = middleware.patch(stored.as_deref(), &patch.changes, patch.removed)?;
    let (changes, removed) = (planned.text(), planned.removed());
    if let Some(stored) = &stored {
        let left = apply(stored, &changes, &removed).map_err(threw)?;
        patched.insert(&patch.id, left);
    }
    Ok(patch_of(patch.id, changes, removed))
}

/// Returns the text of an entity with other fields.
fn apply(entity: &str, changes: &str, removed: &[String]) -> Result<String> {
    let (mut fields, changes) = (Fields::parse(entity)?, Fields::parse(changes)?);
    fields.0.retain(|(name, _)| changes.get(name).is_none());
    fields.0.extend(changes.0);
    fields
        .0
        .retain(|(name, _)| !removed.iter().any(|it| it == name));
    Ok(fields.to_json())
}

fn threw(error: Error) -> JsValue {
    error_to_js(&error)
}
