//! The remote that speaks protocol 1 over `fetch`.
//!
//! It turns requests into bytes and statuses into coded errors, and does not parse replies;
//! `src/js/http.js` sends the requests. Dropping a future aborts its request.

use std::cell::Cell;

use wasm_bindgen::JsValue;

use crate::model::error::{Error, Result};
use crate::model::protocol::foreign::foreign;
use crate::model::protocol::refusal::{is_cursor_gone, refused};
use crate::model::protocol::retry_after::{http_date, retry_after};
use crate::model::protocol::{DeviceMetadata, PREFIX, PullRequest, PushRequest, readable};
use crate::ports::remote::{Hints, Pulled, Pushed, Remote};
use crate::util::json::serialize;
use crate::web::host::elapsed_ms;
use crate::web::http::exchange::{Aborting, Http, bytes_of};
use crate::web::http::failure::network;
pub use crate::web::http::stream::Patience;
use crate::web::interop::await_value;

pub mod exchange;
pub mod failure;
pub mod stream;

/// The largest body of a request that outlives its page, in bytes. Browsers limit all such requests
/// together to 64 KiB, headers included.
pub const MOST_LEFT_BEHIND: usize = 60 << 10;

/// `HttpRemote` of the public surface.
#[derive(Debug)]
pub struct HttpRemote {
    http: Http,
    /// The url before [`PREFIX`], without a slash at its end.
    base: String,
    patience: Patience,
    /// How far the remote's clock is ahead of the browser's monotonic one, in milliseconds.
    clock: Cell<Option<f64>>,
}

/// A response, read to its end.
struct WholeResponse {
    status: u16,
    bytes: Vec<u8>,
    /// The size of the body that was sent for it.
    sent: u64,
    /// How long the remote asks to wait, and its own time; only of a response that is not a
    /// success.
    retry_after: Option<String>,
    date: Option<String>,
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
            http,
            patience: Patience::default(),
            clock: Cell::default(),
        })
    }

    /// Traffic since the remote was made.
    #[must_use]
    pub fn stats(&self) -> TrafficStats {
        TrafficStats {
            requests: self.http.requests() as u64,
            sent: self.http.sent() as u64,
            received: self.http.received() as u64,
        }
    }

    /// Whether the remote has accepted headers of this user that can be sent again.
    #[must_use]
    pub fn can_flush(&self, user_id: &str) -> bool {
        self.http.accepts(user_id)
    }

    /// Sends the body of a push from a page that goes away. Nobody waits for the response: the
    /// operations stay queued, and get their verdict when they are sent again.
    ///
    /// Returns false if nothing was sent: the body is above [`MOST_LEFT_BEHIND`], no request of
    /// this user has been accepted yet, or there is no `fetch`.
    pub fn flush_on_leave(&self, user_id: &str, body: String) -> bool {
        let url = self.url("/push");
        body.len() <= MOST_LEFT_BEHIND && self.http.leave(user_id, &url, &body, body.len() as f64)
    }

    /// Sends a request, and once more with fresh headers if the remote answers 401.
    async fn call(
        &self,
        user_id: &str,
        method: &str,
        url: &str,
        text: Option<String>,
        wait_ms: u32,
    ) -> Result<WholeResponse> {
        let request = self.http.begin();
        let size = text.as_ref().map_or(0, String::len) as f64;
        let promise = request
            .0
            .call(user_id, method, url, text.as_deref(), size, wait_ms);
        drop(text);
        let body = await_value(&promise)
            .await
            .map_err(|thrown| network(&thrown, url))?;
        Ok(WholeResponse::of(&request, &body))
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
        let text = serialize::to_string(request);
        let response = self
            .call(user_id, "POST", &url, Some(text), wait_ms)
            .await?;
        if response.status == 410 && is_cursor_gone(&response.bytes) {
            return Ok(Pulled::CursorGone);
        }
        self.success(response, &url)
            .map(|response| Pulled::Page(response.bytes))
    }

    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        let url = self.url("/push");
        let text = request.to_json();
        let response = self.call(user_id, "POST", &url, Some(text), 0).await?;
        if response.status == 413 {
            return Ok(Pushed::TooLarge);
        }
        self.success(response, &url).map(|response| Pushed::Reply {
            bytes: response.bytes,
            sent: response.sent,
        })
    }

    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        let url = self.metadata_of(user_id);
        let response = self.call(user_id, "GET", &url, None, 0).await?;
        if response.is_absent() {
            return Ok(None);
        }
        self.success(response, &url)
            .map(|response| Some(response.bytes))
    }

    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()> {
        let url = self.url("/metadata");
        let text = serialize::to_string(metadata);
        let response = self.call(user_id, "PUT", &url, Some(text), 0).await?;
        if response.is_absent() {
            return Ok(());
        }
        self.success(response, &url).map(drop)
    }

    async fn clear_metadata(&self, user_id: &str) -> Result<()> {
        let url = self.metadata_of(user_id);
        let response = self.call(user_id, "DELETE", &url, None, 0).await?;
        if response.is_absent() {
            return Ok(());
        }
        self.success(response, &url).map(drop)
    }

    async fn health(&self) -> Result<bool> {
        let url = self.fresh("/health?");
        let response = self.call("", "GET", &url, None, 0).await?;
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
    fn of(request: &Aborting, body: &JsValue) -> Self {
        let request = &request.0;
        let status = request.status();
        let failed = !(200..300).contains(&status);
        let header = |name| request.header(name).filter(|_| failed);
        Self {
            status,
            bytes: readable(bytes_of(body)),
            sent: request.size() as u64,
            retry_after: header("Retry-After"),
            date: header("Date"),
        }
    }

    /// Whether the remote has no metadata endpoint.
    const fn is_absent(&self) -> bool {
        matches!(self.status, 404 | 501)
    }
}
