//! Reads `DatumConfig`: its data through the checks of `model::config`, its live objects (remote,
//! resolvers, functions) as they are.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::{Array, Function, Object, Reflect};
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use crate::engine::cycle::resolvers::Resolvers;
use crate::js::arguments::read_string;
use crate::js::convert::{from_js, read_config, read_options};
use crate::js::middleware::{Middleware, Middlewares};
use crate::js::observe::Audience;
use crate::js::resolver::AppResolver;
use crate::js::{middleware, resolver};
pub(super) use crate::model::config::Config;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::WebHost;
use crate::web::interop::await_value;
use crate::web::remote::WebRemote;

/// How long the function that names the first user may take, in milliseconds.
const INITIAL_USER_MS: u64 = 10_000;

/// A config, split into checked data and live objects.
pub struct ParsedConfig {
    pub config: Config,
    /// The data of the config, by key: what must be the same to share an instance.
    pub data: Value,
    pub remote: WebRemote,
    pub resolvers: Resolvers,
    pub middleware: Middlewares,
    pub initial_user: InitialUser,
    pub audience: Rc<Audience>,
}

/// `initialUserId`.
pub enum InitialUser {
    /// The config does not say.
    Unsaid,
    Known(String),
    /// A function, which may return a promise.
    Asked(Function),
}

impl InitialUser {
    /// Returns the user, after calling the function if there is one.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`] if the function throws or returns anything but a string,
    /// null or undefined; [`Code::Timeout`] if its promise does not settle.
    pub async fn resolve(self, host: &WebHost) -> Result<Option<String>> {
        let wrong = |thrown: JsValue| {
            Error::new(
                Code::InvalidConfig,
                "`initialUserId` threw or rejected; let it answer a user id, null or undefined.",
            )
            .caused_by(from_js(&thrown, Code::InvalidConfig))
        };
        let answer = match self {
            Self::Unsaid => return Ok(None),
            Self::Known(user) => return Ok(Some(user)),
            Self::Asked(ask) => ask.call0(&JsValue::UNDEFINED).map_err(wrong)?,
        };
        let answer = pin!(await_value(&answer));
        let answer = match select(answer, pin!(host.sleep(INITIAL_USER_MS))).await {
            Either::Left((answer, _)) => answer.map_err(wrong)?,
            Either::Right(_) => {
                // Opening without a user would hide the fault.
                let problem = "`initialUserId` has not answered for 10 seconds; let it answer a user id, or null and call `switchUser` later.";
                return Err(Error::new(Code::Timeout, problem));
            }
        };
        if answer.is_undefined() || answer.is_null() {
            return Ok(None);
        }
        read_name(&answer, "`initialUserId`").map(Some)
    }
}

/// Reads a config.
///
/// # Errors
/// Fails with [`Code::InvalidConfig`], naming the field and the fix.
pub fn read(value: &JsValue) -> Result<ParsedConfig> {
    const LIVE: [&str; 7] = [
        "entities",
        "remote",
        "initialUserId",
        "defaultConflictResolver",
        "observers",
        "logger",
        "logLevel",
    ];
    let value = &read_config(value).map_err(|thrown| from_js(&thrown, Code::InvalidConfig))?;
    if !value.is_object() {
        return Err(Error::new(
            Code::InvalidConfig,
            "The config must be an object with at least `entities` and `remote`.",
        ));
    }
    let mut given = read_options(value, Code::InvalidConfig, "The config", &LIVE)?;
    let (types, by_entity, middleware) =
        read_entities(&given.handles.get("entities").unwrap_or_default())?;
    if let Value::Object(data) = &mut given.data {
        data.insert("entities".to_owned(), types);
    }
    let mut config = Config::read(given.members()?)?;
    let middleware = Rc::new(middleware);
    let custom = |function| resolver::custom(function, &middleware);
    let mut resolvers = Resolvers::default();
    for (entity, resolver) in by_entity {
        match resolver {
            AppResolver::Builtin(builtin) => {
                config.entities.entry(&entity).conflict_resolver = Some(builtin)
            }
            AppResolver::Custom(function) => {
                drop(resolvers.by_entity.insert(&entity, custom(function)))
            }
        }
    }
    match given
        .handles
        .get("defaultConflictResolver")
        .map(|given| read_resolver(&given, "defaultConflictResolver"))
        .transpose()?
    {
        Some(AppResolver::Builtin(builtin)) => config.conflict_resolver = builtin,
        Some(AppResolver::Custom(function)) => resolvers.fallback = Some(custom(function)),
        None => {}
    }
    let initial_user = match given.handles.get("initialUserId") {
        None => InitialUser::Unsaid,
        Some(given) => match given.dyn_into::<Function>() {
            Ok(ask) => InitialUser::Asked(ask),
            Err(given) => InitialUser::Known(read_name(&given, "`initialUserId`")?),
        },
    };
    let audience = Rc::new(Audience::read(&given.handles)?);
    let remote = given.handles.get("remote").unwrap_or_default();
    let remote = WebRemote::read(&if remote.is_object() {
        audience.logging_fetch(&remote)
    } else {
        remote
    })?;
    let mut data = given.data;
    if let Value::Object(data) = &mut data {
        data.insert("remote".to_owned(), remote.data());
    }
    Ok(ParsedConfig {
        config,
        data,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
    })
}

/// Entity types and their resolvers.
type GivenResolvers = Vec<(String, AppResolver)>;

/// Reads the entity types as data, and their resolvers and middleware.
fn read_entities(given: &JsValue) -> Result<(Value, GivenResolvers, VecMap<Middleware>)> {
    const LIVE: [&str; 5] = [
        "conflictResolver",
        "validate",
        "beforeSave",
        "afterRead",
        "middleware",
    ];
    let (mut resolvers, mut middlewares) = (Vec::new(), VecMap::default());
    // Not `instanceof`: the config may be of another realm, and this is an object without a
    // prototype.
    let Some(entities) = Some(given.unchecked_ref::<Object>())
        .filter(|entities| entities.is_object() && !Array::is_array(entities))
    else {
        // Absent or wrong: `Config::read` refuses both.
        return Ok((
            if given.is_undefined() {
                Value::Null
            } else {
                Value::Bool(true)
            },
            resolvers,
            middlewares,
        ));
    };
    let mut types = Map::new();
    for name in Object::keys(entities) {
        let entity = read_name(&name, "`entities`: a name")?;
        let what = format!("`entities.{entity}`");
        let given = Reflect::get(entities, &name)
            .map_err(|thrown| from_js(&thrown, Code::InvalidConfig))?;
        let given = read_options(&given, Code::InvalidConfig, &what, &LIVE)?;
        if let Some(resolver) = given.handles.get("conflictResolver") {
            resolvers.push((
                entity.clone(),
                read_resolver(&resolver, &format!("entities.{entity}.conflictResolver"))?,
            ));
        }
        if let Some(middleware) = middleware::read(&entity, &given.handles)? {
            middlewares.insert(&entity, middleware);
        }
        types.insert(entity, given.data);
    }
    Ok((Value::Object(types), resolvers, middlewares))
}

fn read_resolver(value: &JsValue, field: &str) -> Result<AppResolver> {
    resolver::read(value, Code::InvalidConfig, field)
}

fn read_name(value: &JsValue, what: &str) -> Result<String> {
    read_string(value, what).map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))
}
