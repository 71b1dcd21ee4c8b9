//! Watches and events as async iterables.

use std::rc::Rc;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

use crate::engine::events::{Filter, Reader, Topic};
use crate::engine::watch::Watch;
use crate::js::convert::{decode, error_to_js, promise, read_options, to_js};
use crate::js::feed::step;
use crate::js::middleware::{Middleware, decoded};
use crate::js::{Datum, Inner, optional_user};
use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::http::failure::words;
use crate::web::storage::WebStore;

#[wasm_bindgen(module = "/src/js/live.js")]
extern "C" {
    /// The entities of one watch.
    type Live;
    #[wasm_bindgen(constructor)]
    fn new(middleware: Option<Middleware>) -> Live;
    #[wasm_bindgen(method, catch)]
    fn apply(this: &Live, whole: bool, text: &str, gone: &Array) -> Result<JsValue, JsValue>;
}

/// What is watched.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) user_id: String,
    pub(crate) entity: Rc<str>,
    pub(crate) only: Option<String>,
    pub(crate) include_deleted: bool,
}

/// Watched entities: `for await (const tasks of manager.watchAll())`.
#[wasm_bindgen]
pub struct WatchFeed {
    inner: Rc<Inner>,
    target: Result<Target>,
}

impl WatchFeed {
    pub(crate) fn new(inner: Rc<Inner>, target: Result<Target>) -> Self {
        Self { inner, target }
    }
}

#[wasm_bindgen]
impl WatchFeed {
    /// A reader of its own for each loop.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> WatchIterator {
        let entity = self.target.as_ref().ok().map(|target| &target.entity);
        let middleware = entity
            .and_then(|entity| self.inner.middleware.get(entity))
            .cloned();
        let place = Place {
            inner: Rc::clone(&self.inner),
            target: self.target.clone(),
            live: Live::new(middleware),
            state: RefCell::default(),
        };
        WatchIterator {
            place: Rc::new(place),
        }
    }
}

struct Place {
    inner: Rc<Inner>,
    target: Result<Target>,
    live: Live,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    watch: Option<Rc<Watch<WebStore, WebHost>>>,
    last: Option<String>,
    ended: bool,
}

/// One loop over a watch.
#[wasm_bindgen]
pub struct WatchIterator {
    place: Rc<Place>,
}

impl Place {
    async fn watch(&self) -> Result<Rc<Watch<WebStore, WebHost>>> {
        let known = self.state.borrow().watch.clone();
        if let Some(watch) = known {
            return Ok(watch);
        }
        let target = self.target.clone()?;
        let watch = Rc::new(
            self.inner
                .engine
                .entities()
                .watch(
                    &target.user_id,
                    &target.entity,
                    target.only,
                    target.include_deleted,
                )
                .await?,
        );
        self.state.borrow_mut().watch = Some(Rc::clone(&watch));
        Ok(watch)
    }

    async fn next(&self) -> Result<JsValue> {
        let end = || Ok(step(&JsValue::UNDEFINED, true));
        loop {
            if self.state.borrow().ended {
                return end();
            }
            let watch = self.watch().await?;
            if self.state.borrow().ended {
                // The loop was left while the database opened.
                watch.end();
            }
            let Some(delta) = watch.next().await? else {
                return end();
            };
            if !self
                .target
                .as_ref()
                .is_ok_and(|target| target.only.is_some())
            {
                let gone: Array = delta.gone.iter().map(|id| JsValue::from_str(id)).collect();
                let value = self
                    .live
                    .apply(delta.whole, &delta.items, &gone)
                    .map_err(|thrown| unreadable().caused_by(words(&thrown)))?;
                return Ok(step(&value, false));
            }
            // One entity: told only where it is another one than before.
            let text = delta
                .items
                .strip_prefix('[')
                .and_then(|items| items.strip_suffix(']'))
                .filter(|item| !item.is_empty());
            let text = text.unwrap_or("null").to_owned();
            if self.state.borrow().last.as_ref() == Some(&text) {
                continue;
            }
            let middleware = self
                .target
                .as_ref()
                .ok()
                .and_then(|target| self.inner.middleware.get(&target.entity));
            let value = decoded(&text, middleware)?;
            self.state.borrow_mut().last = Some(text);
            return Ok(step(&value, false));
        }
    }
}

fn unreadable() -> Error {
    Error::new(Code::Corrupt, "A stored entity is not JSON.")
}

#[wasm_bindgen]
impl WatchIterator {
    /// What is there; then, each time, what is there after a change.
    pub fn next(&self) -> Promise {
        let place = Rc::clone(&self.place);
        promise(async move { place.next().await })
    }

    /// The loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        let mut state = self.place.state.borrow_mut();
        state.ended = true;
        let watch = state.watch.take();
        drop(state);
        if let Some(watch) = watch {
            watch.end();
        }
        Promise::resolve(&step(&JsValue::UNDEFINED, true))
    }

    /// A loop over an iterator goes on where it stands.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            place: Rc::clone(&self.place),
        }
    }
}

/// What happens, as it happens: `for await (const event of datum.events())`.
#[wasm_bindgen]
pub struct EventFeed {
    inner: Rc<Inner>,
    filter: Filter,
}

#[wasm_bindgen]
impl EventFeed {
    /// A reader of its own for each loop, who hears of what happens from now on.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> EventIterator {
        EventIterator {
            reader: self.inner.engine.events(self.filter.clone()),
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
        promise(async move {
            match reader.next().await {
                Some(event) => Ok(step(&decode(&event.text)?, false)),
                None => Ok(step(&JsValue::UNDEFINED, true)),
            }
        })
    }

    /// The loop was left.
    #[wasm_bindgen(js_name = "return")]
    pub fn end(&self) -> Promise {
        self.reader.end();
        Promise::resolve(&step(&JsValue::UNDEFINED, true))
    }

    /// A loop over an iterator goes on where it stands.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        Self {
            reader: Rc::clone(&self.reader),
        }
    }
}

#[wasm_bindgen]
impl Datum {
    /// What happens in this instance.
    ///
    /// # Errors
    /// `invalidArgument`, naming the field of the filter.
    pub fn events(&self, filter: &JsValue) -> Result<EventFeed, JsValue> {
        let filter = read_filter(filter).map_err(|e| error_to_js(&e))?;
        Ok(EventFeed {
            inner: Rc::clone(&self.inner),
            filter,
        })
    }

    /// What was done since the instance was opened.
    ///
    /// # Errors
    /// None that metrics can cause.
    #[wasm_bindgen(getter)]
    pub fn metrics(&self) -> Result<JsValue, JsValue> {
        to_js(&self.inner.engine.metrics()).map_err(|e| error_to_js(&e))
    }

    /// Asks the remote how it does, and answers how everything does.
    #[wasm_bindgen(js_name = checkHealth)]
    pub fn check_health(&self, user_id: &JsValue) -> Promise {
        let (inner, user) = (Rc::clone(&self.inner), optional_user(user_id));
        promise(async move { to_js(&inner.engine.health().check(user?).await?) })
    }
}

fn read_filter(value: &JsValue) -> Result<Filter> {
    let given = read_options(value, Code::InvalidArgument, "The filter of `events`", &[])?;
    let mut given = given.members()?;
    let topics = given.choice("type", &Topic::NAMES).into_iter().collect();
    let filter = Filter {
        user_id: given.text("userId"),
        entity: given.text("entity"),
        topics,
        is_observer: false,
    };
    given.finish()?;
    Ok(filter)
}
