//! The remote port: the app's backend.
//!
//! Replies are the bytes that arrived; `protocol` parses and checks them. Dropping a future must
//! abort its request.

use crate::model::error::Result;
use crate::model::protocol::{DeviceMetadata, PullRequest, PushRequest};

/// A backend. The token decides whose data a request is about; `user_id` says whose it should be,
/// so that a request with another user's token can be refused.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Remote {
    /// Returns one page of changes, as the bytes of a [`crate::model::protocol::PullPage`].
    ///
    /// # Errors
    /// A code and a verdict: `unauthorized`, `forbidden`, `network`, `timeout`, `rateLimited`,
    /// `serverError`, `protocol`, `clientOutdated`, `userMismatch`; a cursor that the remote does
    /// not know any more is [`Pulled::CursorGone`], not an error.
    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled>;

    /// Returns true if a page may have a larger limit than the previous one. False for an adapter:
    /// its backend may return fewer rows than the limit, and take that page for the last.
    fn takes_any_limit(&self) -> bool {
        false
    }

    /// Returns the address of the server, which stands for it if its replies have no `serverId`;
    /// `None` for an adapter.
    fn address(&self) -> Option<String> {
        None
    }

    /// Returns the `serverId` that an adapter gives its server.
    fn server_id(&self) -> Option<String> {
        None
    }

    /// Returns verdicts on operations, as the bytes of a [`crate::model::protocol::PushReply`].
    ///
    /// # Errors
    /// As for `pull`; a batch that is too large is [`Pushed::TooLarge`], not an error.
    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed>;

    /// Returns every device's metadata, as the bytes of a
    /// [`crate::model::protocol::MetadataReply`]; `None` if the remote keeps none.
    ///
    /// # Errors
    /// As for `pull`.
    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>>;

    /// As [`Self::metadata`], with digests of the rows as of now. A remote whose metadata always
    /// has them needs nothing else.
    ///
    /// # Errors
    /// As for [`Self::metadata`].
    async fn compared_metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>> {
        self.metadata(user_id).await
    }

    /// Stores this device's metadata. Succeeds if the remote keeps none.
    ///
    /// # Errors
    /// As for `pull`.
    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()>;

    /// Clears every device's metadata of this user.
    ///
    /// # Errors
    /// As for `pull`.
    async fn clear_metadata(&self, user_id: &str) -> Result<()>;

    /// Returns true if the remote can be reached and is well.
    ///
    /// # Errors
    /// As for `pull`.
    async fn health(&self) -> Result<bool>;

    /// Learns the remote's time from a reply, in milliseconds since 1970: dates that it sends later
    /// are judged by it.
    fn learn_clock(&self, _now: u64) {}

    /// Listens for hints that there is something to pull, until the stream ends or fails; dropping
    /// the future closes it. Calls `hint` once as soon as it listens, since earlier ones may have
    /// been missed, and then for each hint; one hint may stand for several changes.
    ///
    /// # Errors
    /// As for `pull`; a stream that has fallen silent is `network`.
    async fn hints(&self, user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints>;
}

/// How listening to hints ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// The stream ended in good order: listen again.
    Ended,
    /// There is no stream, or a proxy buffers it: a long-polling pull may work instead.
    NoStream,
    /// This remote has neither hints nor long-polling pulls.
    Never,
}

/// The response to a pull.
#[derive(Debug)]
pub enum Pulled {
    /// The page's bytes.
    Page(Vec<u8>),
    /// 410: the cursor is too old, of another epoch, or of another scope.
    CursorGone,
}

/// The response to a push.
#[derive(Debug)]
pub enum Pushed {
    /// The reply's bytes, and how many bytes the request had.
    Reply {
        /// The reply.
        bytes: Vec<u8>,
        /// The size of the request's body.
        sent: u64,
    },
    /// 413: send fewer at once.
    TooLarge,
}
