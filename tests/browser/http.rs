//! The remote over `fetch`: its requests, timeouts and config.

use crate::support::browser::remote::{
    PAGE, begin_and_drop, holds, http, js, page, pull, pull_request, push, recorder,
};
use datum_sync::model::error::Code;
use datum_sync::model::protocol::{DeviceMetadata, PullRequest};
use datum_sync::ports::remote::{Pushed, Remote};
use datum_sync::web::adapter::CustomRemote;
use datum_sync::web::http::HttpRemote;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn a_pull_is_one_post_of_json_with_the_apps_headers() {
    let remote = http(
        &format!("return new Response('{PAGE}')"),
        "headers: { Authorization: 'Bearer t', 'content-type': 'text/plain', Absent: undefined }, credentials: 'include'",
    );
    assert_eq!(page(pull(&remote).await), PAGE.as_bytes());
    holds(
        "seen.length === 1 && seen[0].url === 'https://api.test/sync/v1/pull' && seen[0].method === 'POST'",
    );
    holds(
        "JSON.stringify(seen[0].headers) === '{\"Authorization\":\"Bearer t\",\"Accept\":\"application/json\",\"Content-Type\":\"application/json\"}'",
    );
    holds("JSON.parse(seen[0].body).clientId === 'device' && !seen[0].body.includes('ada')");
    holds("seen[0].credentials === 'include' && seen[0].cache === 'no-store'");
    let stats = remote.stats();
    assert_eq!((stats.requests, stats.received), (1, PAGE.len() as u64));
    assert!(stats.sent > 0);
}

#[wasm_bindgen_test]
async fn the_browsers_own_fetch_gets_the_same_request() {
    recorder().replace_fetch();
    let remote = HttpRemote::new(&js(
        "{ url: '/base', headers: () => new Headers({ 'X-A': '1' }), credentials: 'omit' }",
    ))
    .unwrap();
    let sent = push(&remote, r#"{"title":"ü"}"#).await;
    recorder().restore_fetch();
    assert!(matches!(sent, Ok(Pushed::Reply { sent, .. }) if sent == remote.stats().sent));
    holds(
        "seen[0] instanceof Request && seen[0].method === 'POST' && seen[0].url === location.origin + '/base/sync/v1/push'",
    );
    holds(
        "seen[0].headers.get('x-a') === '1' && seen[0].headers.get('content-type') === 'application/json'",
    );
    holds("seen[0].credentials === 'omit' && seen[0].signal.aborted === false");
    let body =
        wasm_bindgen_futures::JsFuture::from(js_sys::Promise::resolve(&js("seen[0].json()")))
            .await
            .unwrap();
    assert!(
        js_sys::JSON::stringify(&body)
            .unwrap()
            .as_string()
            .unwrap()
            .contains("ü")
    );
}

#[wasm_bindgen_test]
async fn a_real_request_that_finds_no_server_or_no_remote_says_so() {
    let nobody = HttpRemote::new(&js("{ url: 'http://127.0.0.1:9/' }")).unwrap();
    let error = pull(&nobody).await.unwrap_err();
    assert_eq!(error.code(), Code::Network);
    assert!(
        error.is_retryable() && error.message().contains("http://127.0.0.1:9/sync/v1/pull"),
        "{error}"
    );
    // The test page's own server knows no such path.
    let error = HttpRemote::new(&js("{ url: '/' }"))
        .unwrap()
        .health()
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.status()), (Code::Protocol, Some(404)));
    assert!(error.message().contains("/sync/v1/health"), "{error}");
}

#[wasm_bindgen_test]
async fn a_mock_with_only_what_is_needed_will_do() {
    for value in [
        format!("{{ status: 200, json: async () => ({PAGE}) }}"),
        format!("{{ status: 200, text: () => '{PAGE}' }}"),
        format!("{{ status: 200, arrayBuffer: async () => new TextEncoder().encode('{PAGE}') }}"),
        format!(
            "(() => {{ const f = document.body.appendChild(document.createElement('iframe')); const r = new f.contentWindow.Response('{PAGE}'); return r }})()"
        ),
    ] {
        assert_eq!(
            page(pull(&http(&format!("return {value}"), "")).await),
            PAGE.as_bytes(),
            "{value}"
        );
    }
    let broken = http(
        "return { status: 503, headers: { get() { throw 1 } }, text: async () => '' }",
        "",
    );
    assert_eq!(pull(&broken).await.unwrap_err().code(), Code::ServerError);
}

#[wasm_bindgen_test]
async fn dropping_the_future_aborts_the_request_and_finishing_it_does_not() {
    let remote = http("return new Promise(() => {})", "headers: async () => ({})");
    begin_and_drop(pull(&remote)).await;
    holds(
        "seen.length === 1 && seen[0].signal.aborted && seen[0].signal.reason.name === 'AbortError'",
    );
    // Also while the body is being read.
    let remote = http("return new Response(new ReadableStream({}))", "");
    begin_and_drop(pull(&remote)).await;
    holds("seen[0].signal.aborted");
    let remote = http(&format!("return new Response('{PAGE}')"), "");
    page(pull(&remote).await);
    holds("!seen[0].signal.aborted");
}

#[wasm_bindgen_test]
async fn an_answer_that_does_not_begin_or_does_not_end_times_out() {
    for fetch in [
        "return new Promise(() => {})",
        "return new Response(new ReadableStream({}))",
        "return { status: 200, text: () => new Promise(() => {}) }",
    ] {
        let error = pull(&http(fetch, "timeout: 30")).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_retryable()),
            (Code::Timeout, true),
            "{fetch}"
        );
        holds("seen[0].signal.aborted");
    }
    // What comes slowly does come: only silence counts.
    let slow = http(
        &format!(
            "const page = '{PAGE}'; let at = 0; return new Response(new ReadableStream({{ async pull(out) {{ await new Promise((done) => setTimeout(done, 25)); out.enqueue(new TextEncoder().encode(page.slice(at, at + 4))); at += 4; if (at >= page.length) out.close() }} }}))"
        ),
        "timeout: 200",
    );
    assert_eq!(page(pull(&slow).await), PAGE.as_bytes());
    let stalls = http(
        "return new Response(new ReadableStream({ pull(out) { if (globalThis.once) return new Promise(() => {}); globalThis.once = true; out.enqueue(new Uint8Array(3)) } }))",
        "timeout: 30",
    );
    assert_eq!(pull(&stalls).await.unwrap_err().code(), Code::Timeout);
    let breaks = http(
        "return new Response(new ReadableStream({ start(out) { out.enqueue(new Uint8Array(3)); out.error(new TypeError('network error')) } }))",
        "",
    );
    assert_eq!(pull(&breaks).await.unwrap_err().code(), Code::Network);
    // A remote that was asked to wait gets that time on top.
    let patient = http(
        &format!("await after(60); return new Response('{PAGE}')"),
        "timeout: 30",
    );
    page(
        patient
            .pull(
                "ada",
                &PullRequest {
                    wait_ms: Some(60_000),
                    ..pull_request()
                },
            )
            .await,
    );
}

#[wasm_bindgen_test]
async fn a_large_push_is_compressed_where_the_remote_takes_it() {
    let large = format!(r#"{{"text":"{}"}}"#, "long ".repeat(4000));
    let remote = http(
        "globalThis.unpacked = await unzip(init.body); return new Response('{}')",
        "compress: true",
    );
    let Ok(Pushed::Reply { sent, .. }) = push(&remote, &large).await else {
        panic!("not a reply")
    };
    assert!(sent < 1000, "{sent}");
    holds(
        "seen[0].headers['Content-Encoding'] === 'gzip' && seen[0].body instanceof Uint8Array && JSON.parse(unpacked).operations.length === 1",
    );

    let remote = http(
        "return new Response('{}', { status: init.headers['Content-Encoding'] ? 415 : 200 })",
        "compress: true",
    );
    for _ in 0..2 {
        assert!(
            matches!(push(&remote, &large).await, Ok(Pushed::Reply { sent, .. }) if sent > 20_000)
        );
    }
    // It is only asked once whether the remote takes it.
    holds("seen.length === 3 && typeof seen[1].body === 'string'");
}

#[wasm_bindgen_test]
async fn a_remote_without_metadata_keeps_none() {
    for status in [404, 501] {
        let remote = http(
            &format!("return new Response('', {{ status: {status} }})"),
            "",
        );
        assert_eq!(remote.metadata("ada").await.unwrap(), None);
        remote
            .put_metadata("ada", &DeviceMetadata::default())
            .await
            .unwrap();
        remote.clear_metadata("ada").await.unwrap();
        holds(
            "seen.map(s => s.method).join() === 'GET,PUT,DELETE' && seen.every(s => s.url.split('?')[0].endsWith('/sync/v1/metadata'))",
        );
    }
    let remote = http(
        "return new Response(init.method === 'GET' ? '{\"devices\":[]}' : null, { status: init.method === 'GET' ? 200 : 204 })",
        "",
    );
    assert_eq!(
        remote.metadata("ada").await.unwrap().unwrap(),
        br#"{"devices":[]}"#
    );
    remote
        .put_metadata(
            "ada",
            &DeviceMetadata {
                device_id: "d".into(),
                ..DeviceMetadata::default()
            },
        )
        .await
        .unwrap();
    holds("JSON.parse(seen[1].body).deviceId === 'd'");
    // No cache, not even a service worker's, has an answer to a question that was never asked.
    let cached = http(
        "const kept = (globalThis.answers ??= new Map()); const key = init.method + url; if (!kept.has(key)) kept.set(key, seen.length); return new Response(`{\"devices\":[],\"serverTime\":\"${kept.get(key)}\"}`)",
        "",
    );
    for n in 1..=3 {
        let reply = cached.metadata("a da").await.unwrap().unwrap();
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.contains(&format!("\"{n}\"")), "{reply}");
        cached.health().await.unwrap();
        js("seen.pop()");
    }
    holds("seen.every(s => s.cache === 'no-store' && s.url.includes('?userId=a%20da&'))");
    let failing = http("return new Response('', { status: 500 })", "");
    assert_eq!(
        failing.metadata("ada").await.unwrap_err().code(),
        Code::ServerError
    );
    assert!(!failing.health().await.unwrap());
    assert!(
        http("return new Response('{}')", "")
            .health()
            .await
            .unwrap()
    );
}

#[wasm_bindgen_test]
fn a_wrong_config_is_refused_by_its_key() {
    for (config, words) in [
        ("7", "`remote` must be an object"),
        ("{}", "`remote.url`"),
        ("{ url: '' }", "`remote.url`"),
        ("{ url: 7 }", "`remote.url`"),
        ("{ url: 'ftp://x' }", "http"),
        ("{ url: 'javascript:0' }", "http"),
        ("{ url: 'https://' }", "`remote.url`"),
        ("{ url: 'https://x/?token=1' }", "query"),
        ("{ url: 'https://x/#a' }", "fragment"),
        ("{ url: 'https://a:b@x/' }", "password"),
        ("{ url: '/', headrs: {} }", "`remote.headrs`"),
        ("{ url: '/', headers: 7 }", "`remote.headers`"),
        ("{ url: '/', headers: { a: 1 } }", "`a` must be a string"),
        ("{ url: '/', fetch: {} }", "`remote.fetch`"),
        (
            "{ url: '/', credentials: 'always' }",
            "`remote.credentials`",
        ),
        ("{ url: '/', compress: 1 }", "`remote.compress`"),
        ("{ url: '/', timeout: 0 }", "`remote.timeout`"),
        ("{ url: '/', timeout: NaN }", "`remote.timeout`"),
        ("{ url: '/', timeout: '5' }", "`remote.timeout`"),
    ] {
        let error = HttpRemote::new(&js(config)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfig, "{config}: {error}");
        assert!(error.message().contains(words), "{config}: {error}");
    }
    for adapter in [
        "7",
        "{}",
        "{ pull() {} }",
        "{ pull() {}, push: 1 }",
        "{ pull() {}, push() {}, health: 1 }",
    ] {
        assert_eq!(
            CustomRemote::new(&js(adapter)).unwrap_err().code(),
            Code::InvalidConfig,
            "{adapter}"
        );
    }
}
