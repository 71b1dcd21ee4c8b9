//! The remote over `fetch`: statuses, broken replies and failed requests become coded errors.

use crate::support::browser::page::page as browser_page;
use crate::support::browser::remote::{PAGE, http, js, page, pull, push};
use datum_sync::model::error::Code;
use datum_sync::model::protocol::parse_page;
use datum_sync::ports::remote::{Pulled, Pushed, Remote};
use datum_sync::web::http::HttpRemote;
use wasm_bindgen_test::wasm_bindgen_test;

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
    browser_page().set_online(Some(false));
    let error = pull(&http("throw new TypeError('x')", ""))
        .await
        .unwrap_err();
    browser_page().set_online(None);
    assert_eq!(error.code(), Code::Offline);
}
