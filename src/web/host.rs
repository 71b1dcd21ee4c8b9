//! The browser as a host: windows and workers, each feature taken where the browser has it.
//!
//! Bound to the global object, never to `window`, which workers lack. Nothing here fails loudly:
//! a missing feature degrades as the port says.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::EventTarget;

use crate::model::error::Result;
use crate::ports::host::{Heard, Host, StorageEstimate};
pub use crate::web::channel::Listening;
pub use crate::web::leader::Lead;
pub use crate::web::local_storage::{mark, set_mark};
pub use crate::web::locks::LockGuard;
pub use crate::web::page::{PageWatch, Presence};
pub use crate::web::shared_lock::Share;
pub use crate::web::timer::{breathe, sleep};
pub use crate::web::unload::LeavingWatch;
use crate::web::{channel, locks, page, shared_lock};

/// Begins work that nobody waits for.
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    // What it takes to begin is paid once, not at each place that does.
    spawn_boxed(Box::pin(work));
}

#[inline(never)]
fn spawn_boxed(work: Pin<Box<dyn Future<Output = ()>>>) {
    spawn_local(work);
}

/// What one `getRandomValues` gives at most, in bytes.
const RANDOM_AT_ONCE: usize = 65_536;

/// This window or worker.
#[derive(Debug, Default)]
pub struct WebHost {
    channels: channel::Channels,
}

impl WebHost {
    /// A host; instances on two hosts hear each other, also within one tab.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls back with everything that another instance announces or says for that database.
    pub fn listen(&self, database: &str, heard: impl FnMut(Heard) + 'static) -> Listening {
        self.channels.listen(database, heard)
    }

    /// Closes the channel of that database as soon as nobody listens on it: after a wipe, and on
    /// entering the back/forward cache. The next announcement opens it again.
    pub fn release(&self, database: &str) {
        self.channels.release(database);
    }

    /// Calls back with whether the browser believes that there is a network, on each change.
    pub fn on_network(&self, changed: impl FnMut(bool) + Clone + 'static) -> NetworkWatch {
        NetworkWatch::new(changed)
    }

    /// Calls back when the page is hidden or left; without a page, never.
    pub fn on_leaving(&self, left: impl Fn() + Clone + 'static) -> LeavingWatch {
        LeavingWatch::new(left)
    }

    /// Whether somebody can see this page now.
    #[must_use]
    pub fn presence(&self) -> Presence {
        page::presence()
    }

    /// Calls back on each change of it.
    pub fn on_presence(&self, changed: impl FnMut(Presence) + 'static) -> PageWatch {
        PageWatch::new(changed)
    }

    /// Strives for the lead of that app among all tabs of this origin. Calls back with whether this
    /// tab leads, on each change; every tab does where the browser has no locks, or refuses them.
    pub fn lead(&self, app: &str, changed: impl FnMut(bool) + 'static) -> Lead {
        Lead::new(
            navigator().and_then(|navigator| navigator.locks()),
            app,
            page::presence(),
            changed,
        )
    }

    /// Asks the browser never to evict this origin's storage, and answers whether it will not.
    /// Some browsers ask the user. No where the browser has no such call.
    pub async fn request_persistence(&self) -> bool {
        match storage_manager().and_then(|storage| storage.persist().ok()) {
            Some(promise) => settled(promise)
                .await
                .is_some_and(|granted| granted.is_truthy()),
            None => false,
        }
    }
}

impl Host for WebHost {
    type Guard = LockGuard;
    type Share = Share;

    fn now_ms(&self) -> u64 {
        js_sys::Date::now().max(0.0) as u64
    }

    fn elapsed_ms(&self) -> u64 {
        performance().map_or_else(
            || self.now_ms(),
            |performance| performance.now().max(0.0) as u64,
        )
    }

    fn random(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(RANDOM_AT_ONCE) {
            if crypto().is_none_or(|crypto| crypto.get_random_values(part).is_err()) {
                // Ids must still differ where there is no crypto at all.
                part.fill_with(|| (js_sys::Math::random() * 256.0) as u8);
            }
        }
    }

    async fn sleep(&self, ms: u64) {
        sleep(ms).await;
    }

    async fn breathe(&self) {
        breathe().await;
    }

    fn is_online(&self) -> bool {
        navigator()
            .and_then(|navigator| navigator.on_line())
            .unwrap_or(true)
    }

    async fn lock(&self, name: &str, steal: bool) -> Result<Option<LockGuard>> {
        locks::lock(
            navigator().and_then(|navigator| navigator.locks()),
            name,
            steal,
        )
        .await
    }

    fn on_stolen(&self, guard: &LockGuard, stolen: Rc<dyn Fn()>) {
        guard.on_stolen(stolen);
    }

    async fn share(&self, name: &str, patience_ms: u64) -> Option<Share> {
        shared_lock::share(navigator()?.locks()?, name, patience_ms).await
    }

    fn announce(&self, database: &str, head: u64) {
        self.channels.announce(database, head);
    }

    fn say(&self, database: &str, word: &str) {
        self.channels.say(database, word);
    }

    async fn storage(&self) -> StorageEstimate {
        let Some(storage) = storage_manager() else {
            return StorageEstimate::default();
        };
        let mut estimate = StorageEstimate::default();
        // WebKitGTK has neither call: it throws for want of a function.
        if let Ok(promise) = storage.estimate()
            && let Some(told) = settled(promise).await
        {
            estimate.usage = bytes_in(&told, "usage");
            estimate.quota = bytes_in(&told, "quota");
        }
        if let Ok(promise) = storage.persisted() {
            estimate.persisted = settled(promise)
                .await
                .is_some_and(|persisted| persisted.is_truthy());
        }
        estimate
    }
}

pub(crate) type Callback = Closure<dyn FnMut()>;

/// Watches the network until it is dropped.
#[must_use]
pub struct NetworkWatch {
    events: [(&'static str, Callback); 2],
}

impl NetworkWatch {
    fn new(changed: impl FnMut(bool) + Clone + 'static) -> Self {
        let (mut up, mut down) = (changed.clone(), changed);
        let events = [
            ("online", Callback::new(move || up(true))),
            ("offline", Callback::new(move || down(false))),
        ];
        let target: EventTarget = js_sys::global().unchecked_into();
        for (event, callback) in &events {
            let _ = target
                .add_event_listener_with_callback(event, callback.as_js_value().unchecked_ref());
        }
        Self { events }
    }
}

impl Drop for NetworkWatch {
    fn drop(&mut self) {
        let target: EventTarget = js_sys::global().unchecked_into();
        for (event, callback) in &self.events {
            let _ = target
                .remove_event_listener_with_callback(event, callback.as_js_value().unchecked_ref());
        }
    }
}

impl fmt::Debug for NetworkWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkWatch").finish_non_exhaustive()
    }
}

/// The browser's words for what it threw.
pub(crate) fn describe(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => format!(
            "{}: {}",
            String::from(error.name()),
            String::from(error.message())
        ),
        None => thrown
            .as_string()
            .unwrap_or_else(|| "something that is no Error".to_owned()),
    }
}

async fn settled(promise: Promise) -> Option<JsValue> {
    JsFuture::from(promise).await.ok()
}

fn bytes_in(object: &JsValue, field: &str) -> Option<u64> {
    let bytes = js_sys::Reflect::get(object, &field.into()).ok()?.as_f64()?;
    (bytes.is_finite() && bytes >= 0.0).then_some(bytes as u64)
}

fn scope() -> Scope {
    js_sys::global().unchecked_into()
}

fn navigator() -> Option<Navigator> {
    scope().navigator()
}

fn storage_manager() -> Option<StorageManager> {
    navigator().and_then(|navigator| navigator.storage())
}

fn performance() -> Option<Performance> {
    scope().performance()
}

fn crypto() -> Option<Crypto> {
    scope().crypto()
}

#[wasm_bindgen]
extern "C" {
    // Windows and workers have these under the same names but as different classes, and any of
    // them may be missing: bound by name, each optional.
    type Scope;

    #[wasm_bindgen(method, getter)]
    fn navigator(this: &Scope) -> Option<Navigator>;

    #[wasm_bindgen(method, getter)]
    fn performance(this: &Scope) -> Option<Performance>;

    #[wasm_bindgen(method, getter)]
    fn crypto(this: &Scope) -> Option<Crypto>;

    type Navigator;

    #[wasm_bindgen(method, getter, js_name = onLine)]
    fn on_line(this: &Navigator) -> Option<bool>;

    #[wasm_bindgen(method, getter)]
    fn locks(this: &Navigator) -> Option<locks::LockManager>;

    #[wasm_bindgen(method, getter)]
    fn storage(this: &Navigator) -> Option<StorageManager>;

    type StorageManager;

    #[wasm_bindgen(method, catch)]
    fn estimate(this: &StorageManager) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn persist(this: &StorageManager) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn persisted(this: &StorageManager) -> Result<Promise, JsValue>;

    type Performance;

    #[wasm_bindgen(method)]
    fn now(this: &Performance) -> f64;

    type Crypto;

    #[wasm_bindgen(method, catch, js_name = getRandomValues)]
    fn get_random_values(this: &Crypto, bytes: &mut [u8]) -> Result<JsValue, JsValue>;
}
