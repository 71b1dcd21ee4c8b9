//! Reads the config of an HTTP remote.

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{RequestCredentials, Url};

use crate::model::error::{Code, Error, Result};
use crate::web::http::headers::HeaderSource;
use crate::web::interop::{is_absent, member, thrown_text};

/// How long the head of a response may take by default, and then its body, in milliseconds.
const TIMEOUT_MS: u32 = 30_000;

const KEYS: [&str; 6] = [
    "url",
    "headers",
    "fetch",
    "credentials",
    "compress",
    "timeout",
];

/// `HttpRemote` of the public surface, checked.
pub(super) struct HttpConfig {
    pub(super) base: String,
    pub(super) headers: HeaderSource,
    pub(super) fetch: Option<Function>,
    pub(super) credentials: Option<RequestCredentials>,
    pub(super) compress: bool,
    pub(super) timeout_ms: u32,
}

impl HttpConfig {
    /// Reads `remote` of the config.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`], naming the key.
    pub(super) fn read(config: &JsValue) -> Result<Self> {
        let wrong = |what: String| Error::new(Code::InvalidConfig, what);
        let keys = Reflect::own_keys(config).map_err(|_| {
            wrong("`remote` must be an object with a `url`, or with `pull` and `push`.".into())
        })?;
        if let Some(unknown) = keys
            .iter()
            .filter_map(|key| key.as_string())
            .find(|key| !KEYS.contains(&key.as_str()))
        {
            return Err(wrong(format!(
                "`remote.{unknown}` is not known; an HTTP remote has {}.",
                KEYS.join(", ")
            )));
        }
        let get = |key: &str| Some(member(config, key)).filter(|value| !is_absent(value));
        let fetch = get("fetch")
            .map(JsCast::dyn_into::<Function>)
            .transpose()
            .map_err(|_| wrong("`remote.fetch` must be a function.".into()))?;
        let credentials = get("credentials").map(read_credentials).transpose()?;
        let compress = match get("compress") {
            None => false,
            Some(value) => value
                .as_bool()
                .ok_or_else(|| wrong("`remote.compress` must be true or false.".into()))?,
        };
        let timeout_ms = match get("timeout").map(|value| value.as_f64().unwrap_or_default()) {
            None => TIMEOUT_MS,
            Some(ms) if (1.0..=3_600_000.0).contains(&ms) => ms as u32,
            Some(_) => {
                return Err(wrong(
                    "`remote.timeout` must be a number of milliseconds from 1 to 3,600,000.".into(),
                ));
            }
        };
        Ok(Self {
            base: base_url(&member(config, "url"))?,
            headers: HeaderSource::from_js(&member(config, "headers"))?,
            fetch,
            credentials,
            compress,
            timeout_ms,
        })
    }
}

fn read_credentials(value: JsValue) -> Result<RequestCredentials> {
    match value.as_string().as_deref() {
        Some("omit") => Ok(RequestCredentials::Omit),
        Some("same-origin") => Ok(RequestCredentials::SameOrigin),
        Some("include") => Ok(RequestCredentials::Include),
        _ => Err(Error::new(
            Code::InvalidConfig,
            "`remote.credentials` must be \"omit\", \"same-origin\" or \"include\".",
        )),
    }
}

/// Checks `remote.url`, and resolves it against the page's address.
fn base_url(url: &JsValue) -> Result<String> {
    let wrong = |what: &str| Error::new(Code::InvalidConfig, format!("`remote.url` {what}"));
    let text = url
        .as_string()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| wrong("must be a string such as \"https://api.example.com\"."))?;
    // A worker made from a blob has no address to resolve a path against.
    let page = member(&member(&js_sys::global(), "location"), "href").as_string();
    let parsed =
        Url::new(&text).or_else(|_| Url::new_with_base(&text, page.as_deref().unwrap_or_default()));
    let parsed = parsed.map_err(|thrown| {
        wrong("must be an http or https url, or a path on the page's own server.")
            .caused_by(thrown_text(&thrown))
    })?;
    if !matches!(parsed.protocol().as_str(), "http:" | "https:") {
        return Err(wrong("must begin with http: or https:."));
    }
    if !parsed.search().is_empty() || !parsed.hash().is_empty() {
        return Err(wrong(
            "must not have a query or a fragment; send tokens as `remote.headers`.",
        ));
    }
    if !parsed.username().is_empty() || !parsed.password().is_empty() {
        return Err(wrong(
            "must not have a user name or a password; send them as `remote.headers`.",
        ));
    }
    Ok(parsed.href().trim_end_matches('/').to_owned())
}
