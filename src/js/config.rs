//! Reading `DatumConfig`: its data through the checks of `config`, and its live objects (remote,
//! resolvers, the function that names the user) as they are.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::{Array, Function, Object, Promise, Reflect};
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::engine::cycle::resolvers::Resolvers;
use crate::js::convert::{from_js, read_options, read_string};
use crate::js::middleware::{Middleware, Middlewares};
use crate::js::observe::Audience;
use crate::js::resolver::Given as GivenResolver;
use crate::js::{middleware, resolver};
use crate::model::config::Config;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::WebHost;
use crate::web::remote::WebRemote;

/// How long the function that names the first user may take, in milliseconds.
const INITIAL_USER_MS: u64 = 10_000;

/// A config, read.
pub struct Given {
    /// The checked data.
    pub config: Config,
    /// The backend.
    pub remote: WebRemote,
    /// The app's own resolvers.
    pub resolvers: Resolvers,
    /// The app's functions around its entities.
    pub middleware: Middlewares,
    /// Who is signed in to begin with.
    pub initial_user: InitialUser,
    /// Observers and logger.
    pub audience: Rc<Audience>,
}

/// `initialUserId`.
pub enum InitialUser {
    /// Nobody.
    Nobody,
    /// A value.
    Known(String),
    /// A function, which may answer later.
    Asked(Function),
}

impl InitialUser {
    /// Asks, where it is a function.
    ///
    /// # Errors
    /// [`Code::InvalidConfig`] where the function throws or answers something else than a string,
    /// null or undefined; [`Code::Timeout`] where it does not answer.
    pub async fn resolve(self, host: &WebHost) -> Result<Option<String>> {
        let wrong = |thrown: JsValue| {
            Error::new(
                Code::InvalidConfig,
                "`initialUserId` threw or rejected; let it answer a user id, null or undefined.",
            )
            .caused_by(from_js(&thrown, Code::InvalidConfig))
        };
        let answer = match self {
            Self::Nobody => return Ok(None),
            Self::Known(user) => return Ok(Some(user)),
            Self::Asked(ask) => ask.call0(&JsValue::UNDEFINED).map_err(wrong)?,
        };
        let answer = pin!(JsFuture::from(Promise::resolve(&answer)));
        let answer = match select(answer, pin!(host.sleep(INITIAL_USER_MS))).await {
            Either::Left((answer, _)) => answer.map_err(wrong)?,
            Either::Right(_) => {
                // To go on without a user would hide it.
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
/// [`Code::InvalidConfig`], naming the field and the fix.
pub fn read(value: &JsValue) -> Result<Given> {
    const LIVE: [&str; 7] = [
        "entities",
        "remote",
        "initialUserId",
        "defaultConflictResolver",
        "observers",
        "logger",
        "logLevel",
    ];
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
            GivenResolver::Builtin(builtin) => {
                config.entities.entry(&entity).conflict_resolver = Some(builtin)
            }
            GivenResolver::Custom(function) => {
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
        Some(GivenResolver::Builtin(builtin)) => config.conflict_resolver = builtin,
        Some(GivenResolver::Custom(function)) => resolvers.fallback = Some(custom(function)),
        None => {}
    }
    let initial_user = match given.handles.get("initialUserId") {
        None => InitialUser::Nobody,
        Some(given) => match given.dyn_into::<Function>() {
            Ok(ask) => InitialUser::Asked(ask),
            Err(given) => InitialUser::Known(read_name(&given, "`initialUserId`")?),
        },
    };
    let audience = Rc::new(Audience::read(&given.handles)?);
    let remote = given.handles.get("remote").unwrap_or_default();
    let remote = WebRemote::read(&if remote.is_object() {
        audience.look_at(&remote)
    } else {
        remote
    })?;
    Ok(Given {
        config,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
    })
}

/// The resolvers of entity types, by name.
type GivenResolvers = Vec<(String, GivenResolver)>;

/// The entity types as data, and apart from that their resolvers and their middleware.
fn read_entities(given: &JsValue) -> Result<(Value, GivenResolvers, VecMap<Middleware>)> {
    const LIVE: [&str; 5] = [
        "conflictResolver",
        "validate",
        "beforeSave",
        "afterRead",
        "middleware",
    ];
    let (mut resolvers, mut middlewares) = (Vec::new(), VecMap::default());
    let Some(entities) = given
        .dyn_ref::<Object>()
        .filter(|entities| !Array::is_array(entities))
    else {
        // Absent or wrong: both are the config's to refuse.
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

fn read_resolver(value: &JsValue, field: &str) -> Result<GivenResolver> {
    resolver::read(value, Code::InvalidConfig, field)
}

fn read_name(value: &JsValue, what: &str) -> Result<String> {
    read_string(value, what).map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))
}
