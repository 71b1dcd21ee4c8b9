//! Takes what `config.js` has read of a `DatumConfig`: its data, and its live objects (remote,
//! resolvers, functions) as they are.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::{Array, Function};
use wasm_bindgen::prelude::*;

use crate::engine::cycle::resolvers::Resolvers;
use crate::engine::migrations::Migrations;
use crate::js::arguments::read_string;
use crate::js::convert::{from_js, read_data};
use crate::js::middleware::Middlewares;
use crate::js::migrations;
use crate::js::observe::Audience;
use crate::js::resolver;
use crate::model::checked_object::CheckedObject;
pub(super) use crate::model::config::Config;
use crate::model::error::{Code, Error, Result};
use crate::ports::host::Host;
use crate::util::collections::vec_map::VecMap;
use crate::web::host::WebHost;
use crate::web::interop::{await_value, is_absent, member};
use crate::web::remote::WebRemote;

#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readConfig, reexport)]
    fn read_config(config: &JsValue) -> Result<JsValue, JsValue>;
}

/// How long the function that names the first user may take, in milliseconds.
const INITIAL_USER_MS: u64 = 10_000;

/// A config, split into checked data and live objects.
pub struct ParsedConfig {
    pub config: Config,
    /// The data of the config, by key: what must be the same to share an instance.
    pub data: JsValue,
    pub remote: WebRemote,
    pub resolvers: Resolvers,
    pub middleware: Middlewares,
    /// `initialUserId`, if the config has one.
    pub initial_user: Option<JsValue>,
    pub audience: Rc<Audience>,
    pub migrations: Option<Rc<dyn Migrations>>,
}

/// Returns the user that `initialUserId` names, after calling it if it is a function; it may return
/// a promise.
///
/// # Errors
/// Fails with [`Code::InvalidConfig`] if the function throws or returns anything but a string, null
/// or undefined; [`Code::Timeout`] if its promise does not settle.
pub async fn initial_user(given: Option<JsValue>, host: &WebHost) -> Result<Option<String>> {
    let wrong = |thrown: JsValue| {
        Error::new(
            Code::InvalidConfig,
            "`initialUserId` threw or rejected; let it answer a user id, null or undefined.",
        )
        .caused_by(from_js(&thrown, Code::InvalidConfig))
    };
    let Some(given) = given else {
        return Ok(None);
    };
    let Some(ask) = given.dyn_ref::<Function>() else {
        return Ok(given.as_string());
    };
    let answer = ask.call0(&JsValue::UNDEFINED).map_err(wrong)?;
    let answer = pin!(await_value(&answer));
    let answer = match select(answer, pin!(host.sleep(INITIAL_USER_MS))).await {
        Either::Left((answer, _)) => answer.map_err(wrong)?,
        Either::Right(_) => {
            // Opening without a user would hide the fault.
            let problem = "`initialUserId` has not answered for 10 seconds; let it answer a user id, or null and call `switchUser` later.";
            return Err(Error::new(Code::Timeout, problem));
        }
    };
    if is_absent(&answer) {
        return Ok(None);
    }
    read_string(&answer, "`initialUserId`")
        .map(Some)
        .map_err(|e| Error::new(Code::InvalidConfig, e.message().to_owned()))
}

/// Reads a config.
///
/// # Errors
/// Fails with [`Code::InvalidConfig`], naming the field and the fix.
pub fn read(given: &JsValue) -> Result<ParsedConfig> {
    let given = read_config(given).map_err(|thrown| from_js(&thrown, Code::InvalidConfig))?;
    let live = |key| Some(member(&given, key)).filter(|value| !is_absent(value));
    let config = Config::read(CheckedObject(&read_data(&given)?));
    let (mut resolvers, mut middleware) = (Vec::new(), VecMap::default());
    for functions in Array::from(&member(&given, "functions")).iter() {
        let functions: Array = functions.unchecked_into();
        let entity = functions.get(0).as_string().unwrap_or_default();
        let (resolver, own) = (functions.get(1), functions.get(2));
        if !own.is_undefined() {
            middleware.insert(&entity, own.unchecked_into());
        }
        if !is_absent(&resolver) {
            resolvers.push((entity, resolver));
        }
    }
    let middleware = Rc::new(middleware);
    let custom = |function: JsValue| resolver::custom(function.unchecked_into(), &middleware);
    let mut by_name = Resolvers {
        fallback: live("resolver").map(custom),
        ..Resolvers::default()
    };
    for (entity, resolver) in resolvers {
        by_name.by_entity.insert(&entity, custom(resolver));
    }
    Ok(ParsedConfig {
        config,
        data: member(&given, "data"),
        remote: WebRemote::read(&member(&given, "remote"))?,
        resolvers: by_name,
        middleware,
        initial_user: live("initialUserId"),
        audience: Rc::new(member(&given, "audience").unchecked_into()),
        migrations: migrations::of(live("migrations"), live("onMigrationError")),
    })
}
