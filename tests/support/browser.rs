//! The browser itself, without the code under test: raw databases, and methods that fail.

pub mod client;
pub mod host_stories;
pub mod indexeddb;
pub mod page;
pub mod remote;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::IdbDatabase;

#[wasm_bindgen(module = "/tests/browser/built/indexeddb.js")]
extern "C" {
    #[wasm_bindgen(js_name = deleteDatabase)]
    pub fn start_delete_raw(name: &str) -> Promise;
    #[wasm_bindgen(js_name = openDatabase)]
    fn open_database(name: &str, version: u32) -> Promise;
    #[wasm_bindgen(js_name = overwrite)]
    fn start_overwrite(name: &str, store: &str, key: f64, value: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = roundsWithOneWinner)]
    pub fn rounds_with_one_winner(name: &str, rounds: u32) -> Promise;
    #[wasm_bindgen(js_name = lastDurability)]
    pub fn last_durability() -> String;

    /// A method of the browser that is replaced.
    #[wasm_bindgen(js_name = Patch)]
    pub type Replaced;
    #[wasm_bindgen(method, getter)]
    fn count(this: &Replaced) -> u32;
    #[wasm_bindgen(method)]
    fn undo(this: &Replaced);

    #[wasm_bindgen(js_name = addThrows)]
    pub fn add_throws() -> Replaced;
    #[wasm_bindgen(js_name = commitLosesItsAnswer)]
    pub fn commit_loses_its_answer() -> Replaced;
    #[wasm_bindgen(js_name = connectionDiesOnce)]
    pub fn connection_dies_once() -> Replaced;
    #[wasm_bindgen(js_name = connectionStaysDead)]
    pub fn connection_stays_dead() -> Replaced;
    #[wasm_bindgen(js_name = diskIsFull)]
    pub fn disk_is_full() -> Replaced;
    #[wasm_bindgen(js_name = noteDurability)]
    pub fn note_durability() -> Replaced;
    #[wasm_bindgen(js_name = openIsDenied)]
    pub fn open_is_denied() -> Replaced;
}

pub async fn delete_raw(name: &str) {
    JsFuture::from(start_delete_raw(name)).await.unwrap();
}

/// A connection that does not listen to `versionchange`.
pub async fn open_raw(name: &str, version: u32) -> IdbDatabase {
    let opened = JsFuture::from(open_database(name, version)).await;
    opened.unwrap().unchecked_into()
}

/// Replaces a value behind the store's back.
pub async fn overwrite(name: &str, store: &str, key: u64, value: impl Into<JsValue>) {
    let done = start_overwrite(name, store, key as f64, &value.into());
    JsFuture::from(done).await.unwrap();
}

/// Replaces a method of the browser until this is dropped.
pub struct Patch(Replaced);

impl Patch {
    pub fn new(replace: fn() -> Replaced) -> Self {
        Self(replace())
    }

    /// How often the replacement was called.
    pub fn count(&self) -> u32 {
        self.0.count()
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        self.0.undo();
    }
}
