//! Remotes made of JavaScript expressions, and the calls that a cycle makes.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use datum_sync::model::error::Error;
use datum_sync::model::protocol::{PullRequest, PushRequest, PushedKind, PushedOperation, Raw};
use datum_sync::ports::remote::{Pulled, Pushed, Remote};
use datum_sync::web::adapter::CustomRemote;
use datum_sync::web::http::HttpRemote;
use js_sys::Promise;
use wasm_bindgen::prelude::*;

pub const PAGE: &str = r#"{"changes":[],"cursor":"c1","more":false}"#;

/// Evaluates a JavaScript expression.
pub fn js(code: &str) -> JsValue {
    js_sys::eval(&format!("({code})")).unwrap_or_else(|thrown| panic!("{code}: {thrown:?}"))
}

/// Asserts that a JavaScript expression is true.
#[track_caller]
pub fn holds(code: &str) {
    let value = js(code);
    assert!(
        value.as_bool() == Some(true),
        "{code} is {value:?}; seen: {:?}",
        js("JSON.stringify(globalThis.seen)").as_string()
    );
}

#[wasm_bindgen]
extern "C" {
    /// `remote.ts`.
    #[derive(Clone)]
    pub type Recorder;
    #[wasm_bindgen(method, js_name = recordingRemote)]
    fn recording_remote(this: &Recorder, answer: &JsValue, more: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = recordingAdapter)]
    fn recording_adapter(this: &Recorder, methods: &JsValue) -> JsValue;
    #[wasm_bindgen(method, js_name = replaceFetch)]
    pub fn replace_fetch(this: &Recorder);
    #[wasm_bindgen(method, js_name = replaceFetchButFlushes)]
    pub fn replace_fetch_but_flushes(this: &Recorder);
    #[wasm_bindgen(method, js_name = restoreFetch)]
    pub fn restore_fetch(this: &Recorder);
    #[wasm_bindgen(method, js_name = flushedStatus)]
    pub fn flushed_status(this: &Recorder) -> Promise;
    #[wasm_bindgen(method, js_name = countUnhandled)]
    pub fn count_unhandled(this: &Recorder);
    #[wasm_bindgen(method, js_name = unhandledRejections)]
    pub fn unhandled_rejections(this: &Recorder) -> u32;
}

thread_local!(static RECORDER: Recorder = crate::script!("remote.js").unchecked_into());

/// Records what remotes are asked.
pub fn recorder() -> Recorder {
    RECORDER.with(Recorder::clone)
}

/// Returns a remote whose fetch has this body: `async (url, init, call, tools) => { … }`. `seen`
/// holds the calls, of which this is number `call`; the tools are those of `remote.ts`.
pub fn http(fetch: &str, more: &str) -> HttpRemote {
    let answer = js(&format!(
        "async (url, init, call, {{ after, stream, unzip }}) => {{ {fetch} }}"
    ));
    HttpRemote::new(&recorder().recording_remote(&answer, &js(&format!("{{ {more} }}")))).unwrap()
}

pub fn adapter(methods: &str) -> CustomRemote {
    CustomRemote::new(&recorder().recording_adapter(&js(&format!("{{ {methods} }}")))).unwrap()
}

pub fn pull_request() -> PullRequest {
    PullRequest {
        client_id: "device".into(),
        limit: 10,
        ..PullRequest::default()
    }
}

pub async fn pull(remote: &impl Remote) -> Result<Pulled, Error> {
    remote.pull("ada", &pull_request()).await
}

pub async fn push(remote: &impl Remote, data: &str) -> Result<Pushed, Error> {
    let operation = PushedOperation {
        op_id: "o1".into(),
        entity: "tasks".into(),
        id: "t1".into(),
        kind: PushedKind::Create,
        space: None,
        to: None,
        base_version: None,
        supersedes: Vec::new(),
        data: Some(Raw(data)),
        after: Vec::new(),
    };
    remote
        .push(
            "ada",
            &PushRequest {
                client_id: "device".into(),
                user_id: None,
                schema: 0,
                epoch: None,
                server_id: None,
                operations: vec![operation],
            },
        )
        .await
}

#[track_caller]
pub fn page(pulled: Result<Pulled, Error>) -> Vec<u8> {
    match pulled {
        Ok(Pulled::Page(bytes)) => bytes,
        other => panic!("not a page: {other:?}"),
    }
}

/// Polls once, so that the request goes out, and drops the future.
pub async fn begin_and_drop(future: impl Future) {
    let mut future = pin!(future);
    // A few turns: the headers are asked for before the request is sent.
    for _ in 0..5 {
        std::future::poll_fn(|context| {
            assert!(future.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        wasm_bindgen_futures::JsFuture::from(js_sys::Promise::resolve(&JsValue::UNDEFINED))
            .await
            .unwrap();
    }
}
