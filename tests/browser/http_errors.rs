//! The remote over `fetch`: statuses, broken replies and failed requests become coded errors.

use crate::support::browser::page::page as browser_page;
use crate::support::browser::remote::{PAGE, holds, http, js, page, pull, push};
use datum_sync::model::error::Code;
use datum_sync::model::protocol::parse_page;
use datum_sync::ports::remote::{Pulled, Pushed, Remote};
use datum_sync::web::http::HttpRemote;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn each_status_has_its_code() {
    for (status, code) in [
        (400, Code::Protocol),
        (404, Code::Protocol),
        (405, Code::Protocol),
        (408, Code::Timeout),
        (413, Code::Protocol),
        (422, Code::Protocol),
        (425, Code::ServerError),
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
        assert_eq!(error.cause(), Some("proxy"));
    }
    let remote = http("return Response.error()", "");
    assert_eq!(pull(&remote).await.unwrap_err().code(), Code::Network);
}

#[wasm_bindgen_test]
async fn what_concerns_the_user_counts_only_from_the_remote_itself() {
    let ask = async |status: u16, body: &str| {
        let answer = format!("return new Response({body:?}, {{ status: {status} }})");
        pull(&http(&answer, "")).await.unwrap_err()
    };
    for (status, body, code) in [
        (401, r#"{"code":"tokenExpired"}"#, Code::Unauthorized),
        (
            403,
            r#"{"code":"notYours","message":"no"}"#,
            Code::Forbidden,
        ),
        (409, r#"{"code":"userMismatch"}"#, Code::UserMismatch),
        (426, r#"{"code":"clientOutdated"}"#, Code::ClientOutdated),
        // With a byte order mark too.
        (403, "\u{feff}{\"code\":\"notYours\"}", Code::Forbidden),
    ] {
        let error = ask(status, body).await;
        assert_eq!(
            (error.code(), error.status()),
            (code, Some(status)),
            "{body}"
        );
    }
    for (status, body, words) in [
        (401, "<html><h1>Sign in to Hotel</h1>", "Sign in to Hotel"),
        (403, "<html>\n<title>Blocked</title>", "Blocked"),
        (403, "Request blocked. ID 17", "Request blocked. ID 17"),
        (403, r#"{"message":"Forbidden"}"#, "Forbidden"),
        (403, r#"{"code":1020,"error":"blocked"}"#, "blocked"),
        (403, "", ""),
        (409, r#"{"code":"conflict","message":"busy"}"#, "busy"),
        (409, "<html>", ""),
        (410, "<html>Gone", "Gone"),
        (407, "Proxy", "Proxy"),
        (426, "Upgrade Required", "Upgrade Required"),
        (
            511,
            "<html>Sign in to the network",
            "Sign in to the network",
        ),
    ] {
        let error = ask(status, body).await;
        let got = (error.code(), error.status(), error.is_retryable());
        assert_eq!(got, (Code::Network, Some(status), true), "{status} {body}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[wasm_bindgen_test]
async fn an_answer_is_read_as_the_browser_reads_json() {
    for body in [
        "'\\ufeff' + page",
        "new Blob([new Uint8Array([0xef, 0xbb, 0xbf]), page])",
        "page.replace('[]', 'null')",
        "page.replace('{', '{\"remaining\":-1.5,\"serverTime\":7,\"digests\":[],\"kept\":{},')",
        "new Blob(['{\"x\":\"', new Uint8Array([0xff, 0xc3]), '\",', page.slice(1)])",
    ] {
        let answer = format!("const page = '{PAGE}'; return new Response({body})");
        let bytes = page(pull(&http(&answer, "")).await);
        let read = parse_page(&bytes).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(read.changes.is_empty() && !read.more, "{body}");
    }
}

#[wasm_bindgen_test]
async fn a_date_to_wait_for_is_judged_by_the_servers_clock() {
    // The server's clock is in 2015, this device's is not.
    let until = "'Retry-After': 'Wed, 21 Oct 2015 07:28:30 GMT'";
    let unknown = http(
        &format!("return new Response('', {{ status: 503, headers: {{ {until} }} }})"),
        "",
    );
    let wait = async |remote: &HttpRemote| pull(remote).await.unwrap_err().retry_after_ms();
    assert_eq!(wait(&unknown).await, None);
    unknown.learn_clock(1_445_412_480_000);
    let ms = wait(&unknown).await.unwrap();
    assert!((25_000..=30_000).contains(&ms), "{ms}");
    let dated = http(
        &format!(
            "return new Response('', {{ status: 429, headers: {{ {until}, Date: 'Wed, 21 Oct 2015 07:28:00 GMT' }} }})"
        ),
        "",
    );
    assert_eq!(wait(&dated).await, Some(30_000));
}

#[wasm_bindgen_test]
async fn the_wait_that_a_remote_asks_for_is_kept() {
    // As the module does before its first task.
    datum_sync::web::fractions::install_browser_fractions();
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
            "{ status: 503, headers: { 'Retry-After': '1.5' } }",
            "",
            Some(1500),
        ),
        (
            "{ status: 503, headers: { 'Retry-After': '0.5' } }",
            r#"{"code":"busy","retryAfterMs":"soon"}"#,
            Some(500),
        ),
        (
            "{ status: 503 }",
            r#"{"code":"busy","retryAfterMs":1500.5}"#,
            Some(1501),
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
            Some(3_600_000),
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
        assert_eq!(error.retry_after_ms(), wait, "{init} {body}");
    }
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
async fn a_login_page_and_a_truncated_reply_did_not_come_from_the_remote() {
    let login = http(
        "return new Response('<!doctype html><title>Sign in</title>', { headers: { 'Content-Type': 'text/html' } })",
        "",
    );
    let error = parse_page(&page(pull(&login).await)).unwrap_err();
    assert_eq!((error.code(), error.status()), (Code::Network, Some(200)));
    assert!(error.message().contains("\"Sign in\""), "{error}");
    assert_eq!(login.health().await.unwrap_err().code(), Code::Network);
    let cut = http(&format!("return new Response('{}')", &PAGE[..20]), "");
    assert_eq!(
        parse_page(&page(pull(&cut).await)).unwrap_err().code(),
        Code::Network
    );
}

#[wasm_bindgen_test]
async fn an_answer_without_an_end_is_cut_off_and_may_be_asked_for_with_fewer_rows() {
    js("globalThis.poured = 0");
    let fetch = "const mebibyte = new Uint8Array(1 << 20); return new Response(new ReadableStream({ pull(out) { poured++; out.enqueue(mebibyte) } }))";
    let error = pull(&http(fetch, "")).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (Code::Protocol, Some(413)));
    assert!(!error.is_retryable());
    holds("poured < 80 && seen[0].signal.aborted");
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
    // A DatumError keeps its code, and nothing else does.
    let coded = |name: &str| {
        let error = format!("{{ name: '{name}', code: 'unauthorized', status: 401 }}");
        http(
            &format!("throw Object.assign(new Error('no session'), {error})"),
            "",
        )
    };
    let error = pull(&coded("AuthError")).await.unwrap_err();
    assert_eq!(error.code(), Code::Network);
    let error = pull(&coded("DatumError")).await.unwrap_err();
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
