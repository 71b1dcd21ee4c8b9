//! One request and its answer, over the browser's `fetch` or the app's.
//!
//! gloo-net names the methods. It does not send the request: it panics where a fetch rejects with
//! something that is no Error, or resolves to something that is no Response, and an app's own fetch
//! may.

use gloo_net::http::Method;
use js_sys::{Array, Function, JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    AbortSignal, Headers, ReadableWritablePair, Request, RequestCache, RequestCredentials,
    RequestInit, Response,
};

use crate::model::error::{Code, Error, Result};
use crate::web::host::spawn;
use crate::web::http::deadline::{AbortGuard, settle, within};
use crate::web::http::failure::{member, network, words};

/// A request, apart from who sends it.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) accept: &'static str,
    pub(crate) body: Option<&'a Body>,
    pub(crate) credentials: Option<RequestCredentials>,
}

/// A body: JSON, or the same compressed.
pub(crate) enum Body {
    Json(String),
    Gzip(Uint8Array),
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    /// Only of an answer that is not a success.
    pub(crate) retry_after: Option<String>,
}

impl Body {
    /// What is sent, in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Json(text) => text.len() as u64,
            Self::Gzip(bytes) => u64::from(bytes.length()),
        }
    }
}

/// Compresses a body; none where the browser cannot.
pub(crate) async fn gzip(text: &str) -> Option<Uint8Array> {
    // web-sys counts CompressionStream as unstable; it has the two members of a
    // ReadableWritablePair.
    let class = member(&js_sys::global(), "CompressionStream")
        .dyn_into::<Function>()
        .ok()?;
    let stream: ReadableWritablePair = Reflect::construct(&class, &Array::of1(&"gzip".into()))
        .ok()?
        .unchecked_into();
    let packed = Response::new_with_opt_str(Some(text))
        .ok()?
        .body()?
        .pipe_through(&stream);
    let buffer = Response::new_with_opt_readable_stream(Some(&packed))
        .ok()?
        .array_buffer()
        .ok()?;
    Some(Uint8Array::new(&settle(&buffer).await.ok()?))
}

/// The head of an answer. Dropping it aborts what is still to come.
pub(crate) struct Head {
    pub(crate) status: u16,
    response: JsValue,
    guard: AbortGuard,
}

/// Sends a request and reads the answer. Dropping the future aborts both.
///
/// # Errors
/// As [`open`] and [`Head::read`].
pub(crate) async fn exchange(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    ms: u32,
    wait_ms: u32,
) -> Result<Answer> {
    open(outgoing, fetch, ms.saturating_add(wait_ms))
        .await?
        .read(outgoing.url, ms)
        .await
}

/// Sends a request, and waits until its answer begins.
///
/// # Errors
/// [`Code::Network`], [`Code::Offline`], [`Code::Timeout`] after `ms` milliseconds without the
/// answer's head; [`Code::Protocol`] where `fetch` answers with something else than a response.
pub(crate) async fn open(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    ms: u32,
) -> Result<Head> {
    let url = outgoing.url;
    let guard = AbortGuard::new()?;
    let promise = send(outgoing, fetch, &guard.signal())?;
    let response = within(ms, settle(&promise))
        .await
        .ok_or_else(|| late("The answer", url, ms))?
        .map_err(|thrown| network(&thrown, url))?;
    // A page's mock, a polyfill and another realm's Response are no `Response` of this realm's: ask
    // for what is needed, not for the class.
    let Some(status) = member(&response, "status").as_f64() else {
        return Err(Error::new(
            Code::Protocol,
            "The `remote.fetch` function did not resolve to a Response.",
        )
        .caused_by(words(&response)));
    };
    Ok(Head {
        status: status as u16,
        response,
        guard,
    })
}

fn late(what: &str, url: &str, ms: u32) -> Error {
    Error::new(
        Code::Timeout,
        format!("{what} of {url} did not come within {ms} ms."),
    )
}

impl Head {
    /// Reads the answer to its end.
    ///
    /// # Errors
    /// [`Code::Network`] where it breaks off, [`Code::Timeout`] where its end does not come within
    /// `ms` milliseconds.
    pub(crate) async fn read(self, url: &str, ms: u32) -> Result<Answer> {
        let retry_after = if (200..300).contains(&self.status) {
            None
        } else {
            self.header("Retry-After")
        };
        let bytes = within(ms, read(&self.response, url))
            .await
            .ok_or_else(|| late("The end of the answer", url, ms))??;
        self.guard.disarm();
        Ok(Answer {
            status: self.status,
            bytes,
            retry_after,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = member(&self.response, "headers");
        let get = member(&headers, "get");
        get.dyn_ref::<Function>()?
            .call1(&headers, &JsValue::from_str(name))
            .ok()?
            .as_string()
    }

    /// The body, piece by piece; none where the response has no stream.
    pub(crate) fn pieces(&self) -> Option<Pieces> {
        let body = member(&self.response, "body");
        let reader = member(&body, "getReader")
            .dyn_ref::<Function>()?
            .call0(&body)
            .ok()?;
        let next = member(&reader, "read").dyn_into().ok()?;
        Some(Pieces { reader, next })
    }
}

/// A body that is read as it arrives.
pub(crate) struct Pieces {
    reader: JsValue,
    next: Function,
}

impl Pieces {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// What the stream broke off with.
    pub(crate) async fn next(&self) -> Result<Option<Vec<u8>>, JsValue> {
        let read = settle(&self.next.call0(&self.reader)?).await?;
        if member(&read, "done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(bytes_of(&member(&read, "value")).unwrap_or_default()))
    }
}

/// Sends a request that outlives the page. Nobody waits for its answer, and nothing stops it.
///
/// # Errors
/// What `fetch` threw at once; where it rejects later, nobody hears of it.
pub(crate) fn send_and_leave(outgoing: &Outgoing<'_>, fetch: Option<&Function>) -> Result<()> {
    let init = init(outgoing, None);
    // gloo-net and web-sys know no `keepalive`.
    let _ = Reflect::set(&init, &"keepalive".into(), &JsValue::TRUE);
    let global = js_sys::global();
    let own = member(&global, "fetch");
    let (fetch, this) = match (fetch, own.dyn_ref::<Function>()) {
        (Some(fetch), _) => (fetch, &JsValue::UNDEFINED),
        (None, Some(fetch)) => (fetch, global.as_ref()),
        (None, None) => return Err(no_fetch()),
    };
    let answer = fetch
        .call2(this, &JsValue::from_str(outgoing.url), &init)
        .map_err(|thrown| network(&thrown, outgoing.url))?;
    // A rejection that nobody takes would be reported to the page.
    spawn(async move { drop(settle(&answer).await) });
    Ok(())
}

fn no_fetch() -> Error {
    Error::new(
        Code::InvalidConfig,
        "There is no `fetch` here; pass one as `remote.fetch`.",
    )
}

/// Hands the request to `fetch`: a Request to the browser's, a url and an init to the app's, which
/// may want to read or to change them.
fn send(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    signal: &AbortSignal,
) -> Result<JsValue> {
    let global = js_sys::global();
    let answer = match (fetch, member(&global, "fetch").dyn_ref::<Function>()) {
        (Some(fetch), _) => fetch.call2(
            &JsValue::UNDEFINED,
            &JsValue::from_str(outgoing.url),
            &init(outgoing, Some(signal)),
        ),
        (None, Some(fetch)) => fetch.call1(&global, &JsValue::from(request(outgoing, signal)?)),
        (None, None) => return Err(no_fetch()),
    };
    answer.map_err(|thrown| network(&thrown, outgoing.url))
}

fn request(outgoing: &Outgoing<'_>, signal: &AbortSignal) -> Result<Request> {
    let wrong = |cause: String| {
        Error::new(
            Code::InvalidConfig,
            format!("No request can be made for {}.", outgoing.url),
        )
        .caused_by(cause)
    };
    let headers = Headers::new().map_err(|thrown| wrong(words(&thrown)))?;
    for (name, value) in all_headers(outgoing) {
        headers
            .set(name, value)
            .map_err(|thrown| wrong(words(&thrown)))?;
    }
    let init = RequestInit::new();
    init.set_method(outgoing.method.as_str());
    init.set_headers(&headers);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(signal));
    if let Some(credentials) = outgoing.credentials {
        init.set_credentials(credentials);
    }
    match outgoing.body {
        None => {}
        Some(Body::Json(text)) => init.set_body(&Uint8Array::from(text.as_bytes())),
        Some(Body::Gzip(bytes)) => init.set_body(bytes),
    }
    Request::new_with_str_and_init(outgoing.url, &init).map_err(|thrown| wrong(words(&thrown)))
}

/// The second argument of the app's fetch: plain members, so that `{...init}` and
/// `JSON.parse(init.body)` work.
fn init(outgoing: &Outgoing<'_>, signal: Option<&AbortSignal>) -> Object {
    let init = Object::new();
    // Setting a member of an object of our own cannot fail.
    let set = |object: &Object, key: &str, value: &JsValue| {
        drop(Reflect::set(object, &JsValue::from_str(key), value))
    };
    let headers = Object::new();
    for (name, value) in all_headers(outgoing) {
        set(&headers, name, &JsValue::from_str(value));
    }
    set(
        &init,
        "method",
        &JsValue::from_str(outgoing.method.as_str()),
    );
    set(&init, "headers", &headers);
    set(&init, "cache", &JsValue::from_str("no-store"));
    if let Some(signal) = signal {
        set(&init, "signal", signal);
    }
    if let Some(credentials) = outgoing.credentials {
        set(&init, "credentials", &JsValue::from(credentials));
    }
    match outgoing.body {
        None => {}
        Some(Body::Json(text)) => set(&init, "body", &JsValue::from_str(text)),
        Some(Body::Gzip(bytes)) => set(&init, "body", bytes),
    }
    init
}

/// The app's headers, then ours: what describes the body is not the app's to say.
fn all_headers<'a>(outgoing: &Outgoing<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let described = outgoing.body.map(|_| ("Content-Type", "application/json"));
    let packed =
        matches!(outgoing.body, Some(Body::Gzip(_))).then_some(("Content-Encoding", "gzip"));
    let ours = [Some(("Accept", outgoing.accept)), described, packed]
        .into_iter()
        .flatten();
    let theirs = outgoing
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    theirs
        .filter(|(name, _)| {
            !["accept", "content-type", "content-encoding"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
        })
        .chain(ours)
}

/// The body's bytes: one copy from an `ArrayBuffer`, or by way of text where the response has none.
async fn read(response: &JsValue, url: &str) -> Result<Vec<u8>> {
    let broke = |thrown: JsValue| network(&thrown, url);
    for name in ["arrayBuffer", "text", "json"] {
        let method = member(response, name);
        let Some(method) = method.dyn_ref::<Function>() else {
            continue;
        };
        let value = settle(&method.call0(response).map_err(broke)?)
            .await
            .map_err(broke)?;
        let bytes = match name {
            "arrayBuffer" => bytes_of(&value),
            "text" => value.as_string().map(String::into_bytes),
            _ => JSON::stringify(&value)
                .ok()
                .and_then(|text| text.as_string())
                .map(String::into_bytes),
        };
        if let Some(bytes) = bytes {
            return Ok(bytes);
        }
    }
    Err(Error::new(
        Code::Protocol,
        "The `remote.fetch` function resolved to a response whose body cannot be read.",
    ))
}

/// The bytes of an `ArrayBuffer` of any realm, or of a view of one.
fn bytes_of(value: &JsValue) -> Option<Vec<u8>> {
    let length = member(value, "byteLength").as_f64()?;
    // Empty, or detached: a detached buffer throws when it is looked at.
    if length == 0.0 {
        return Some(Vec::new());
    }
    // Anything else with a `length` would be read as a list of numbers.
    let is_buffer = js_sys::ArrayBuffer::is_view(value) || member(value, "length").is_undefined();
    is_buffer.then(|| Uint8Array::new(value).to_vec())
}
