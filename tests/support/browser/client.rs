//! Runs JavaScript as an app would write it against the exported classes, with a `fetch` that the
//! server's rules answer.

use datum_server::MemoryServer;
use datum_sync::js::Datum;
use js_sys::{Array, Function, Promise, Reflect};
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
    let wrap = Function::new_with_args(
        "answer",
        "return async (url, init) => { init.signal?.throwIfAborted(); const [status, body] = answer(String(url), init); return new Response(body, { status, headers: { 'Content-Type': 'application/json' } }); };",
    );
    wrap.call1(&JsValue::UNDEFINED, &answer).unwrap()
}

/// Runs a script, in which `open(name, more)` opens a device of `user`.
pub async fn story(body: &str) -> Result<(), JsValue> {
    let server = MemoryServer::new("epoch-1");
    // Below the client's limit, so that only the server refuses larger entities.
    server.configure(|config| config.max_entity_bytes = 1_000_000);
    let open = Closure::<dyn Fn(JsValue) -> Promise>::new(Datum::open).into_js_value();
    let run = Function::new_with_args(
        "openEngine, fetch, name",
        &format!(
            "const user = 'ann'; const unique = name; const equal = (a, b) => {{ const [x, y] = [JSON.stringify(a), JSON.stringify(b)]; if (x !== y) throw new Error(`${{x}} is not ${{y}}`); }};
             const refused = async (promise, code, word) => {{ try {{ await promise; }} catch (e) {{ if (e.code === code && e.message.includes(word ?? '')) return e; throw new Error(`${{e.code}}: ${{e.message}} is not ${{code}}: ${{word}}`); }} throw new Error(`not refused: ${{code}}`); }};
             const open = (device, more) => openEngine({{ name: `${{unique}}-${{device}}`, entities: {{ tasks: {{}} }}, initialUserId: user, remote: {{ url: 'https://api.test', headers: {{ Authorization: user }}, fetch }}, retry: {{ maxAttempts: 1 }}, ...more }});
             return (async () => {{ {body} }})();"
        ),
    );
    let name = format!("client-{}", (js_sys::Math::random() * 1e12) as u64);
    let promise: Promise = run
        .call3(&JsValue::UNDEFINED, &open, &fetch(&server), &name.into())
        .unwrap()
        .unchecked_into();
    // No panic: it would end the engine for the stories that follow.
    JsFuture::from(promise).await.map(|_| ())
}
