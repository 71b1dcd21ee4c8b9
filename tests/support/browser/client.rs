//! Runs tests that are TypeScript, as an app would write it against the exported classes, with a
//! `fetch` that the server's rules answer.

use datum_server::MemoryServer;
use datum_sync::js::Datum;
use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Returns a `fetch` that the server's rules answer. The Authorization header names the user.
pub fn fetch(server: &MemoryServer) -> JsValue {
    let server = server.clone();
    let answer =
        Closure::<dyn Fn(String, JsValue) -> Array>::new(move |url: String, init: JsValue| {
            let part = |of: &JsValue, name: &str| {
                Reflect::get(of, &name.into())
                    .unwrap_or_default()
                    .as_string()
            };
            let headers = Reflect::get(&init, &"headers".into()).unwrap_or_default();
            let user = part(&headers, "Authorization")
                .or_else(|| part(&headers, "authorization"))
                .unwrap_or_default();
            let path = url
                .split_once("api.test")
                .map_or("", |(_, path)| path)
                .to_owned();
            let method = part(&init, "method").unwrap_or_else(|| "GET".to_owned());
            let body = part(&init, "body").unwrap_or_default();
            let now = js_sys::Date::now() as u64;
            let (status, bytes) = server.handle(&user, &method, &path, body.as_bytes(), now);
            Array::of2(
                &f64::from(status).into(),
                &String::from_utf8(bytes).unwrap().into(),
            )
        })
        .into_js_value();
    stories().serve(&answer)
}

#[wasm_bindgen]
extern "C" {
    /// `story.ts`.
    type Stories;
    #[wasm_bindgen(method)]
    fn serve(this: &Stories, answer: &JsValue) -> JsValue;
    #[wasm_bindgen(method)]
    fn story(this: &Stories, open: &JsValue, fetch: &JsValue, name: &str) -> JsValue;
}

fn stories() -> Stories {
    crate::script!("story.js").unchecked_into()
}

/// Runs a test that a script exports, with a server of its own.
pub async fn story(script: &Object, test: &str) -> Result<(), JsValue> {
    let run: Function = Reflect::get(script, &test.into())?.dyn_into()?;
    let server = MemoryServer::new("epoch-1");
    // Below the client's limit, so that only the server refuses larger entities.
    server.configure(|config| config.max_entity_bytes = 1_000_000);
    let open = Closure::<dyn Fn(JsValue) -> Promise>::new(Datum::open).into_js_value();
    let name = format!("client-{}", (js_sys::Math::random() * 1e12) as u64);
    let given = stories().story(&open, &fetch(&server), &name);
    let promise: Promise = run.call1(&JsValue::UNDEFINED, &given)?.dyn_into()?;
    // No panic: it would end the engine for the stories that follow.
    JsFuture::from(promise).await.map(|_| ())
}

/// Mounts tests: the exports of a compiled script that have their names.
#[macro_export]
macro_rules! stories {
    ($script:literal: $($name:ident,)*) => {
        $(
            #[wasm_bindgen_test::wasm_bindgen_test]
            async fn $name() -> Result<(), wasm_bindgen::JsValue> {
                let script = $crate::script!($script);
                $crate::support::browser::client::story(&script, stringify!($name)).await
            }
        )*
    };
}
