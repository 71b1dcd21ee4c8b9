//! The stream of hints, and the push that an unloading page sends.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use crate::support::browser::page::page as browser_page;
use crate::support::browser::remote::{PAGE, adapter, holds, http, js, page, pull, recorder};
use datum_sync::model::error::{Code, Result};
use datum_sync::ports::remote::{Hints, Remote};
use datum_sync::web::http::{HttpRemote, MOST_LEFT_BEHIND, Patience};
use datum_sync::web::timer::sleep;
use futures_util::future::{Either, select};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

/// Listens to the end, or for `ms` milliseconds. Returns how it ended and the number of hints.
async fn listen(remote: &impl Remote, ms: u64) -> (Option<Result<Hints>>, u32) {
    let count = Cell::new(0_u32);
    let mut hint = || count.set(count.get().saturating_add(1));
    let ended = match select(pin!(remote.hints("ada", &mut hint)), pin!(sleep(ms))).await {
        Either::Left((ended, _)) => Some(ended),
        Either::Right(_) => None,
    };
    (ended, count.get())
}

/// A body of `fetch` that answers with a stream of these chunks, which then goes on as `end` says.
fn streaming(chunks: &str, end: &str) -> String {
    format!("return stream({chunks}, {end:?})")
}

const OPEN: &str = "[': open\\n\\n']";

#[wasm_bindgen_test]
async fn a_stream_is_a_get_with_the_apps_headers_and_each_change_a_hint() {
    let body = streaming(
        "[': op', 'en\\n\\nevent: cha', 'nge\\r\\ndata: {}\\r\\n\\r\\n', ': alive\\n\\n', 'event: change\\ndata: {}\\n\\nevent: change\\ndata: {}\\n\\n', 'event: other\\ndata: {}\\n\\n']",
        "close",
    );
    let remote = http(
        &body,
        "headers: { Authorization: 'Bearer t' }, credentials: 'include'",
    );
    let (ended, hints) = listen(&remote, 5000).await;
    assert_eq!(ended.unwrap().unwrap(), Hints::Ended);
    // One for having connected, and one a chunk with changes.
    assert_eq!(hints, 3);
    holds(
        "seen.length === 1 && seen[0].url === 'https://api.test/sync/v1/stream' && seen[0].method === 'GET' && !('body' in seen[0])",
    );
    holds(
        "seen[0].headers.Authorization === 'Bearer t' && seen[0].headers.Accept === 'text/event-stream' && seen[0].cache === 'no-store' && seen[0].credentials === 'include'",
    );
    assert!(remote.stats().received > 100);
}

#[wasm_bindgen_test]
async fn the_browsers_own_fetch_streams_too() {
    // The test page's own server knows no such path, and says so.
    let remote = HttpRemote::new(&js("{ url: '/' }")).unwrap();
    assert_eq!(
        listen(&remote, 5000).await.0.unwrap().unwrap(),
        Hints::NoStream
    );
    let nobody = HttpRemote::new(&js("{ url: 'http://127.0.0.1:9/' }")).unwrap();
    assert_eq!(
        listen(&nobody, 5000).await.0.unwrap().unwrap_err().code(),
        Code::Network
    );
}

#[wasm_bindgen_test]
async fn a_bye_ends_it_and_an_expired_token_is_renewed_before_the_next() {
    js("globalThis.asked = []");
    let more = "headers: async (reason) => { asked.push(reason); return {} }";
    let remote = http(
        &streaming(
            "['event: bye\\ndata: {\"reason\":\"shutdown\"}\\n\\n']",
            "open",
        ),
        more,
    );
    assert_eq!(
        listen(&remote, 5000).await.0.unwrap().unwrap(),
        Hints::Ended
    );
    holds("asked.join() === 'request' && seen[0].signal.aborted");

    js("asked.length = 0");
    let remote = http(
        &streaming(
            "['event: bye\\ndata: {\"reason\":\"tokenExpired\"}\\n\\n']",
            "open",
        ),
        more,
    );
    assert_eq!(
        listen(&remote, 5000).await.0.unwrap().unwrap(),
        Hints::Ended
    );
    holds("asked.join() === 'request,unauthorized'");

    js("asked.length = 0");
    let remote = http(
        &streaming(
            "['event: bye\\ndata: {\"reason\":\"tokenExpired\"}\\n\\n']",
            "open",
        ),
        "headers: (reason) => { if (reason === 'unauthorized') throw new Error('signed out'); return {} }",
    );
    assert_eq!(
        listen(&remote, 5000).await.0.unwrap().unwrap_err().code(),
        Code::Unauthorized
    );
}

#[wasm_bindgen_test]
async fn a_refused_token_is_renewed_once_and_then_it_is_unauthorized() {
    js("(globalThis.asked = [], globalThis.token = 'old', globalThis.cancelled = 0)");
    let headers = "headers: (reason) => { asked.push(reason); if (reason === 'unauthorized') token = 'new'; return { Authorization: token } }";
    let fetch = format!(
        "if (init.headers.Authorization !== 'new') return new Response(new ReadableStream({{ cancel() {{ cancelled++ }} }}), {{ status: 401 }}); {}",
        streaming(OPEN, "open")
    );
    let remote = http(&fetch, headers);
    let (ended, hints) = listen(&remote, 50).await;
    assert!(ended.is_none() && hints == 1);
    holds("seen.length === 2 && asked.join() === 'request,unauthorized'");
    // Nobody reads the refusal: it would hold its connection until it is collected.
    holds("cancelled === 1");

    let remote = http(
        "return new Response('{\"code\":\"tokenExpired\"}', { status: 401 })",
        headers,
    );
    let error = listen(&remote, 5000).await.0.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        (Code::Unauthorized, Some(401))
    );
    holds("seen.length === 2");
    let remote = http(
        "return new Response('', { status: 429, headers: { 'Retry-After': '7' } })",
        "",
    );
    let error = listen(&remote, 5000).await.0.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.retry_after_ms()),
        (Code::RateLimited, Some(7000))
    );
}

#[wasm_bindgen_test]
async fn where_there_is_no_stream_the_remote_says_so() {
    for answer in [
        "new Response('', { status: 404 })",
        "new Response('', { status: 405 })",
        "new Response('', { status: 501 })",
        "new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } })",
        "new Response('{}')",
        "{ status: 200, headers: new Headers({ 'Content-Type': 'text/event-stream' }), text: async () => '' }",
    ] {
        let (ended, hints) = listen(&http(&format!("return {answer}"), ""), 5000).await;
        assert_eq!(
            (ended.unwrap().unwrap(), hints),
            (Hints::NoStream, 0),
            "{answer}"
        );
    }
}

#[wasm_bindgen_test]
async fn a_stream_that_is_held_back_is_none_and_one_that_falls_silent_has_failed() {
    let patience = Patience {
        first: 40,
        later: 120,
    };
    let held = http(&streaming("[]", "open"), "").with_patience(patience);
    assert_eq!(
        listen(&held, 5000).await.0.unwrap().unwrap(),
        Hints::NoStream
    );
    holds("seen[0].signal.aborted");
    let never = http("return new Promise(() => {})", "timeout: 40");
    assert_eq!(
        listen(&never, 5000).await.0.unwrap().unwrap(),
        Hints::NoStream
    );
    holds("seen[0].signal.aborted");

    let silent = http(&streaming(OPEN, "open"), "").with_patience(patience);
    let error = listen(&silent, 5000).await.0.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Network);
    assert!(error.message().contains("silent for 120 ms"), "{error}");
    holds("seen[0].signal.aborted");
    // Comments are enough to keep it.
    let alive = http(&streaming(OPEN, "trickle"), "").with_patience(patience);
    assert_eq!(listen(&alive, 5000).await.0.unwrap().unwrap(), Hints::Ended);

    let broken = http(&streaming(OPEN, "fail"), "");
    assert_eq!(
        listen(&broken, 5000).await.0.unwrap().unwrap_err().code(),
        Code::Network
    );
    let endless = http(&streaming("['x'.repeat(70000)]", "open"), "");
    assert_eq!(
        listen(&endless, 5000).await.0.unwrap().unwrap_err().code(),
        Code::Protocol
    );
}

#[wasm_bindgen_test]
async fn dropping_the_future_closes_the_stream() {
    let remote = http(&streaming(OPEN, "open"), "");
    assert!(listen(&remote, 30).await.0.is_none());
    holds("seen[0].signal.aborted");
}

#[wasm_bindgen_test]
async fn an_adapter_hints_until_it_is_unsubscribed_from() {
    js("globalThis.later = null");
    let remote = adapter(
        "name: 'mine', subscribe(user, hint) { seen.push([this.name, user]); later = hint; hint(); hint(); return () => seen.push('gone') }",
    );
    let count = Rc::new(Cell::new(0_u32));
    {
        let counted = Rc::clone(&count);
        let mut hint = move || counted.set(counted.get().saturating_add(1));
        let mut listening = pin!(remote.hints("ada", &mut hint));
        let mut turn = async || {
            for _ in 0..3 {
                std::future::poll_fn(|context| {
                    assert!(listening.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
                sleep(0).await;
            }
        };
        turn().await;
        holds("seen.length === 1 && seen[0].join() === 'mine,ada'");
        assert_eq!(
            count.get(),
            2,
            "one for having subscribed, one for the two that came at once"
        );
        js("(() => { for (let i = 0; i < 10000; i++) later() })()");
        turn().await;
        assert_eq!(count.get(), 3, "a burst is one hint");
    }
    holds("seen.length === 2 && seen[1] === 'gone'");
    // The adapter has not heard that it is over.
    js("later()");
    sleep(0).await;
    assert_eq!(count.get(), 3);
}

#[wasm_bindgen_test]
async fn an_adapter_may_answer_a_subscription_with_anything() {
    for returned in [
        "undefined",
        "null",
        "7",
        "{}",
        "() => { throw new Error('x') }",
        "Promise.resolve(() => seen.push('gone'))",
    ] {
        let (ended, hints) = listen(
            &adapter(&format!("subscribe() {{ return {returned} }}")),
            20,
        )
        .await;
        assert!(ended.is_none() && hints == 1, "{returned}");
    }
    holds("seen.join() === 'gone'");
    // A promise that comes too late still ends what it began.
    let remote = adapter(
        "subscribe: () => new Promise((r) => setTimeout(() => r(() => seen.push('late')), 30))",
    );
    assert!(listen(&remote, 5).await.0.is_none());
    sleep(60).await;
    holds("seen.join() === 'late'");

    for (thrown, code) in [
        ("new Error('x')", Code::Network),
        ("{ status: 401 }", Code::Unauthorized),
        ("undefined", Code::Network),
    ] {
        for method in [
            format!("subscribe() {{ throw {thrown} }}"),
            format!("async subscribe() {{ throw {thrown} }}"),
        ] {
            assert_eq!(
                listen(&adapter(&method), 5000)
                    .await
                    .0
                    .unwrap()
                    .unwrap_err()
                    .code(),
                code,
                "{method}"
            );
        }
    }
    assert_eq!(
        listen(&adapter(""), 5000).await.0.unwrap().unwrap(),
        Hints::Never
    );
}

#[wasm_bindgen_test]
async fn what_is_left_behind_outlives_the_page_and_carries_the_last_headers() {
    js("globalThis.asked = 0");
    let remote = http(
        &format!("return new Response('{PAGE}')"),
        "headers: async () => ({ Authorization: `Bearer ${++asked}` }), credentials: 'include'",
    );
    assert!(
        !remote.can_flush("ada") && !remote.flush_on_leave("ada", "{}".into()),
        "no headers are known"
    );
    page(pull(&remote).await);

    assert!(remote.can_flush("ada") && remote.flush_on_leave("ada", r#"{"operations":[]}"#.into()));
    // Without a turn of the event loop between: the page may have none left.
    holds(
        "seen.length === 2 && seen[1].keepalive === true && seen[1].method === 'POST' && seen[1].url === 'https://api.test/sync/v1/push'",
    );
    holds(
        "seen[1].body === '{\"operations\":[]}' && seen[1].headers.Authorization === 'Bearer 1' && seen[1].headers['Content-Type'] === 'application/json'",
    );
    holds("seen[1].credentials === 'include' && !('signal' in seen[1]) && asked === 1");

    assert!(
        !remote.flush_on_leave("bob", "{}".into()),
        "another user's operations never go out with this one's token"
    );
    assert!(!remote.flush_on_leave("ada", "x".repeat(MOST_LEFT_BEHIND + 1)));
    assert!(remote.flush_on_leave("ada", "x".repeat(MOST_LEFT_BEHIND)));
    holds("seen.length === 3");
}

#[wasm_bindgen_test]
async fn headers_that_the_remote_has_refused_are_not_used_on_the_way_out() {
    let remote = http(
        &format!(
            "return call === 1 ? new Response('{PAGE}') : new Response('', {{ status: 401 }})"
        ),
        "",
    );
    page(pull(&remote).await);
    assert!(remote.can_flush("ada"));
    assert!(pull(&remote).await.is_err());
    assert!(!remote.can_flush("ada"));
}

#[wasm_bindgen_test]
async fn nobody_hears_of_a_flush_that_fails() {
    recorder().count_unhandled();
    let remote = http(
        &format!("if (call === 1) return new Response('{PAGE}'); throw new TypeError('gone')"),
        "",
    );
    page(pull(&remote).await);
    assert!(remote.flush_on_leave("ada", "{}".into()));
    sleep(30).await;
    assert_eq!(recorder().unhandled_rejections(), 0);
}

#[wasm_bindgen_test]
async fn the_browsers_own_fetch_takes_a_flush_of_the_full_size() {
    recorder().replace_fetch_but_flushes();
    let remote = HttpRemote::new(&js("{ url: '/', headers: { 'X-A': '1' } }")).unwrap();
    pull(&remote).await.unwrap();
    let sent = remote.flush_on_leave("ada", "x".repeat(MOST_LEFT_BEHIND));
    recorder().restore_fetch();
    assert!(sent);
    let status = JsFuture::from(recorder().flushed_status()).await.unwrap();
    assert!(
        status.as_f64().unwrap() >= 400.0,
        "the test page's server was asked: {status:?}"
    );
    holds(
        "seen[1][0] === location.origin + '/sync/v1/push' && new Request(...seen[1]).keepalive !== false",
    );
}

thread_local!(static HEARD: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) });

#[wasm_bindgen_test]
fn a_host_tells_when_the_page_is_hidden_or_left_until_it_is_dropped() {
    let host = datum_sync::web::host::WebHost::new();
    let watch = host.on_leaving(|| HEARD.with_borrow_mut(|heard| heard.push("left")));
    browser_page().fire("pagehide");
    browser_page().fire_at_document("visibilitychange");
    HEARD.with_borrow(|heard| assert_eq!(heard.len(), 1, "a page that is shown is not left"));
    browser_page().set_visibility(Some("hidden"));
    browser_page().fire_at_document("visibilitychange");
    HEARD.with_borrow(|heard| assert_eq!(heard.len(), 2));
    drop(watch);
    browser_page().fire("pagehide");
    browser_page().fire_at_document("visibilitychange");
    browser_page().set_visibility(None);
    HEARD.with_borrow(|heard| assert_eq!(heard.len(), 2));
}
