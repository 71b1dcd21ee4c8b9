//! Reading `DatumConfig`: its data through the checks of `config`, and its live objects (remote,
//! resolvers, the function that names the user) as they are.

use js_sys::{Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::config::{Config, EntityConfig, RawConfig, RawOptions};
use crate::error::{Code, Error, Result};
use crate::js::carrier::WebRemote;
use crate::js::convert::{from_js, read_options, read_string};
use crate::js::resolver::{self, Given as GivenResolver};
use crate::sync::resolve::Resolvers;

/// A config, read.
pub struct Given {
    /// The checked data.
    pub config: Config,
    /// The backend.
    pub remote: WebRemote,
    /// The app's own resolvers.
    pub resolvers: Resolvers,
    /// Who is signed in to begin with.
    pub initial_user: InitialUser,
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
    /// null or undefined.
    pub async fn resolve(self) -> Result<Option<String>> {
        let wrong = |thrown: JsValue| {
            Error::new(Code::InvalidConfig, "`initialUserId` threw or rejected; let it answer a user id, null or undefined.")
                .caused_by(from_js(&thrown, Code::InvalidConfig))
        };
        let answer = match self {
            Self::Nobody => return Ok(None),
            Self::Known(user) => return Ok(Some(user)),
            Self::Asked(ask) => ask.call0(&JsValue::UNDEFINED).map_err(wrong)?,
        };
        let answer = JsFuture::from(Promise::resolve(&answer)).await.map_err(wrong)?;
        if answer.is_undefined() || answer.is_null() {
            return Ok(None);
        }
        read_string(&answer, "`initialUserId`").map(Some).map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))
    }
}

/// Reads a config.
///
/// # Errors
/// [`Code::InvalidConfig`], naming the field and the fix.
pub fn read(value: &JsValue) -> Result<Given> {
    const LIVE: [&str; 5] = ["entities", "remote", "initialUserId", "defaultConflictResolver", "defaultSyncOptions"];
    if !value.is_object() {
        return Err(Error::new(Code::InvalidConfig, "The config must be an object with at least `entities` and `remote`."));
    }
    let (mut raw, handles): (RawConfig, _) = read_options(value, Code::InvalidConfig, "The config", &LIVE)?;
    let mut resolvers = Resolvers::default();
    let entities = handles.get("entities").unwrap_or(JsValue::UNDEFINED);
    if !entities.is_undefined() && (!entities.is_object() || js_sys::Array::is_array(&entities)) {
        return Err(Error::new(Code::InvalidConfig, "`entities` must be an object, such as { tasks: {} }."));
    }
    if entities.is_object() {
        let entities: Object = entities.unchecked_into();
        for name in Object::keys(&entities) {
            let entity = read_string(&name, "`entities`: a name").map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))?;
            let given = js_sys::Reflect::get(&entities, &name).unwrap_or_default();
            let (mut config, handles): (EntityConfig, _) =
                read_options(&given, Code::InvalidConfig, &format!("`entities.{entity}`"), &["conflictResolver"])?;
            match handles.get("conflictResolver").map(|given| resolver::read(&given, Code::InvalidConfig)).transpose()? {
                Some(GivenResolver::Builtin(builtin)) => config.conflict_resolver = Some(builtin),
                Some(GivenResolver::Custom(custom)) => {
                    resolvers.by_entity.insert(&entity, custom);
                }
                None => {}
            }
            raw.entities.insert(entity, config);
        }
    }
    match handles.get("defaultConflictResolver").map(|given| resolver::read(&given, Code::InvalidConfig)).transpose()? {
        Some(GivenResolver::Builtin(builtin)) => raw.default_conflict_resolver = Some(builtin),
        Some(GivenResolver::Custom(custom)) => resolvers.fallback = Some(custom),
        None => {}
    }
    if let Some(defaults) = handles.get("defaultSyncOptions") {
        let (options, _): (RawOptions, _) = read_options(&defaults, Code::InvalidConfig, "`defaultSyncOptions`", &[])?;
        raw.default_sync_options = Some(options);
    }
    let initial_user = match handles.get("initialUserId") {
        None => InitialUser::Nobody,
        Some(given) => match given.dyn_into::<Function>() {
            Ok(ask) => InitialUser::Asked(ask),
            Err(given) => InitialUser::Known(
                read_string(&given, "`initialUserId`").map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))?,
            ),
        },
    };
    let config = raw.check()?;
    let remote = WebRemote::read(&handles.get("remote").unwrap_or(JsValue::UNDEFINED))?;
    Ok(Given { config, remote, resolvers, initial_user })
}
