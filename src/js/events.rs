//! Events as an async iterable.

use std::rc::Rc;

use js_sys::Promise;
use serde_json::Value;
use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Reader, Topic};
use crate::js::convert::{decode, feed_promise, read_options};
use crate::js::feed::iteration;
use crate::js::instance::Instance;
use crate::model::error::{Code, Result};
use crate::model::object_reader::ObjectReader;

/// The events of an instance: `for await (const event of datum.events())`.
#[wasm_bindgen]
pub struct EventFeed {
    instance: Rc<Instance>,
    filter: Filter,
}

impl EventFeed {
    pub(super) fn new(instance: &Rc<Instance>, filter: &JsValue) -> Result<Self> {
        Ok(Self {
            instance: Rc::clone(instance),
            filter: read_filter(filter)?,
        })
    }
}

#[wasm_bindgen]
impl EventFeed {
    /// A new reader for each loop, which starts with the next event.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> EventIterator {
        EventIterator {
            reader: self.instance.engine.events(self.filter.clone()),
        }
    }
}

/// One loop over the events.
#[wasm_bindgen]
pub struct EventIterator {
    reader: Rc<Reader>,
}

#[wasm_bindgen]
impl EventIterator {
    /// The next event.
    pub fn next(&self) -> Promise {
        let reader = Rc::clone(&self.reader);
        feed_promise(async move {
            match reader.next().await {
                Some(event) => Ok(iteration(Some(&decode(&event.text)?))),
                None => Ok(iteration(None)),
            }
        })
    }

    /// Ends the reader: the loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        self.reader.end();
        Promise::resolve(&iteration(None))
    }

    /// Returns the iterator itself, so that a second loop over it continues after the first.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            reader: Rc::clone(&self.reader),
        }
    }
}

/// Reads several types of events.
fn read_topics(given: &mut ObjectReader<'_>) -> Vec<Topic> {
    let names = given.texts("type").unwrap_or_default();
    let known = |name: &String| Topic::NAMES.iter().find(|(known, _)| known == name);
    let topics: Vec<Topic> = names
        .iter()
        .filter_map(known)
        .map(|(_, topic)| *topic)
        .collect();
    if topics.len() != names.len() || topics.is_empty() {
        given.reject::<()>(
            "type",
            "must be a type of event, such as \"dataChanged\", or several.",
        );
    }
    topics
}

fn read_filter(value: &JsValue) -> Result<Filter> {
    let given = read_options(value, Code::InvalidArgument, "The filter of `events`", &[])?;
    let mut given = given.members()?;
    let topics = if matches!(given.value("type"), Some(Value::Array(_))) {
        read_topics(&mut given)
    } else {
        given.choice("type", &Topic::NAMES).into_iter().collect()
    };
    let filter = Filter {
        user_id: given.text("userId"),
        entity: given.text("entity"),
        topics,
        is_observer: false,
    };
    given.finish()?;
    Ok(filter)
}
