//! Gives an open instance the live parts of a newer config: `Datum.initialize` with a name that is
//! open already.

use std::rc::Rc;

use js_sys::Array;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use crate::js::config::{self, InitialUser, ParsedConfig};
use crate::js::instance::{Instance, LiveParts};
use crate::model::error::{Code, Error, Result};

/// Replaces the remote, the resolvers, the middleware, the observers and the logger. Returns the
/// keys of the data that the newer config has otherwise; if there are any, nothing is replaced.
///
/// # Errors
/// Fails with [`Code::InvalidConfig`], naming the field; [`Code::UserMismatch`] if `initialUserId`
/// is another user than the current one; [`Code::Closed`].
pub(super) async fn adopt(instance: &Rc<Instance>, given: &JsValue) -> Result<JsValue> {
    let ParsedConfig {
        config,
        data,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
    } = config::read(given)?;
    let engine = &instance.engine;
    let mut keys = Vec::new();
    compare(&instance.config, &data, "", &mut keys);
    // Built-in resolvers are data, and were read apart from it.
    if config.conflict_resolver != engine.config().conflict_resolver {
        keys.push("defaultConflictResolver".to_owned());
    }
    for entity in config.entities.keys() {
        let of = |config: &config::Config| {
            let entity = config.entities.get(entity);
            entity.and_then(|entity| entity.conflict_resolver)
        };
        if of(&config) != of(engine.config()) {
            keys.push(["entities.", entity, ".conflictResolver"].concat());
        }
    }
    if keys.is_empty() {
        if !matches!(initial_user, InitialUser::Unsaid) {
            let user = initial_user.resolve(engine.host()).await?;
            check_user(user.as_deref(), engine.current_user().as_deref())?;
        }
        engine.check_open()?;
        engine.remote().replace(&remote);
        engine.replace_resolvers(resolvers);
        let told = audience.follow(engine);
        let old = instance.live.replace(LiveParts {
            middleware,
            audience,
            told,
        });
        if let Some(reader) = old.told {
            reader.end();
        }
    }
    let keys: Array = keys.iter().map(|key| JsValue::from_str(key)).collect();
    Ok(keys.into())
}

/// Nobody gets the instance of another user.
fn check_user(asked: Option<&str>, current: Option<&str>) -> Result<()> {
    if asked == current {
        return Ok(());
    }
    let name =
        |user: Option<&str>| user.map_or_else(|| "nobody".to_owned(), |user| format!("`{user}`"));
    Err(Error::new(
        Code::UserMismatch,
        format!(
            "`initialUserId` is {}, but {} is signed in to the open instance of this name; call `switchUser` or `logout` on it, or close it first.",
            name(asked),
            name(current)
        ),
    ))
}

/// Collects the paths of the values that differ. An absent value equals null and an empty object.
fn compare(old: &Value, new: &Value, path: &str, keys: &mut Vec<String>) {
    let empty = Map::new();
    let members = |value: &Value| match value {
        Value::Object(members) => Some(members.clone()),
        Value::Null => Some(empty.clone()),
        _ => None,
    };
    let (Some(a), Some(b)) = (members(old), members(new)) else {
        if old != new {
            keys.push(path.to_owned());
        }
        return;
    };
    let added = b.keys().filter(|key| !a.contains_key(*key));
    for key in a.keys().chain(added) {
        let of = |members: &Map<String, Value>| members.get(key).cloned().unwrap_or_default();
        let path = if path.is_empty() {
            key.clone()
        } else {
            [path, ".", key].concat()
        };
        compare(&of(&a), &of(&b), &path, keys);
    }
}
