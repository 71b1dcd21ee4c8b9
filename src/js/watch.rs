//! Watched entities as a feed.

use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::engine::database::read::Include;
use crate::engine::watch::{Delta, Watch};
use crate::js::feed::{Endable, Feed, LateWatch, LoopReader, Next};
use crate::js::instance::Instance;
use crate::js::middleware::{Middleware, decoded};
use crate::model::error::{Code, Error, Result};
use crate::util::cell::RefCell;
use crate::web::host::WebHost;
use crate::web::interop::thrown_text;
use crate::web::storage::web_store::WebStore;

#[wasm_bindgen(module = "/src/js/live.js")]
extern "C" {
    /// The entities of one watch.
    type Live;
    #[wasm_bindgen(constructor)]
    fn new() -> Live;
    #[wasm_bindgen(method, catch)]
    fn apply(
        this: &Live,
        middleware: Option<Middleware>,
        whole: bool,
        text: &str,
        gone: &Array,
    ) -> Result<JsValue, JsValue>;
}

/// Selects the watched entities.
#[derive(Clone)]
pub(crate) struct WatchTarget {
    pub(crate) user_id: String,
    pub(crate) entity: Rc<str>,
    pub(crate) only: Option<String>,
    pub(crate) include: Include,
}

/// Returns the entities as a feed.
pub(crate) fn watch(instance: Rc<Instance>, target: Result<WatchTarget>) -> Feed {
    Feed::new(move || {
        Rc::new(WatchCursor {
            instance: Rc::clone(&instance),
            target: target.clone(),
            live: Live::new(),
            watch: LateWatch::default(),
            last: RefCell::default(),
        })
    })
}

/// The state of one loop.
struct WatchCursor {
    instance: Rc<Instance>,
    target: Result<WatchTarget>,
    live: Live,
    watch: LateWatch<Watch<WebStore, WebHost>>,
    /// The text of the entity that was returned last, of a watch for one.
    last: RefCell<Option<String>>,
}

impl Endable for Watch<WebStore, WebHost> {
    fn end(&self) {
        Self::end(self);
    }
}

impl WatchCursor {
    async fn open(&self) -> Result<Watch<WebStore, WebHost>> {
        let target = self.target.clone()?;
        let entities = self.instance.engine.entities();
        entities
            .watch(&target.user_id, &target.entity, target.only, target.include)
            .await
    }

    async fn next(&self) -> Result<Option<JsValue>> {
        loop {
            let Some(watch) = self.watch.get(self.open()).await? else {
                return Ok(None);
            };
            let Some(delta) = watch.next().await? else {
                return Ok(None);
            };
            let target = self.target.clone()?;
            let value = if target.only.is_none() {
                Some(self.apply(&target, &delta)?)
            } else {
                self.changed_entity(&target, &delta)?
            };
            if value.is_some() {
                return Ok(value);
            }
        }
    }

    /// Returns all watched entities after a change.
    fn apply(&self, target: &WatchTarget, delta: &Delta) -> Result<JsValue> {
        let gone: Array = delta.gone.iter().map(|id| JsValue::from_str(id)).collect();
        let middleware = self.instance.middleware_of(&target.entity);
        self.live
            .apply(middleware, delta.whole, &delta.items, &gone)
            .map_err(|thrown| {
                Error::new(Code::Corrupt, "A stored entity is not JSON.")
                    .caused_by(thrown_text(&thrown))
            })
    }

    /// Returns the one watched entity, or null; `None` if it is the same as before.
    fn changed_entity(&self, target: &WatchTarget, delta: &Delta) -> Result<Option<JsValue>> {
        let text = delta
            .items
            .strip_prefix('[')
            .and_then(|items| items.strip_suffix(']'))
            .filter(|item| !item.is_empty())
            .unwrap_or("null");
        if self.last.borrow().as_deref() == Some(text) {
            return Ok(None);
        }
        let middleware = self.instance.middleware_of(&target.entity);
        let value = decoded(text, middleware.as_ref())?;
        *self.last.borrow_mut() = Some(text.to_owned());
        Ok(Some(value))
    }
}

impl LoopReader for WatchCursor {
    fn next(self: Rc<Self>) -> Next {
        Box::pin(async move { Self::next(&self).await })
    }

    fn end(&self) {
        self.watch.end();
    }
}
