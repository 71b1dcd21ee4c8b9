//! The remote that speaks protocol 1 over `fetch`.
//!
//! It turns requests into bytes and statuses into coded errors, and does not parse replies.
//! Dropping a future aborts its request.

use std::cell::Cell;

use gloo_net::http::Method;
use js_sys::Function;
use wasm_bindgen::JsValue;
use web_sys::RequestCredentials;

use crate::model::error::{Error, Result};
use crate::model::protocol::foreign::foreign;
use crate::model::protocol::refusal::{is_cursor_gone, refused};
use crate::model::protocol::retry_after::{http_date, retry_after};
use crate::model::protocol::{DeviceMetadata, PREFIX, PullRequest, PushRequest};
use crate::ports::remote::{Hints, Pulled, Pushed, Remote};
use crate::util::cell::RefCell;
use crate::util::json::serialize;
use crate::web::host::elapsed_ms;
use crate::web::http::config::Http;
use crate::web::http::exchange::{
    Outgoing, RequestBody, WholeResponse, exchange, gzip, send_and_leave,
};
use crate::web::http::headers::{HeaderSource, List};
pub use crate::web::http::stream::Patience;

pub mod config;
pub mod exchange;
pub mod failure;
pub mod headers;
pub mod stream;

/// Smaller bodies are not compressed, in bytes.
const COMPRESS_FROM: usize = 8 << 10;

/// The largest body of a request that outlives its page, in bytes. Browsers limit all such requests
/// together to 64 KiB, headers included.
pub const MOST_LEFT_BEHIND: usize = 60 << 10;

const JSON: &str = "application/json";

/// `HttpRemote` of the public surface.
#[derive(Debug)]
pub struct HttpRemote {
    /// The url before [`PREFIX`], without a slash at its end.
    base: String,
    headers: HeaderSource,
    fetch: Option<Function>,
    credentials: Option<RequestCredentials>,
    /// Reset once the remote answers 415 to a compressed body.
    compress: Cell<bool>,
    timeout_ms: u32,
    patience: Patience,
    /// The headers that the remote accepted last, and the user of that request. A page that goes
    /// away has no time to ask for new ones, and must not send one user's operations with another's
    /// token.
    last: RefCell<Option<(String, List)>>,
    stats: Cell<TrafficStats>,
    /// How far the remote's clock is ahead of the browser's monotonic one, in milliseconds.
    clock: Cell<Option<f64>>,
}

/// Traffic since the remote was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficStats {
    /// Requests, each try counted.
    pub requests: u64,
    /// Bytes of bodies sent, as they were sent.
    pub sent: u64,
    /// Bytes of bodies received, as the browser unpacked them.
    pub received: u64,
}

impl HttpRemote {
    /// The server's address.
    pub(super) fn address(&self) -> &str {
        &self.base
    }

    /// Reads `remote` of the config.
    ///
    /// # Errors
    /// Fails with `invalidConfig`, naming the key.
    pub fn new(config: &JsValue) -> Result<Self> {
        let http = Http::read(config)?;
        Ok(Self {
            base: http.base(),
            headers: http.header_source(),
            fetch: http.fetch(),
            credentials: http.credentials(),
            compress: Cell::new(http.compress()),
            timeout_ms: http.timeout() as u32,
            patience: Patience::default(),
            last: RefCell::default(),
            stats: Cell::default(),
            clock: Cell::default(),
        })
    }

    /// Traffic since the remote was made.
    #[must_use]
    pub fn stats(&self) -> TrafficStats {
        self.stats.get()
    }

    /// Whether the remote has accepted headers of this user that can be sent again.
    #[must_use]
    pub fn can_flush(&self, user_id: &str) -> bool {
        self.last
            .borrow()
            .as_ref()
            .is_some_and(|(user, _)| user == user_id)
    }

    /// Sends the body of a push from a page that goes away. Nobody waits for the response: the
    /// operations stay queued, and get their verdict when they are sent again.
    ///
    /// Returns false if nothing was sent: the body is above [`MOST_LEFT_BEHIND`], no request of
    /// this user has been accepted yet, or there is no `fetch`.
    pub fn flush_on_leave(&self, user_id: &str, body: String) -> bool {
        let last = self
            .last
            .borrow()
            .clone()
            .filter(|(user, _)| user == user_id);
        let Some((_, headers)) = last.filter(|_| body.len() <= MOST_LEFT_BEHIND) else {
            return false;
        };
        let (url, body) = (self.url("/push"), RequestBody::Json(body));
        self.count(body.len());
        let outgoing = self.outgoing(&Method::POST, &url, Some(&body), &headers, JSON);
        send_and_leave(&outgoing, self.fetch.as_ref()).is_ok()
    }

    /// Sends a request, and once more with fresh headers if the remote answers 401.
    async fn call(
        &self,
        user_id: &str,
        method: &'static Method,
        url: &str,
        body: Option<&RequestBody>,
        wait_ms: u32,
    ) -> Result<WholeResponse> {
        let mut sent = self.headers.current(self.timeout_ms).await?;
        let mut response = self.send(method, url, body, &sent.list, wait_ms).await?;
        if response.status == 401
            && let Some(fresh) = self.headers.refreshed(&sent, self.timeout_ms).await?
        {
            response = self.send(method, url, body, &fresh.list, wait_ms).await?;
            sent = fresh;
        }
        match response.status {
            200..=299 if !user_id.is_empty() => {
                *self.last.borrow_mut() = Some((user_id.to_owned(), sent.list))
            }
            401 | 403 | 409 => *self.last.borrow_mut() = None,
            _ => {}
        }
        Ok(response)
    }

    fn count(&self, sent: u64) {
        let mut stats = self.stats.get();
        stats.requests = stats.requests.saturating_add(1);
        stats.sent = stats.sent.saturating_add(sent);
        self.stats.set(stats);
    }

    fn outgoing<'a>(
        &self,
        method: &'static Method,
        url: &'a str,
        body: Option<&'a RequestBody>,
        headers: &'a [(String, String)],
        accept: &'static str,
    ) -> Outgoing<'a> {
        Outgoing {
            method,
            url,
            headers,
            accept,
            body,
            credentials: self.credentials,
        }
    }

    async fn send(
        &self,
        method: &'static Method,
        url: &str,
        body: Option<&RequestBody>,
        headers: &[(String, String)],
        wait_ms: u32,
    ) -> Result<WholeResponse> {
        self.count(body.map_or(0, RequestBody::len));
        let outgoing = self.outgoing(method, url, body, headers, JSON);
        let response = exchange(&outgoing, self.fetch.as_ref(), self.timeout_ms, wait_ms).await?;
        // Read again: other requests may have been counted since.
        let mut stats = self.stats.get();
        stats.received = stats.received.saturating_add(response.bytes.len() as u64);
        self.stats.set(stats);
        Ok(response)
    }

    /// Posts JSON. Returns the response and the size of the request's body.
    async fn post(
        &self,
        user_id: &str,
        url: &str,
        text: String,
        wait_ms: u32,
    ) -> Result<(WholeResponse, u64)> {
        if self.compress.get()
            && text.len() >= COMPRESS_FROM
            && let Some(packed) = gzip(&text).await
        {
            let body = RequestBody::Gzip(packed);
            let response = self
                .call(user_id, &Method::POST, url, Some(&body), wait_ms)
                .await?;
            if response.status != 415 {
                return Ok((response, body.len()));
            }
            self.compress.set(false);
        }
        let body = RequestBody::Json(text);
        Ok((
            self.call(user_id, &Method::POST, url, Some(&body), wait_ms)
                .await?,
            body.len(),
        ))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{PREFIX}{path}", self.base)
    }

    /// The url for reading and clearing a user's metadata. These requests have no body, so the url
    /// names the user.
    fn metadata_of(&self, user_id: &str) -> String {
        let user_id = String::from(js_sys::encode_uri_component(user_id));
        self.fresh(&format!("/metadata?userId={user_id}&"))
    }

    /// Returns the url of a GET request. No two are alike: a service worker that answers from its
    /// cache first knows nothing of `no-store`.
    fn fresh(&self, path: &str) -> String {
        // A whole number: the code that formats fractions is 16 KB.
        let number = (js_sys::Math::random() * 1e15) as u64;
        self.url(&format!("{path}_={number}"))
    }

    /// Returns the error of a response that is not a success.
    fn refusal(&self, response: &WholeResponse, url: &str) -> Error {
        let now = || {
            let date = response.date.as_deref().and_then(http_date);
            date.or_else(|| Some((self.clock.get()? + elapsed_ms()) as u64))
        };
        let wait = response
            .retry_after
            .as_deref()
            .and_then(|header| retry_after(header, now()));
        refused(response.status, url, &response.bytes, wait)
    }

    fn success(&self, response: WholeResponse, url: &str) -> Result<WholeResponse> {
        if (200..300).contains(&response.status) {
            return Ok(response);
        }
        Err(self.refusal(&response, url))
    }
}

impl Remote for HttpRemote {
    fn takes_any_limit(&self) -> bool {
        true
    }

    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled> {
        let url = self.url("/pull");
        let wait_ms = request
            .wait_ms
            .map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX));
        let (response, _) = self
            .post(user_id, &url, serialize::to_string(request), wait_ms)
            .await?;
        if response.status == 410 && is_cursor_gone(&response.bytes) {
            return Ok(Pulled::CursorGone);
        }
        self.success(response, &url)
            .map(|response| Pulled::Page(response.bytes))
    }

    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let url = self.url("/push");
        let (response, sent) = self.post(user_id, &url, request.to_json(), 0).await?;
        if response.status == 413 {
            return Ok(Pushed::TooLarge);
        }
        self.success(response, &url).map(|response| Pushed::Reply {
            bytes: response.bytes,
            sent,
        })
    }

    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        let url = self.metadata_of(user_id);
        let response = self.call(user_id, &Method::GET, &url, None, 0).await?;
        if response.is_absent() {
            return Ok(None);
        }
        self.success(response, &url)
            .map(|response| Some(response.bytes))
    }

    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()> {
        let url = self.url("/metadata");
        let body = RequestBody::Json(serialize::to_string(metadata));
        let response = self
            .call(user_id, &Method::PUT, &url, Some(&body), 0)
            .await?;
        if response.is_absent() {
            return Ok(());
        }
        self.success(response, &url).map(drop)
    }

    async fn clear_metadata(&self, user_id: &str) -> Result<()> {
        let url = self.metadata_of(user_id);
        let response = self.call(user_id, &Method::DELETE, &url, None, 0).await?;
        if response.is_absent() {
            return Ok(());
        }
        self.success(response, &url).map(drop)
    }

    async fn health(&self) -> Result<bool> {
        let url = self.fresh("/health?");
        let response = self.call("", &Method::GET, &url, None, 0).await?;
        if response.status >= 500 {
            return Ok(false);
        }
        let response = self.success(response, &url)?;
        if response
            .bytes
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            == Some(&b'<')
        {
            return Err(foreign(response.status, &url, &response.bytes));
        }
        Ok(true)
    }

    fn learn_clock(&self, now: u64) {
        self.clock.set(Some(now as f64 - elapsed_ms()));
    }

    async fn hints(&self, _user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints> {
        self.listen(hint).await
    }
}

impl WholeResponse {
    /// Whether the remote has no metadata endpoint.
    const fn is_absent(&self) -> bool {
        matches!(self.status, 404 | 501)
    }
}
