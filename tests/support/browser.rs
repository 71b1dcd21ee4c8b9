//! The browser itself, without the code under test: raw databases, scripts, and methods that fail.

pub mod client;
pub mod host_stories;
pub mod indexeddb;
pub mod remote;

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

pub struct Script(Function);

pub fn js(arguments: &str, body: &str) -> Script {
    Script(Function::new_with_args(arguments, body))
}

impl Script {
    pub fn now(&self, argument: &str) -> JsValue {
        self.0.call1(&JsValue::UNDEFINED, &argument.into()).unwrap()
    }

    pub async fn of(&self, argument: &str) -> JsValue {
        JsFuture::from(self.now(argument).unchecked_into::<Promise>())
            .await
            .unwrap()
    }
}

pub fn start_delete_raw(name: &str) -> Promise {
    js(
        "name",
        "return new Promise((resolve, reject) => {
           const request = indexedDB.deleteDatabase(name);
           request.onsuccess = () => resolve();
           request.onerror = () => reject(request.error);
         });",
    )
    .now(name)
    .unchecked_into()
}

pub async fn delete_raw(name: &str) {
    JsFuture::from(start_delete_raw(name)).await.unwrap();
}

/// A connection that does not listen to `versionchange`.
pub struct Raw(JsValue);

pub async fn open_raw(name: &str, version: u32) -> Raw {
    let script = format!(
        "return new Promise((resolve, reject) => {{
           const request = indexedDB.open(name, {version});
           request.onsuccess = () => resolve(request.result);
           request.onerror = () => reject(request.error);
         }});"
    );
    Raw(js("name", &script).of(name).await)
}

impl Raw {
    pub fn close(&self) {
        Function::new_with_args("db", "db.close()")
            .call1(&JsValue::UNDEFINED, &self.0)
            .unwrap();
    }

    pub fn stores(&self) -> u32 {
        let count = Function::new_with_args("db", "return db.objectStoreNames.length")
            .call1(&JsValue::UNDEFINED, &self.0);
        count.unwrap().as_f64().unwrap() as u32
    }
}

pub async fn overwrite(name: &str, statement: &str) {
    let script = format!(
        "return new Promise((resolve, reject) => {{
           const request = indexedDB.open(name);
           request.onsuccess = () => {{
             const db = request.result;
             const tx = db.transaction(['log', 'bodies'], 'readwrite');
             {statement};
             tx.oncomplete = () => {{ db.close(); resolve(); }};
             tx.onabort = () => reject(tx.error);
           }};
         }});"
    );
    js("name", &script).of(name).await;
}

/// Replaces a method of the browser until this is dropped. The body can use
/// `original`, `args` and `count`.
pub struct Patch {
    undo: Function,
    count: Function,
}

impl Patch {
    pub fn new(class: &str, method: &str, body: &str) -> Self {
        let script = format!(
            "const prototype = {class}.prototype;
             const original = prototype.{method};
             let count = 0;
             prototype.{method} = function (...args) {{ {body} }};
             return [() => {{ prototype.{method} = original; }}, () => count];"
        );
        let both: js_sys::Array = js("", &script).now("").unchecked_into();
        Self {
            undo: both.get(0).unchecked_into(),
            count: both.get(1).unchecked_into(),
        }
    }

    pub fn count(&self) -> u32 {
        self.count
            .call0(&JsValue::UNDEFINED)
            .unwrap()
            .as_f64()
            .unwrap() as u32
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        self.undo.call0(&JsValue::UNDEFINED).unwrap();
    }
}
