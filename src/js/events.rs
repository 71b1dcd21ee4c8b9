//! Events as an async iterable.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Reader, Topic};
use crate::js::convert::{decode, feed_promise, read_options};
use crate::js::feed::iteration;
use crate::js::instance::Instance;
use crate::model::error::Result;

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

fn read_filter(value: &JsValue) -> Result<Filter> {
    let given = read_options(value, "filter")?;
    let given = given.data();
    let one = || given.text("type").map(|name| vec![name]);
    let names = given.texts("type").or_else(one).unwrap_or_default();
    let topics = Topic::NAMES
        .iter()
        .filter(|(known, _)| names.iter().any(|name| name == known));
    Ok(Filter {
        user_id: given.text("userId"),
        entity: given.text("entity"),
        topics: topics.map(|(_, topic)| *topic).collect(),
        is_observer: false,
    })
}
