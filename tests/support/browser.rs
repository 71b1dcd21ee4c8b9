//! The browser itself, without the code under test: raw databases, and methods that fail.

pub mod client;
pub mod host_stories;
pub mod indexeddb;
pub mod page;
pub mod remote;
pub mod values;

use js_sys::{Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::IdbDatabase;

/// Loads a script of `tests/browser`, compiled: the object of its exports.
///
/// The script is in the wasm, and the page requests nothing. As a module that the page imports, each
/// script is one more request at once, and the server of wasm-bindgen's test runner (tiny_http 0.12)
/// takes threads for idle that have a connection already: the page then waits for ever. With one
/// script, 7 of 16 runs in Chromium did.
#[macro_export]
macro_rules! script {
    ($name:literal) => {
        $crate::support::browser::exports_of(
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/browser/built/",
                $name
            )),
        )
    };
}

/// Runs a CommonJS module. Its name is for stack traces.
pub fn exports_of(name: &str, text: &str) -> Object {
    let exports = Object::new();
    Function::new_with_args("exports", &format!("{text}\n//# sourceURL={name}"))
        .call1(&JsValue::UNDEFINED, &exports)
        .unwrap();
    exports
}

#[wasm_bindgen]
extern "C" {
    /// `indexeddb.ts`.
    #[derive(Clone)]
    pub type Raw;
    #[wasm_bindgen(method, js_name = deleteDatabase)]
    fn delete_database(this: &Raw, name: &str) -> Promise;
    #[wasm_bindgen(method, js_name = openDatabase)]
    fn open_database(this: &Raw, name: &str, version: u32) -> Promise;
    #[wasm_bindgen(method)]
    fn overwrite(this: &Raw, name: &str, store: &str, key: f64, value: &JsValue) -> Promise;
    #[wasm_bindgen(method, js_name = roundsWithOneWinner)]
    pub fn rounds_with_one_winner(this: &Raw, name: &str, rounds: u32) -> Promise;
    #[wasm_bindgen(method, js_name = lastDurability)]
    pub fn last_durability(this: &Raw) -> String;
    #[wasm_bindgen(method, js_name = addThrows)]
    pub fn add_throws(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = commitLosesItsAnswer)]
    pub fn commit_loses_its_answer(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = connectionDiesOnce)]
    pub fn connection_dies_once(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = connectionIsClosedByForce)]
    pub fn connection_is_closed_by_force(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = connectionStaysDead)]
    pub fn connection_stays_dead(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = diskIsFull)]
    pub fn disk_is_full(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = noteDurability)]
    pub fn note_durability(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = openIsDenied)]
    pub fn open_is_denied(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = thirdGetAborts)]
    pub fn third_get_aborts(this: &Raw) -> Replaced;
    #[wasm_bindgen(method, js_name = watchThrown)]
    pub fn watch_thrown(this: &Raw);
    #[wasm_bindgen(method, js_name = thrownSoFar)]
    pub fn thrown_so_far(this: &Raw) -> String;

    /// A method of the browser that is replaced: `Patch` there.
    pub type Replaced;
    #[wasm_bindgen(method, getter)]
    fn count(this: &Replaced) -> u32;
    #[wasm_bindgen(method)]
    fn undo(this: &Replaced);
}

thread_local!(static RAW: Raw = script!("indexeddb.js").unchecked_into());

/// IndexedDB without the store.
pub fn raw() -> Raw {
    RAW.with(Raw::clone)
}

pub fn start_delete_raw(name: &str) -> Promise {
    raw().delete_database(name)
}

pub async fn delete_raw(name: &str) {
    JsFuture::from(start_delete_raw(name)).await.unwrap();
}

/// A connection that does not listen to `versionchange`.
pub async fn open_raw(name: &str, version: u32) -> IdbDatabase {
    let opened = JsFuture::from(raw().open_database(name, version)).await;
    opened.unwrap().unchecked_into()
}

/// Replaces a value behind the store's back.
pub async fn overwrite(name: &str, store: &str, key: u64, value: impl Into<JsValue>) {
    let done = raw().overwrite(name, store, key as f64, &value.into());
    JsFuture::from(done).await.unwrap();
}

/// Replaces a method of the browser until this is dropped.
pub struct Patch(Replaced);

impl Patch {
    pub fn new(replace: fn(&Raw) -> Replaced) -> Self {
        Self(replace(&raw()))
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
