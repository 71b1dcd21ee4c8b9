//! Runs tests that are TypeScript, as an app would write it against the exported classes, with a
//! `fetch` that the server's rules answer.

use datum_server::MemoryServer;
use datum_sync::js::Datum;
use js_sys::{Array, Promise, Reflect};
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
    serve(&answer)
}

#[wasm_bindgen(module = "/tests/browser/built/story.js")]
extern "C" {
    fn serve(answer: &JsValue) -> JsValue;
    #[wasm_bindgen(js_name = story)]
    fn story_of(open: &JsValue, fetch: &JsValue, name: &str) -> JsValue;
}

/// Runs a test that is written in TypeScript, with a server of its own.
pub async fn story(run: fn(&JsValue) -> Promise) -> Result<(), JsValue> {
    let server = MemoryServer::new("epoch-1");
    // Below the client's limit, so that only the server refuses larger entities.
    server.configure(|config| config.max_entity_bytes = 1_000_000);
    let open = Closure::<dyn Fn(JsValue) -> Promise>::new(Datum::open).into_js_value();
    let name = format!("client-{}", (js_sys::Math::random() * 1e12) as u64);
    // No panic: it would end the engine for the stories that follow.
    JsFuture::from(run(&story_of(&open, &fetch(&server), &name)))
        .await
        .map(|_| ())
}

/// Mounts the tests of a compiled script: its exported functions of the same names.
#[macro_export]
macro_rules! stories {
    ($script:literal: $($name:ident,)*) => {
        mod script {
            use wasm_bindgen::prelude::*;

            #[wasm_bindgen(module = $script)]
            extern "C" {
                $(pub fn $name(story: &JsValue) -> js_sys::Promise;)*
            }
        }

        $(
            #[wasm_bindgen_test::wasm_bindgen_test]
            async fn $name() -> Result<(), wasm_bindgen::JsValue> {
                $crate::support::browser::client::story(script::$name).await
            }
        )*
    };
}
