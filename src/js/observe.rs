//! The app's observers and its logger.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Reader, Topic};
use crate::js::engine::WebEngine;
use crate::web::interop::spawn;

#[wasm_bindgen(module = "/src/js/observe.js")]
extern "C" {
    /// The observers and the logger.
    pub type Audience;
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
}

impl Audience {
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
