//! The remote that an app implements in JavaScript: `RemoteAdapter`.
//!
//! Its replies become bytes again, so that `protocol` checks them like a server's. A `DatumError`
//! keeps its code; otherwise the HTTP status decides that the exception carries, if any.

use js_sys::{Array, Function, JSON};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::model::error::{Code, Error, Result};
use crate::model::metadata::{AdapterMetadata, read_kept};
use crate::model::protocol::refusal::of_status;
use crate::model::protocol::{DeviceMetadata, MetadataReply, PullRequest, PushRequest};
use crate::ports::remote::{Hints, Pulled, Pushed, Remote};
use crate::util::json::serialize;
use crate::web::interop::{
    AbortGuard, await_value, json_of, member, set_member, thrown_name, thrown_text,
};
use crate::web::parts::whole;
use crate::web::thrown::{coded_error, error_of, http_status, retry_after};

pub mod metadata;
pub mod subscription;

#[wasm_bindgen(module = "/src/js/config.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readAdapter)]
    fn read_adapter(given: &JsValue) -> Result<JsValue, JsValue>;
}

/// `RemoteAdapter` of the public surface.
#[derive(Debug)]
pub struct CustomRemote(JsValue);

/// The outcome of calling a method of the adapter.
enum Called {
    Value(JsValue),
    /// The adapter has no such method.
    Missing,
    Threw(JsValue),
}

impl CustomRemote {
    /// Takes `remote` of the config.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`] if `pull`, `push` or an optional method is not a
    /// function.
    pub fn new(adapter: &JsValue) -> Result<Self> {
        read_adapter(adapter).map_err(|thrown| error_of(&thrown, Code::InvalidConfig))?;
        Ok(Self(adapter.clone()))
    }

    /// Returns the adapter's `serverId`, if it has one.
    #[must_use]
    pub fn server_id(&self) -> Option<String> {
        member(&self.0, "serverId")
            .as_string()
            .filter(|id| !id.is_empty())
    }

    /// Calls a method, with the adapter as `this`, and awaits its result.
    async fn call(&self, name: &str, arguments: &[&JsValue]) -> Called {
        // Looked up at each call: an app may replace a method of its adapter.
        let method = member(&self.0, name);
        let Some(method) = method.dyn_ref::<Function>() else {
            return Called::Missing;
        };
        let arguments: Array = arguments.iter().copied().collect();
        let settled = match method.apply(&self.0, &arguments) {
            Ok(returned) => await_value(&returned).await,
            Err(thrown) => Err(thrown),
        };
        // What a failure leads to may be in a part of the module that is to come.
        if settled.is_err()
            && let Err(thrown) = whole().await
        {
            return Called::Threw(thrown);
        }
        settled.map_or_else(Called::Threw, Called::Value)
    }

    /// Calls `pull` or `push` with a request and a signal that aborts if the future is dropped.
    /// Returns the reply, or what the method threw.
    async fn request(
        &self,
        name: &str,
        user_id: &str,
        text: &str,
    ) -> Result<Result<Vec<u8>, JsValue>> {
        let request = parse(text)?;
        set_member(&request, "userId", &user_id.into());
        let guard = AbortGuard::new()?;
        let signal: AbortSignal = guard.signal();
        let called = self.call(name, &[&request, &signal]).await;
        guard.disarm();
        match called {
            Called::Value(value) => stringify(&value, name).map(|text| Ok(text.into_bytes())),
            Called::Threw(thrown) => Ok(Err(thrown)),
            Called::Missing => Err(Error::new(
                Code::InvalidConfig,
                format!("`remote.{name}` is not a function any more."),
            )),
        }
    }

    /// Returns the record that the app keeps, if it keeps one, and the purpose needs it.
    async fn record(&self, user_id: &str, purpose: &str) -> Result<Option<AdapterMetadata>> {
        const NAME: &str = "getSyncMetadata";
        let value = match self.call(NAME, &[&user_id.into(), &purpose.into()]).await {
            Called::Missing => return Ok(None),
            Called::Value(value) if value.is_undefined() || value.is_null() => return Ok(None),
            Called::Value(value) => value,
            Called::Threw(thrown) => return Err(failed(&thrown, NAME)),
        };
        let text = stringify(&value, NAME)?;
        read_kept(text.as_bytes(), "What `remote.getSyncMetadata` resolved to").map(Some)
    }

    /// Returns that record as the protocol has it.
    async fn reply(&self, user_id: &str, purpose: &str) -> Result<Option<Vec<u8>>> {
        let Some(mut record) = self.record(user_id, purpose).await? else {
            return Ok(None);
        };
        let reply = MetadataReply {
            digests: record.digests.take(),
            devices: metadata::devices(record),
            ..MetadataReply::default()
        };
        Ok(Some(serialize::to_string(&reply).into_bytes()))
    }
}

impl Remote for CustomRemote {
    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled> {
        match self
            .request("pull", user_id, &serialize::to_string(request))
            .await?
        {
            Ok(bytes) => Ok(Pulled::Page(bytes)),
            Err(thrown) if coded_error(&thrown).is_none() && http_status(&thrown) == Some(410) => {
                Ok(Pulled::CursorGone)
            }
            Err(thrown) => Err(failed(&thrown, "pull")),
        }
    }

    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let text = request.to_json();
        match self.request("push", user_id, &text).await? {
            Ok(bytes) => Ok(Pushed::Reply {
                bytes,
                sent: text.len() as u64,
            }),
            Err(thrown) if coded_error(&thrown).is_none() && http_status(&thrown) == Some(413) => {
                Ok(Pushed::TooLarge)
            }
            Err(thrown) => Err(failed(&thrown, "push")),
        }
    }

    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        self.reply(user_id, "read").await
    }

    async fn compared_metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        self.reply(user_id, "compare").await
    }

    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()> {
        const NAME: &str = "putSyncMetadata";
        if !member(&self.0, NAME).is_function() {
            return Ok(());
        }
        // The app keeps one record for all devices: the other devices' times are carried over.
        let merged = metadata::merge(user_id, self.record(user_id, "put").await?, metadata);
        match self
            .call(NAME, &[&parse(&serialize::to_string(&merged))?])
            .await
        {
            Called::Threw(thrown) => Err(failed(&thrown, NAME)),
            Called::Value(_) | Called::Missing => Ok(()),
        }
    }

    async fn clear_metadata(&self, user_id: &str) -> Result<()> {
        const NAME: &str = "clearSyncMetadata";
        match self.call(NAME, &[&user_id.into()]).await {
            Called::Threw(thrown) => Err(failed(&thrown, NAME)),
            Called::Value(_) | Called::Missing => Ok(()),
        }
    }

    async fn health(&self) -> Result<bool> {
        match self.call("health", &[]).await {
            Called::Missing => Ok(true),
            Called::Value(value) => Ok(value.is_truthy()),
            Called::Threw(thrown) => Err(failed(&thrown, "health")),
        }
    }

    async fn hints(&self, user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints> {
        let method = member(&self.0, subscription::NAME);
        match method.dyn_ref::<Function>() {
            Some(method) => subscription::listen(&self.0, method, user_id, hint).await,
            None => Ok(Hints::Never),
        }
    }
}

/// Returns the error for what a method threw.
fn failed(thrown: &JsValue, name: &str) -> Error {
    if let Some(error) = coded_error(thrown) {
        return error;
    }
    let target = format!("`remote.{name}`");
    let cause = thrown_text(thrown);
    let retry_after = retry_after(thrown);
    if let Some(status) = http_status(thrown) {
        let is_refusal = match status {
            // Of a row: a unique key, a rule about who may write it. The protocol's own word about
            // the user is a `DatumError` here.
            409 => member(thrown, "code") != "userMismatch",
            403 => name == "push",
            _ => false,
        };
        let error = if is_refusal {
            let what = format!("{target} was refused (HTTP {status}).");
            Error::new(Code::Rejected, what)
        } else {
            of_status(status, &target)
        };
        return error
            .with_status(status)
            .with_retry_after(retry_after)
            .caused_by(cause);
    }
    let (code, message) = match thrown_name(thrown).as_deref() {
        Some("TimeoutError") => (Code::Timeout, format!("{target} took too long.")),
        Some(name) if is_bug(thrown, name) => (
            Code::Protocol,
            format!(
                "{target} threw {cause}: a bug of the adapter, or an answer that it did not expect."
            ),
        ),
        _ => (Code::Network, format!("{target} failed.")),
    };
    Error::new(code, message)
        .with_retry_after(retry_after)
        .caused_by(cause)
}

/// Returns true if the language threw this, and no request. A `TypeError` is what `fetch` throws, too,
/// and only its words tell: "Failed to fetch" in Chromium 120, "NetworkError when attempting to
/// fetch resource." in Firefox 121, "Load failed" in Safari 17; in Node 18 it has a cause.
fn is_bug(thrown: &JsValue, name: &str) -> bool {
    const OF_REQUESTS: [&str; 5] = ["fetch", "etwork", "oad failed", "onnection", "erminated"];
    match name {
        "ReferenceError" | "RangeError" => true,
        "TypeError" => {
            let text = member(thrown, "message").as_string().unwrap_or_default();
            member(thrown, "cause").is_undefined()
                && !OF_REQUESTS.iter().any(|word| text.contains(word))
        }
        _ => false,
    }
}

/// Returns a request as a plain object.
fn parse(json: &str) -> Result<JsValue> {
    JSON::parse(json).map_err(|thrown| {
        Error::new(Code::Corrupt, "A request has no JavaScript form.")
            .caused_by(thrown_text(&thrown))
    })
}

/// Returns a reply as JSON.
fn stringify(value: &JsValue, name: &str) -> Result<String> {
    let wrong = |what: &str| {
        Error::new(
            Code::Protocol,
            format!("`remote.{name}` did not resolve to {what}."),
        )
    };
    if !value.is_object() {
        return Err(wrong("an object").caused_by(value.js_typeof().as_string().unwrap_or_default()));
    }
    json_of(value).map_err(|cause| wrong("something that JSON can hold").caused_by(cause))
}
