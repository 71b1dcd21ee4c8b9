//! The remote over `fetch`: headers, refused tokens and their renewal.

use crate::support::browser::remote::{PAGE, holds, http, js, page, pull};
use datum_sync::model::error::Code;
use futures_util::future::join3;
use wasm_bindgen_test::wasm_bindgen_test;

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
