//! Gives an open instance the live parts of a newer config: `Datum.initialize` with a name that is
//! open already.

use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::js::config::{self, ParsedConfig};
use crate::js::instance::{Instance, LiveParts};
use crate::model::error::{Code, Error, Result};

#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    fn differences(old: &JsValue, now: &JsValue) -> Array;
}

/// Replaces the remote, the resolvers, the migrations, the middleware, the observers and the logger. Returns the
/// keys of the data that the newer config has otherwise; if there are any, nothing is replaced.
///
/// # Errors
/// Fails with [`Code::InvalidConfig`], naming the field; [`Code::UserMismatch`] if `initialUserId`
/// is another user than the current one; [`Code::Closed`].
pub(super) async fn adopt(instance: &Rc<Instance>, given: &JsValue) -> Result<JsValue> {
    let ParsedConfig {
        config: _,
        data,
        remote,
        resolvers,
        middleware,
        initial_user,
        audience,
        migrations,
    } = config::read(given)?;
    let engine = &instance.engine;
    let keys = differences(&instance.config, &data);
    if keys.length() == 0 {
        if initial_user.is_some() {
            let user = config::initial_user(initial_user, engine.host()).await?;
            check_user(user.as_deref(), engine.current_user().as_deref())?;
        }
        engine.check_open()?;
        engine.remote().replace(&remote);
        engine.replace_resolvers(resolvers);
        engine.replace_migrations(migrations);
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
