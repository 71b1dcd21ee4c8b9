//! The app's observers and its logger.

use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Reader, Topic};
use crate::js::convert::{Handles, from_js};
use crate::js::engine::WebEngine;
use crate::model::error::{Code, Error, Result};
use crate::web::interop::{has_method, member, set_member, spawn};

#[wasm_bindgen(module = "/src/js/observe.js")]
extern "C" {
    /// The observers and the logger.
    pub type Audience;
    #[wasm_bindgen(constructor, catch)]
    fn new(observers: &JsValue, logger: &JsValue, level: Option<&str>)
    -> Result<Audience, JsValue>;
    #[wasm_bindgen(method)]
    fn wanted(this: &Audience) -> Vec<String>;
    #[wasm_bindgen(method)]
    fn tell(this: &Audience, text: &str);
    /// Notifies the observers of a write that is about to be made.
    #[wasm_bindgen(method, js_name = beforeWrite)]
    pub fn before_write(this: &Audience, entity: &str, kind: &str, draft: &str);
    /// Whether an observer has `beforeWrite`.
    #[wasm_bindgen(method, js_name = hearsWrites)]
    pub fn hears_writes(this: &Audience) -> bool;
    /// Logs a message that is not an event; warnings go to the console if there is no logger.
    #[wasm_bindgen(method)]
    pub fn say(this: &Audience, level: &str, message: &str, reason: &str, scope: &str);
    /// Returns the last entries of the log.
    #[wasm_bindgen(method)]
    pub fn recent(this: &Audience) -> JsValue;
    #[wasm_bindgen(method)]
    fn fetch(this: &Audience, given: &JsValue) -> JsValue;
}

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

impl Audience {
    /// Reads `observers`, `logger` and `logLevel`.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`], naming the field.
    pub fn read(handles: &Handles) -> Result<Self> {
        let wrong = |what: &str| Error::new(Code::InvalidConfig, what.to_owned());
        let observers = handles.get("observers").unwrap_or_default();
        if !observers.is_undefined() && !Array::is_array(&observers) {
            return Err(wrong(
                "`observers` must be an array of objects with `onEvent` or `beforeWrite`.",
            ));
        }
        let logger = handles.get("logger").unwrap_or_default();
        if !logger.is_undefined() && !has_method(&logger, "log") {
            return Err(wrong(
                "`logger` must be an object with a function `log(entry)`.",
            ));
        }
        let level = handles.get("logLevel");
        let name = level.as_ref().and_then(JsValue::as_string);
        if level.is_some() && !name.as_deref().is_some_and(|name| LEVELS.contains(&name)) {
            return Err(wrong(
                "`logLevel` must be \"trace\", \"debug\", \"info\", \"warn\", \"error\" or \"off\".",
            ));
        }
        Self::new(&observers, &logger, name.as_deref())
            .map_err(|thrown| from_js(&thrown, Code::InvalidConfig))
    }

    /// Returns `remote` with a `fetch` that logs each request, if the level asks for it.
    pub fn logging_fetch(&self, remote: &JsValue) -> JsValue {
        // An adapter sends its own requests. It may be an instance of a class, so it cannot be
        // copied.
        if has_method(remote, "pull") || has_method(remote, "push") {
            return remote.clone();
        }
        let given = member(remote, "fetch");
        let wrapped = self.fetch(&given);
        if js_sys::Object::is(&wrapped, &given) {
            return remote.clone();
        }
        let copy = js_sys::Object::assign(&js_sys::Object::new(), remote.unchecked_ref());
        set_member(&copy, "fetch", &wrapped);
        copy.into()
    }

    /// Passes events to the observers and the logger until the reader ends, or the instance is
    /// closed.
    pub fn follow(self: &Rc<Self>, engine: &WebEngine) -> Option<Rc<Reader>> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return None;
        }
        let topics = Topic::NAMES
            .iter()
            .filter(|(name, _)| wanted.iter().any(|wanted| wanted == name))
            .map(|(_, topic)| *topic)
            .collect();
        let reader = engine.events(Filter {
            topics,
            is_observer: true,
            ..Filter::default()
        });
        let (audience, events) = (Rc::clone(self), Rc::clone(&reader));
        spawn(async move {
            while let Some(event) = events.next().await {
                audience.tell(&event.text);
            }
        });
        Some(reader)
    }
}
