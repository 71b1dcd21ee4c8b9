//! One request and its response, over the browser's `fetch` or the app's.
//!
//! gloo-net builds the requests, for 1.7 KiB (brotli). It neither sends them nor reads the
//! responses: it panics if a promise rejects with something that is not an Error, or if `fetch`
//! resolves to something that is not a Response. An app's `fetch` may do either, and so may a
//! global one that a page has replaced.

use gloo_net::http::{Method, Request, RequestBuilder};
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortSignal, ReadableWritablePair, RequestCache, RequestCredentials, Response};

use crate::model::error::{Code, Error, Result};
use crate::model::protocol::readable;
use crate::web::http::failure::network;
use crate::web::interop::{
    AbortGuard, await_value, json_of, member, set_member, spawn, thrown_text,
};
use crate::web::timer::within;

/// The slowest upload that is waited for, in bytes per millisecond, beside the timeout.
const SLOWEST_UPLOAD: u64 = 16;

/// A request that either `fetch` can send.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'static Method,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) accept: &'static str,
    pub(crate) body: Option<&'a RequestBody>,
    pub(crate) credentials: Option<RequestCredentials>,
}

/// A request's body: JSON, plain or compressed.
pub(crate) enum RequestBody {
    Json(String),
    Gzip(Uint8Array),
}

/// A response, read to its end.
pub(crate) struct WholeResponse {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    /// The headers `Retry-After` and `Date`, only of a response that is not a success.
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
}

impl RequestBody {
    /// The size in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Json(text) => text.len() as u64,
            Self::Gzip(bytes) => u64::from(bytes.length()),
        }
    }
}

/// Compresses a body; `None` if the browser cannot.
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
    Some(Uint8Array::new(&await_value(&buffer).await.ok()?))
}

/// The head of a response. Dropping it aborts the body.
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    response: JsValue,
    guard: AbortGuard,
}

/// Sends a request and reads the response. Dropping the future aborts both.
///
/// # Errors
/// As [`open`] and [`ResponseHead::read`].
pub(crate) async fn exchange(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    ms: u32,
    wait_ms: u32,
) -> Result<WholeResponse> {
    // Nothing tells how far an upload is.
    let upload = outgoing.body.map_or(0, RequestBody::len) / SLOWEST_UPLOAD;
    let head = ms.saturating_add(wait_ms).saturating_add(upload as u32);
    open(outgoing, fetch, head)
        .await?
        .read(outgoing.url, ms)
        .await
}

/// Sends a request, and waits for the head of its response.
///
/// # Errors
/// Fails with [`Code::Network`], [`Code::Offline`], [`Code::Timeout`] after `ms` milliseconds
/// without the head; [`Code::Protocol`] if `fetch` resolves to anything but a response.
pub(crate) async fn open(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    ms: u32,
) -> Result<ResponseHead> {
    let url = outgoing.url;
    let guard = AbortGuard::new()?;
    let promise = send(outgoing, fetch, &guard.signal())?;
    let response = within(ms, await_value(&promise))
        .await
        .ok_or_else(|| late("The answer", url, ms))?
        .map_err(|thrown| network(&thrown, url))?;
    // A mock, a polyfill and a Response of another realm are not instances of this realm's class:
    // check the members that are needed.
    let Some(status) = member(&response, "status").as_f64() else {
        return Err(Error::new(
            Code::Protocol,
            "The `remote.fetch` function did not resolve to a Response.",
        )
        .caused_by(thrown_text(&response)));
    };
    Ok(ResponseHead {
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

impl ResponseHead {
    /// Reads the response to its end.
    ///
    /// # Errors
    /// Fails with [`Code::Network`] if it breaks off, [`Code::Timeout`] if nothing comes for `ms`
    /// milliseconds, however long it is.
    pub(crate) async fn read(self, url: &str, ms: u32) -> Result<WholeResponse> {
        let failed = !(200..300).contains(&self.status);
        let header = |name| self.header(name).filter(|_| failed);
        let (retry_after, date) = (header("Retry-After"), header("Date"));
        let silent = || late("More of the answer", url, ms);
        let bytes = match self.chunks() {
            Some(chunks) => {
                let mut bytes = Vec::new();
                loop {
                    let chunk = within(ms, chunks.next()).await.ok_or_else(silent)?;
                    match chunk.map_err(|thrown| network(&thrown, url))? {
                        Some(chunk) => bytes.extend_from_slice(&chunk),
                        None => break bytes,
                    }
                }
            }
            None => within(ms, read(&self.response, url))
                .await
                .ok_or_else(silent)??,
        };
        self.guard.disarm();
        Ok(WholeResponse {
            status: self.status,
            bytes: readable(bytes),
            retry_after,
            date,
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

    /// Returns the body as a stream of chunks; `None` if the response has no stream.
    pub(crate) fn chunks(&self) -> Option<Chunks> {
        let body = member(&self.response, "body");
        let reader = member(&body, "getReader")
            .dyn_ref::<Function>()?
            .call0(&body)
            .ok()?;
        let next = member(&reader, "read").dyn_into().ok()?;
        Some(Chunks { reader, next })
    }
}

/// A body that is read as it arrives.
pub(crate) struct Chunks {
    reader: JsValue,
    next: Function,
}

impl Chunks {
    /// Returns the next chunk; `None` at the end.
    ///
    /// # Errors
    /// The value that the stream failed with.
    pub(crate) async fn next(&self) -> Result<Option<Vec<u8>>, JsValue> {
        let read = await_value(&self.next.call0(&self.reader)?).await?;
        if member(&read, "done").is_truthy() {
            return Ok(None);
        }
        Ok(Some(bytes_of(&member(&read, "value")).unwrap_or_default()))
    }
}

/// Sends a request that outlives the page. Nobody waits for its response, and nothing aborts it.
///
/// # Errors
/// The error for what `fetch` threw at once; later rejections are ignored.
pub(crate) fn send_and_leave(outgoing: &Outgoing<'_>, fetch: Option<&Function>) -> Result<()> {
    let init = init(outgoing, None);
    // gloo-net and web-sys have no `keepalive`.
    set_member(&init, "keepalive", &JsValue::TRUE);
    let global = js_sys::global();
    let own = member(&global, "fetch");
    let (fetch, this) = match (fetch, own.dyn_ref::<Function>()) {
        (Some(fetch), _) => (fetch, &JsValue::UNDEFINED),
        (None, Some(fetch)) => (fetch, global.as_ref()),
        (None, None) => return Err(no_fetch()),
    };
    let response = fetch
        .call2(this, &JsValue::from_str(outgoing.url), &init)
        .map_err(|thrown| network(&thrown, outgoing.url))?;
    // An unhandled rejection would be reported to the page.
    spawn(async move { drop(await_value(&response).await) });
    Ok(())
}

fn no_fetch() -> Error {
    Error::new(
        Code::InvalidConfig,
        "There is no `fetch` here; pass one as `remote.fetch`.",
    )
}

/// Calls `fetch`: the browser's with a Request, the app's with a url and an init, which it may read
/// or change.
fn send(
    outgoing: &Outgoing<'_>,
    fetch: Option<&Function>,
    signal: &AbortSignal,
) -> Result<JsValue> {
    let global = js_sys::global();
    let response = match (fetch, member(&global, "fetch").dyn_ref::<Function>()) {
        (Some(fetch), _) => fetch.call2(
            &JsValue::UNDEFINED,
            &JsValue::from_str(outgoing.url),
            &init(outgoing, Some(signal)),
        ),
        (None, Some(fetch)) => fetch.call1(&global, &JsValue::from(request(outgoing, signal)?)),
        (None, None) => return Err(no_fetch()),
    };
    response.map_err(|thrown| network(&thrown, outgoing.url))
}

fn request(outgoing: &Outgoing<'_>, signal: &AbortSignal) -> Result<web_sys::Request> {
    let wrong = |cause: String| {
        Error::new(
            Code::InvalidConfig,
            format!("No request can be made for {}.", outgoing.url),
        )
        .caused_by(cause)
    };
    let mut builder = RequestBuilder::new(outgoing.url)
        .method(outgoing.method.clone())
        .cache(RequestCache::NoStore)
        .abort_signal(Some(signal));
    if let Some(credentials) = outgoing.credentials {
        builder = builder.credentials(credentials);
    }
    // Checked when they were read: gloo-net panics on names and values that HTTP does not allow.
    for (name, value) in all_headers(outgoing) {
        builder = builder.header(name, value);
    }
    let built = match outgoing.body {
        None => builder.build(),
        Some(RequestBody::Json(text)) => builder.body(Uint8Array::from(text.as_bytes())),
        Some(RequestBody::Gzip(bytes)) => builder.body(bytes.clone()),
    };
    built.map(Request::into).map_err(|cause| match cause {
        gloo_net::Error::JsError(cause) => wrong(cause.message),
        gloo_net::Error::GlooError(cause) => wrong(cause),
    })
}

/// Returns the second argument of the app's `fetch`: plain members, so that `{...init}` and
/// `JSON.parse(init.body)` work.
fn init(outgoing: &Outgoing<'_>, signal: Option<&AbortSignal>) -> Object {
    let init = Object::new();
    let headers = Object::new();
    for (name, value) in all_headers(outgoing) {
        set_member(&headers, name, &JsValue::from_str(value));
    }
    set_member(
        &init,
        "method",
        &JsValue::from_str(outgoing.method.as_str()),
    );
    set_member(&init, "headers", &headers);
    set_member(&init, "cache", &JsValue::from_str("no-store"));
    if let Some(signal) = signal {
        set_member(&init, "signal", signal);
    }
    if let Some(credentials) = outgoing.credentials {
        set_member(&init, "credentials", &JsValue::from(credentials));
    }
    match outgoing.body {
        None => {}
        Some(RequestBody::Json(text)) => set_member(&init, "body", &JsValue::from_str(text)),
        Some(RequestBody::Gzip(bytes)) => set_member(&init, "body", bytes),
    }
    init
}

/// The app's headers, then ours: the app cannot override those that describe the body.
fn all_headers<'a>(outgoing: &Outgoing<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let content_type = outgoing.body.map(|_| ("Content-Type", "application/json"));
    let encoding =
        matches!(outgoing.body, Some(RequestBody::Gzip(_))).then_some(("Content-Encoding", "gzip"));
    let ours = [Some(("Accept", outgoing.accept)), content_type, encoding]
        .into_iter()
        .flatten();
    let from_app = outgoing
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    from_app
        .filter(|(name, _)| {
            !["accept", "content-type", "content-encoding"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
        })
        .chain(ours)
}

/// Reads the body: one copy from an `ArrayBuffer`, or through text if the response has no
/// `arrayBuffer`.
async fn read(response: &JsValue, url: &str) -> Result<Vec<u8>> {
    let broke = |thrown: JsValue| network(&thrown, url);
    for name in ["arrayBuffer", "text", "json"] {
        let method = member(response, name);
        let Some(method) = method.dyn_ref::<Function>() else {
            continue;
        };
        let value = await_value(&method.call0(response).map_err(broke)?)
            .await
            .map_err(broke)?;
        let bytes = match name {
            "arrayBuffer" => bytes_of(&value),
            "text" => value.as_string().map(String::into_bytes),
            _ => {
                let unwritten = |cause: String| {
                    let what = "The `json` of a `remote.fetch` response cannot be written.";
                    Error::new(Code::Protocol, what).caused_by(cause)
                };
                Some(json_of(&value).map_err(unwritten)?.into_bytes())
            }
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

/// Returns the bytes of an `ArrayBuffer` of any realm, or of a view of one.
fn bytes_of(value: &JsValue) -> Option<Vec<u8>> {
    let length = member(value, "byteLength").as_f64()?;
    // Empty, or detached: a view of a detached buffer throws.
    if length == 0.0 {
        return Some(Vec::new());
    }
    // Anything else with a `length` would be read as a list of numbers.
    let is_buffer = js_sys::ArrayBuffer::is_view(value) || member(value, "length").is_undefined();
    is_buffer.then(|| Uint8Array::new(value).to_vec())
}
