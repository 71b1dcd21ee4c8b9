//! The remote that the config names: HTTP or the app's adapter.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::model::error::Result;
use crate::model::protocol::{DeviceMetadata, PullRequest, PushRequest};
use crate::ports::remote::{Hints, Pulled, Pushed, Remote};
use crate::util::cell::RefCell;
use crate::web::adapter::CustomRemote;
use crate::web::http::HttpRemote;
use crate::web::http::exchange::is_http;

/// Dispatches the port to one of the two remotes, which a newer config may replace: a request that
/// has begun ends with the remote that it began with.
pub struct WebRemote(RefCell<Rc<Kind>>);

enum Kind {
    /// The protocol over `fetch`.
    Http(HttpRemote),
    /// The app's own adapter.
    Custom(CustomRemote),
}

impl WebRemote {
    /// Takes what `config.js` has read of `DatumConfig.remote`.
    ///
    /// # Errors
    /// None: it was checked.
    pub fn read(value: &JsValue) -> Result<Self> {
        let kind = if is_http(value) {
            Kind::Http(HttpRemote::new(value)?)
        } else {
            Kind::Custom(CustomRemote::new(value)?)
        };
        Ok(Self(RefCell::new(Rc::new(kind))))
    }

    fn current(&self) -> Rc<Kind> {
        Rc::clone(&self.0.borrow())
    }

    /// Sends everything from now on by another remote.
    pub fn replace(&self, other: &Self) {
        self.0.replace(other.current());
    }

    /// Whether [`Self::flush_on_leave`] would send for this user.
    #[must_use]
    pub fn can_flush(&self, user_id: &str) -> bool {
        matches!(&*self.current(), Kind::Http(remote) if remote.can_flush(user_id))
    }

    /// [`HttpRemote::flush_on_leave`]; an adapter has no request that outlives its page.
    pub fn flush_on_leave(&self, user_id: &str, body: String) -> bool {
        match &*self.current() {
            Kind::Http(remote) => remote.flush_on_leave(user_id, body),
            Kind::Custom(_) => false,
        }
    }
}

impl Remote for WebRemote {
    fn takes_any_limit(&self) -> bool {
        matches!(&*self.current(), Kind::Http(_))
    }

    fn learn_clock(&self, now: u64) {
        if let Kind::Http(remote) = &*self.current() {
            remote.learn_clock(now);
        }
    }

    fn address(&self) -> Option<String> {
        match &*self.current() {
            Kind::Http(remote) => Some(remote.address().to_owned()),
            Kind::Custom(_) => None,
        }
    }

    fn server_id(&self) -> Option<String> {
        match &*self.current() {
            Kind::Http(_) => None,
            Kind::Custom(remote) => remote.server_id(),
        }
    }

    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled> {
        match &*self.current() {
            Kind::Http(remote) => remote.pull(user_id, request).await,
            Kind::Custom(remote) => remote.pull(user_id, request).await,
        }
    }

    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed> {
        match &*self.current() {
            Kind::Http(remote) => remote.push(user_id, request).await,
            Kind::Custom(remote) => remote.push(user_id, request).await,
        }
    }

    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        match &*self.current() {
            Kind::Http(remote) => remote.metadata(user_id).await,
            Kind::Custom(remote) => remote.metadata(user_id).await,
        }
    }

    async fn compared_metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        match &*self.current() {
            Kind::Http(remote) => remote.compared_metadata(user_id).await,
            Kind::Custom(remote) => remote.compared_metadata(user_id).await,
        }
    }

    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()> {
        match &*self.current() {
            Kind::Http(remote) => remote.put_metadata(user_id, metadata).await,
            Kind::Custom(remote) => remote.put_metadata(user_id, metadata).await,
        }
    }

    async fn clear_metadata(&self, user_id: &str) -> Result<()> {
        match &*self.current() {
            Kind::Http(remote) => remote.clear_metadata(user_id).await,
            Kind::Custom(remote) => remote.clear_metadata(user_id).await,
        }
    }

    async fn health(&self) -> Result<bool> {
        match &*self.current() {
            Kind::Http(remote) => remote.health().await,
            Kind::Custom(remote) => remote.health().await,
        }
    }

    async fn hints(&self, user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints> {
        match &*self.current() {
            Kind::Http(remote) => remote.hints(user_id, hint).await,
            Kind::Custom(remote) => remote.hints(user_id, hint).await,
        }
    }
}
