//! The browser as a host, in windows and workers.
//!
//! Bound to the global object and not to `window`, which workers lack. A feature that the browser
//! does not have degrades as the port describes, without an error.

use std::rc::Rc;

use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::model::error::{Code, Result};
use crate::ports::host::{Host, StorageEstimate, TabMessage};
use crate::web::channel::{Channels, Listening};
use crate::web::interop::{EventListener, await_value, member};
use crate::web::leader::LeaderElection;
use crate::web::locks::LockGuard;
use crate::web::page::Presence;
use crate::web::parts::{is_whole, whole};
use crate::web::shared_lock::SharedLock;
use crate::web::thrown::error_of;
use crate::web::timer::{breathe, sleep};
use crate::web::{locks, page, shared_lock};

/// The most that one `getRandomValues` fills, in bytes.
const RANDOM_AT_ONCE: usize = 65_536;

/// This window or worker.
#[derive(Debug, Default)]
pub struct WebHost {
    channels: Channels,
}

impl WebHost {
    /// Returns a host. Instances on two hosts hear each other, also within one tab.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls back with every head and message that another instance of that database posts.
    pub fn listen(
        &self,
        database: &str,
        on_message: impl FnMut(TabMessage) + 'static,
    ) -> Listening {
        self.channels.listen(database, on_message)
    }

    /// Closes the channel of that database once nobody listens on it: after a wipe, and on entering
    /// the back/forward cache. The next announcement opens it again.
    pub fn release(&self, database: &str) {
        self.channels.release(database);
    }

    /// Calls back with whether the browser reports a network, on each change.
    pub fn on_network(&self, mut changed: impl FnMut(bool) + 'static) -> EventListener {
        EventListener::new(
            vec![(js_sys::global().unchecked_into(), &["online", "offline"])],
            move |event| changed(event.type_() == "online"),
        )
    }

    /// Calls back when the page is hidden or left; never in a worker.
    pub fn on_leaving(&self, on_leave: impl Fn() + 'static) -> EventListener {
        page::on_leaving(on_leave)
    }

    /// Returns whether somebody can see this page now.
    #[must_use]
    pub fn presence(&self) -> Presence {
        page::presence()
    }

    /// Calls back with each change of [`Self::presence`].
    pub fn on_presence(&self, changed: impl FnMut(Presence) + 'static) -> EventListener {
        page::on_presence(changed)
    }

    /// Takes part in the election of a leader for that app among all tabs of this origin. Calls
    /// back with whether this tab leads, on each change. Without Web Locks, every tab leads.
    pub fn lead(&self, app: &str, changed: impl FnMut(bool) + 'static) -> LeaderElection {
        LeaderElection::new(
            navigator().and_then(|navigator| navigator.locks()),
            app,
            page::presence(),
            changed,
        )
    }

    /// Asks the browser never to evict this origin's storage. Returns whether it promises that;
    /// false if it has no such call. Some browsers ask the user.
    pub async fn request_persistence(&self) -> bool {
        match storage_manager().and_then(|storage| storage.persist().ok()) {
            Some(promise) => fulfilled(promise)
                .await
                .is_some_and(|granted| granted.is_truthy()),
            None => false,
        }
    }
}

impl Host for WebHost {
    type Guard = LockGuard;
    type Share = SharedLock;

    fn now_ms(&self) -> u64 {
        js_sys::Date::now().max(0.0) as u64
    }

    fn elapsed_ms(&self) -> u64 {
        elapsed_ms() as u64
    }

    fn random(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(RANDOM_AT_ONCE) {
            if crypto().is_none_or(|crypto| crypto.get_random_values(part).is_err()) {
                // Ids must still differ if there is no crypto at all.
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

    async fn load_all(&self) -> Result<()> {
        whole()
            .await
            .map_err(|thrown| error_of(&thrown, Code::Network))
    }

    fn has_all(&self) -> bool {
        is_whole()
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

    async fn share(&self, name: &str, patience_ms: u64) -> Option<SharedLock> {
        shared_lock::share(navigator()?.locks()?, name, patience_ms).await
    }

    fn announce(&self, database: &str, head: u64) {
        self.channels.announce(database, head);
    }

    fn post_status(&self, database: &str, word: &str) {
        self.channels.post_status(database, word);
    }

    async fn storage(&self) -> StorageEstimate {
        let Some(storage) = storage_manager() else {
            return StorageEstimate::default();
        };
        let mut estimate = StorageEstimate::default();
        // WebKitGTK has neither call: it throws for want of a function.
        if let Ok(promise) = storage.estimate()
            && let Some(reported) = fulfilled(promise).await
        {
            estimate.usage = bytes_in(&reported, "usage");
            estimate.quota = bytes_in(&reported, "quota");
        }
        if let Ok(promise) = storage.persisted() {
            estimate.persisted = fulfilled(promise)
                .await
                .is_some_and(|persisted| persisted.is_truthy());
        }
        estimate
    }
}

async fn fulfilled(promise: Promise) -> Option<JsValue> {
    await_value(&promise).await.ok()
}

fn bytes_in(object: &JsValue, field: &str) -> Option<u64> {
    let bytes = member(object, field).as_f64()?;
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

/// Returns the milliseconds since the page began, by a clock that nobody sets.
pub(crate) fn elapsed_ms() -> f64 {
    performance().map_or_else(js_sys::Date::now, |performance| performance.now().max(0.0))
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
