//! The remote that the config names: HTTP or the app's adapter.

use wasm_bindgen::prelude::*;

use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{DeviceMetadata, PullRequest, PushRequest};
use crate::ports::remote::{Hints, Pulled, Pushed, Remote};
use crate::web::adapter::CustomRemote;
use crate::web::http::HttpRemote;
use crate::web::interop::has_method;

/// Dispatches the port to one of the two remotes.
pub enum WebRemote {
    /// The protocol over `fetch`.
    Http(HttpRemote),
    /// The app's own adapter.
    Custom(CustomRemote),
}

impl WebRemote {
    /// Reads `DatumConfig.remote`.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidConfig`], naming the field.
    pub fn read(value: &JsValue) -> Result<Self> {
        if !value.is_object() {
            return Err(Error::new(
                Code::InvalidConfig,
                "`remote` must be an object: { url, headers } for the sync protocol, or an adapter with `pull` and `push`.",
            ));
        }
        if has_method(value, "pull") || has_method(value, "push") {
            CustomRemote::new(value).map(Self::Custom)
        } else {
            HttpRemote::new(value).map(Self::Http)
        }
    }

    /// Whether [`Self::flush_on_leave`] would send for this user.
    #[must_use]
    pub fn can_flush(&self, user_id: &str) -> bool {
        matches!(self, Self::Http(remote) if remote.can_flush(user_id))
    }

    /// [`HttpRemote::flush_on_leave`]; an adapter has no request that outlives its page.
    pub fn flush_on_leave(&self, user_id: &str, body: String) -> bool {
        match self {
            Self::Http(remote) => remote.flush_on_leave(user_id, body),
            Self::Custom(_) => false,
        }
    }
}

impl Remote for WebRemote {
    fn takes_any_limit(&self) -> bool {
        matches!(self, Self::Http(_))
    }

    fn learn_clock(&self, now: u64) {
        if let Self::Http(remote) = self {
            remote.learn_clock(now);
        }
    }

    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled> {
        match self {
            Self::Http(remote) => remote.pull(user_id, request).await,
            Self::Custom(remote) => remote.pull(user_id, request).await,
        }
    }

    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        match self {
            Self::Http(remote) => remote.push(user_id, request).await,
            Self::Custom(remote) => remote.push(user_id, request).await,
        }
    }

    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Http(remote) => remote.metadata(user_id).await,
            Self::Custom(remote) => remote.metadata(user_id).await,
        }
    }

    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()> {
        match self {
            Self::Http(remote) => remote.put_metadata(user_id, metadata).await,
            Self::Custom(remote) => remote.put_metadata(user_id, metadata).await,
        }
    }

    async fn clear_metadata(&self, user_id: &str) -> Result<()> {
        match self {
            Self::Http(remote) => remote.clear_metadata(user_id).await,
            Self::Custom(remote) => remote.clear_metadata(user_id).await,
        }
    }

    async fn health(&self) -> Result<bool> {
        match self {
            Self::Http(remote) => remote.health().await,
            Self::Custom(remote) => remote.health().await,
        }
    }

    async fn hints(&self, user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints> {
        match self {
            Self::Http(remote) => remote.hints(user_id, hint).await,
            Self::Custom(remote) => remote.hints(user_id, hint).await,
        }
    }
}
