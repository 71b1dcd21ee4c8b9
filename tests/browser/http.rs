//! The remote over `fetch`, in a real browser, against fetches that answer as servers, proxies and

//! mocks do, or as they should not.

use crate::support::remotes::{
    PAGE, begin_and_drop, holds, http, js, page, pull, pull_request, push,
};
use datum_sync::error::Code;
use datum_sync::protocol::{DeviceMetadata, PullRequest, parse_page};
use datum_sync::remote::custom::CustomRemote;
use datum_sync::remote::http::HttpRemote;
use datum_sync::remote::{Pulled, Pushed, Remote};
use futures_util::future::join3;
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
    js(
        "(globalThis.seen = [], globalThis.kept = fetch, globalThis.fetch = async (request) => { seen.push(request.clone()); return new Response('{\"results\":[]}') })",
    );
    let remote = HttpRemote::new(&js(
        "{ url: '/base', headers: () => new Headers({ 'X-A': '1' }), credentials: 'omit' }",
    ))
    .unwrap();
    let sent = push(&remote, r#"{"title":"ü"}"#).await;
    js("globalThis.fetch = kept");
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
async fn requests_refused_together_share_one_refresh_and_are_sent_once_more() {
    js("(globalThis.asked = [], globalThis.token = 'old')");
    let remote = http(
        &format!(
            "return init.headers.Authorization === 'new' ? new Response('{PAGE}') : new Response('{{}}', {{ status: 401 }})"
        ),
        "headers: async (reason) => { asked.push(reason); if (reason === 'unauthorized') { await null; token = 'new'; } return { Authorization: token } }",
    );
    let (a, b, c) = join3(pull(&remote), pull(&remote), pull(&remote)).await;
    for pulled in [a, b, c] {
        page(pulled);
    }
    holds(
        "asked.filter(r => r === 'unauthorized').length === 1 && asked.filter(r => r === 'request').length === 3",
    );
    assert_eq!(remote.stats().requests, 6);
    page(pull(&remote).await);
    holds("asked.length === 5 && seen.length === 7");
}

#[wasm_bindgen_test]
async fn a_second_refusal_is_unauthorized_and_a_record_of_headers_is_not_tried_twice() {
    js("globalThis.asked = []");
    let refuse = "return new Response(JSON.stringify({ code: 'tokenExpired', message: 'sign in', requestId: 'r7' }), { status: 401 })";
    let remote = http(refuse, "headers: (reason) => (asked.push(reason), {})");
    let error = pull(&remote).await.unwrap_err();
    assert_eq!(
        (error.code(), error.status(), error.is_retryable()),
        (Code::Unauthorized, Some(401), false)
    );
    assert_eq!(error.cause(), Some("tokenExpired: sign in (request r7)"));
    holds("seen.length === 2 && asked.join() === 'request,unauthorized'");
    // The next request may be refreshed again.
    assert_eq!(pull(&remote).await.unwrap_err().code(), Code::Unauthorized);
    holds("asked.join() === 'request,unauthorized,request,unauthorized'");

    let remote = http(refuse, "headers: { Authorization: 'x' }");
    assert_eq!(pull(&remote).await.unwrap_err().code(), Code::Unauthorized);
    holds("seen.length === 1");
}

#[wasm_bindgen_test]
async fn a_header_function_that_fails_is_unauthorized_and_sends_nothing() {
    for (source, words) in [
        ("() => { throw new Error('no session') }", "no session"),
        ("async () => { throw 'bare' }", "bare"),
        ("() => Promise.reject()", "not an Error"),
        ("() => null", "object of strings"),
        ("() => ['a']", "object of strings"),
        (
            "() => ({ Authorization: 7 })",
            "`Authorization` must be a string",
        ),
        ("() => ({ Authorization: 'a\\nb' })", "`Authorization`"),
        ("() => ({ 'b c': 'x' })", "`b c`"),
        ("() => ({ 'X-Name': 'Żółw' })", "`X-Name`"),
        (
            "() => ({ get Authorization() { throw new Error('hostile') } })",
            "hostile",
        ),
        ("() => new Promise(() => {})", "within 30 ms"),
    ] {
        let remote = http(
            &format!("return new Response('{PAGE}')"),
            &format!("timeout: 30, headers: {source}"),
        );
        let error = pull(&remote).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthorized, "{source}: {error}");
        assert!(error.to_string().contains(words), "{source}: {error}");
        holds("seen.length === 0");
    }
}

#[wasm_bindgen_test]
async fn a_refresh_that_never_ends_is_asked_for_once_and_fails_all_that_wait() {
    js("globalThis.asked = []");
    let remote = http(
        "return new Response('', { status: 401 })",
        "timeout: 30, headers: (reason) => { asked.push(reason); return reason === 'request' ? {} : new Promise(() => {}) }",
    );
    let (a, b, c) = join3(pull(&remote), pull(&remote), pull(&remote)).await;
    for pulled in [a, b, c] {
        assert_eq!(pulled.unwrap_err().code(), Code::Unauthorized);
    }
    holds("asked.filter(r => r === 'unauthorized').length === 1");
}

#[wasm_bindgen_test]
async fn each_status_has_its_code() {
    for (status, code) in [
        (400, Code::Protocol),
        (403, Code::Forbidden),
        (404, Code::Protocol),
        (405, Code::Protocol),
        (408, Code::Timeout),
        (409, Code::UserMismatch),
        (413, Code::Protocol),
        (422, Code::Protocol),
        (425, Code::ServerError),
        (426, Code::ClientOutdated),
        (429, Code::RateLimited),
        (500, Code::ServerError),
        (502, Code::ServerError),
        (503, Code::ServerError),
        (504, Code::ServerError),
    ] {
        let remote = http(
            &format!("return new Response('<html>proxy</html>', {{ status: {status} }})"),
            "",
        );
        let error = pull(&remote).await.unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            (code, Some(status)),
            "{error}"
        );
        assert_eq!(error.cause(), Some("<html>proxy</html>"));
    }
    let remote = http("return Response.error()", "");
    assert_eq!(pull(&remote).await.unwrap_err().code(), Code::Network);
}

#[wasm_bindgen_test]
async fn the_wait_that_a_remote_asks_for_is_kept() {
    for (init, body, wait) in [
        (
            "{ status: 429, headers: { 'Retry-After': '7' } }",
            "",
            Some(7000),
        ),
        (
            "{ status: 503, headers: { 'Retry-After': '7' } }",
            r#"{"code":"busy","retryAfterMs":250}"#,
            Some(250),
        ),
        (
            "{ status: 503, headers: { 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' } }",
            "",
            Some(0),
        ),
        (
            "{ status: 503, headers: { 'Retry-After': 'soon' } }",
            "",
            None,
        ),
        (
            "{ status: 503, headers: { 'Retry-After': '-1' } }",
            "",
            None,
        ),
        (
            "{ status: 503, headers: { 'Retry-After': '4294967295' } }",
            "",
            Some(86_400_000),
        ),
        (
            "{ status: 503 }",
            r#"{"retryAfterMs":18446744073709551615}"#,
            Some(86_400_000),
        ),
        ("{ status: 503 }", "", None),
    ] {
        let error = pull(&http(&format!("return new Response('{body}', {init})"), ""))
            .await
            .unwrap_err();
        // `Date.parse` reads "-1" as a year in some browsers; then it has passed.
        let got = error
            .retry_after_ms()
            .filter(|ms| !(init.contains("'-1'") && *ms == 0));
        assert_eq!(got, wait, "{init} {body}");
    }
    let later = http(
        "return new Response('', { status: 429, headers: { 'Retry-After': new Date(Date.now() + 60000).toUTCString() } })",
        "",
    );
    let ms = pull(&later).await.unwrap_err().retry_after_ms().unwrap();
    assert!((50_000..=60_000).contains(&ms), "{ms}");
}

#[wasm_bindgen_test]
async fn a_cursor_that_is_gone_and_a_batch_that_is_too_large_are_answers() {
    let gone = http(
        "return new Response('{\"code\":\"cursorExpired\"}', { status: 410 })",
        "",
    );
    assert!(matches!(pull(&gone).await, Ok(Pulled::CursorGone)));
    let large = http("return new Response('', { status: 413 })", "");
    assert!(matches!(push(&large, "{}").await, Ok(Pushed::TooLarge)));
}

#[wasm_bindgen_test]
async fn a_login_page_and_a_truncated_reply_are_protocol_errors() {
    let login = http(
        "return new Response('<!doctype html><title>Sign in</title>', { headers: { 'Content-Type': 'text/html' } })",
        "",
    );
    let error = parse_page(&page(pull(&login).await)).unwrap_err();
    assert_eq!(error.code(), Code::Protocol);
    assert!(error.message().contains("web page"), "{error}");
    assert_eq!(login.health().await.unwrap_err().code(), Code::Protocol);
    let cut = http(&format!("return new Response('{}')", &PAGE[..20]), "");
    assert_eq!(
        parse_page(&page(pull(&cut).await)).unwrap_err().code(),
        Code::Protocol
    );
}

#[wasm_bindgen_test]
async fn a_fetch_that_resolves_to_no_response_is_a_coded_error() {
    for value in [
        "undefined",
        "null",
        "7",
        "'text'",
        "{}",
        "{ status: 200 }",
        "{ status: 200, arrayBuffer: 1, text: () => 5 }",
        "{ status: 200, arrayBuffer: () => ({ byteLength: 4, length: 1e15 }) }",
        "new Proxy({}, { get(_, key) { if (key !== 'then') throw 1 } })",
    ] {
        let error = pull(&http(&format!("return {value}"), ""))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Protocol, "{value}: {error}");
    }
    for value in [
        "{ status: 200, text() { throw new Error('x') } }",
        "{ status: 200, arrayBuffer: () => Promise.reject(0) }",
    ] {
        let error = pull(&http(&format!("return {value}"), ""))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Network, "{value}: {error}");
    }
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
async fn a_fetch_that_throws_anything_is_a_network_error_with_its_words() {
    for (thrown, words) in [
        (
            "new TypeError('Failed to fetch')",
            "TypeError: Failed to fetch",
        ),
        ("'bare words'", "bare words"),
        ("undefined", "not an Error"),
        ("null", "not an Error"),
        ("7", "not an Error"),
        ("Symbol('s')", "not an Error"),
        ("{ message: 'a message' }", "a message"),
        ("new Proxy({}, { get() { throw 1 } })", "not an Error"),
        ("new DOMException('gone', 'AbortError')", "AbortError: gone"),
    ] {
        let error = pull(&http(&format!("throw {thrown}"), ""))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Network, "{thrown}: {error}");
        assert!(error.cause().unwrap().contains(words), "{thrown}: {error}");
    }
    // Thrown at once, not as a rejection.
    let remote = HttpRemote::new(&js("{ url: 'https://api.test', fetch() { throw 1 } }")).unwrap();
    assert_eq!(pull(&remote).await.unwrap_err().code(), Code::Network);
    // A failure that has one of our codes keeps it.
    let coded = http(
        "throw Object.assign(new Error('no session'), { code: 'unauthorized', status: 401 })",
        "",
    );
    let error = pull(&coded).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message(), error.status()),
        (Code::Unauthorized, "no session", Some(401))
    );
}

#[wasm_bindgen_test]
async fn without_a_network_the_failure_is_offline() {
    js("Object.defineProperty(navigator, 'onLine', { get: () => false, configurable: true })");
    let error = pull(&http("throw new TypeError('x')", ""))
        .await
        .unwrap_err();
    js("delete navigator.onLine");
    assert_eq!(error.code(), Code::Offline);
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
    // A remote that was asked to wait gets that time on top.
    let patient = http(
        &format!(
            "await new Promise((done) => setTimeout(done, 60)); return new Response('{PAGE}')"
        ),
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
        "const stream = new Response(init.body).body.pipeThrough(new DecompressionStream('gzip')); globalThis.unpacked = await new Response(stream).text(); return new Response('{}')",
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
