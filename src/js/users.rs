//! Users: switching, signing out, and the app's own metadata of them.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::engine::users::LogoutOptions;
use crate::js::Datum;
use crate::js::arguments::read_user;
use crate::js::convert::{encode, promise, read_options, to_js};
use crate::model::config::UserSwitch;
use crate::model::error::{Code, Error, Result};
use crate::web::interop::is_absent;

#[wasm_bindgen]
impl Datum {
    /// Makes another user the current one.
    #[wasm_bindgen(js_name = switchUser)]
    pub fn switch_user(&self, request: &JsValue) -> Promise {
        let (instance, request) = (Rc::clone(&self.instance), SwitchRequest::read(request));
        promise(async move {
            let SwitchRequest { old, new, strategy } = request?;
            let result = instance
                .engine
                .users()
                .switch(old.as_deref(), &new, strategy)
                .await;
            instance.compact_later(&new);
            to_js(&result?)
        })
    }

    /// Decides that a user's data belongs to the server that answers now.
    #[wasm_bindgen(js_name = acceptServer)]
    pub fn accept_server(&self, user_id: &JsValue, data: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        let data = data.as_string();
        promise(async move {
            let user = user?;
            let offer = match data.as_deref() {
                Some("offer") => true,
                Some("wipe") => false,
                _ => {
                    return Err(Error::new(
                        Code::InvalidArgument,
                        "`data` must be \"offer\" or \"wipe\".",
                    ));
                }
            };
            let offered = instance.engine.users().accept_server(&user, offer).await?;
            Ok(JsValue::from_f64(offered as f64))
        })
    }

    /// Signs a user out.
    pub fn logout(&self, user_id: &JsValue, options: &JsValue) -> Promise {
        let (instance, user, options) = (
            Rc::clone(&self.instance),
            read_user(user_id),
            read_logout(options),
        );
        promise(async move {
            let user = user?;
            let result = instance.engine.users().logout(&user, options?).await?;
            if instance.engine.opened(&user).is_none() {
                instance.page.stop_listening(&user);
            }
            to_js(&result)
        })
    }

    /// The users that have a database on this device.
    #[wasm_bindgen(js_name = userIds)]
    pub fn user_ids(&self) -> Promise {
        let instance = Rc::clone(&self.instance);
        promise(async move { to_js(&instance.engine.users().ids().await?) })
    }

    /// Replaces the app's own fields in the sync metadata.
    #[wasm_bindgen(js_name = setCustomMetadata)]
    pub fn set_custom_metadata(&self, user_id: &JsValue, metadata: &JsValue) -> Promise {
        let (instance, user) = (Rc::clone(&self.instance), read_user(user_id));
        let json = encode(metadata, Code::InvalidArgument, "The custom metadata");
        promise(async move {
            instance
                .engine
                .metadata()
                .set_custom(&user?, &json?)
                .await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// The argument of `switchUser`.
struct SwitchRequest {
    old: Option<String>,
    new: String,
    strategy: Option<UserSwitch>,
}

impl SwitchRequest {
    fn read(value: &JsValue) -> Result<Self> {
        let nothing = js_sys::Object::new();
        let value = if is_absent(value) {
            nothing.as_ref()
        } else {
            value
        };
        let given = read_options(value, "switch")?;
        let given = given.data();
        Ok(Self {
            old: given.text("oldUserId"),
            new: given.text("newUserId").unwrap_or_default(),
            strategy: given.choice("strategy", &UserSwitch::NAMES),
        })
    }
}

fn read_logout(value: &JsValue) -> Result<LogoutOptions> {
    let (given, usual) = (read_options(value, "logout")?, LogoutOptions::default());
    let given = given.data();
    Ok(LogoutOptions {
        flush: given.whole("flush").unwrap_or(usual.flush),
        wipe: given.flag("wipe").unwrap_or(usual.wipe),
        force: given.flag("force").unwrap_or(usual.force),
    })
}
