//! The remote port: the app's backend, whatever carries the protocol to it.
//!
//! Replies come back as the bytes that arrived; `protocol` reads and checks them. Dropping a
//! future must stop the request that it stands for.

use crate::model::error::Result;
use crate::model::protocol::{DeviceMetadata, PullRequest, PushRequest};

/// A backend. The user is the token's, or the app's adapter's; `user_id` says for whom it is asked,
/// so that it can refuse a request which carries another user's token.
#[allow(async_fn_in_trait)] // One thread: futures need not be Send.
pub trait Remote {
    /// One page of changes, as the bytes of a [`crate::model::protocol::PullPage`].
    ///
    /// # Errors
    /// A code and a verdict: `unauthorized`, `forbidden`, `network`, `timeout`, `rateLimited`,
    /// `serverError`, `protocol`, `clientOutdated`, `userMismatch`; a cursor that the remote does
    /// not know any more is [`Pulled::CursorGone`], not an error.
    async fn pull(&self, user_id: &str, request: &PullRequest) -> Result<Pulled>;

    /// Whether a page may be asked for with more rows than the one before. Not so where an app's
    /// own code asks a backend that may give fewer than that, and take them for the last.
    fn takes_any_limit(&self) -> bool {
        false
    }

    /// Verdicts on operations, as the bytes of a [`crate::model::protocol::PushReply`].
    ///
    /// # Errors
    /// As for `pull`; a batch that is too large is [`Pushed::TooLarge`], not an error.
    async fn push(&self, user_id: &str, request: &PushRequest<'_>) -> Result<Pushed>;

    /// Every device's metadata, as the bytes of a [`crate::model::protocol::MetadataReply`]; none
    /// where the remote keeps none.
    ///
    /// # Errors
    /// As for `pull`.
    async fn metadata(&self, user_id: &str) -> Result<Option<Vec<u8>>>;

    /// Stores this device's metadata. A remote that keeps none answers without an error.
    ///
    /// # Errors
    /// As for `pull`.
    async fn put_metadata(&self, user_id: &str, metadata: &DeviceMetadata) -> Result<()>;

    /// Forgets every device's metadata of this user.
    ///
    /// # Errors
    /// As for `pull`.
    async fn clear_metadata(&self, user_id: &str) -> Result<()>;

    /// Whether the remote can be reached and is well.
    ///
    /// # Errors
    /// As for `pull`.
    async fn health(&self) -> Result<bool>;

    /// Listens for word that there is something to pull, until the stream ends or fails; dropping
    /// the future closes it. Calls `hint` once as soon as it listens, since something may have been
    /// missed before, and then for each word; several changes may be one.
    ///
    /// # Errors
    /// As for `pull`; a stream that has fallen silent is `network`.
    async fn hints(&self, user_id: &str, hint: &mut dyn FnMut()) -> Result<Hints>;
}

/// How listening for hints came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hints {
    /// The stream ended in good order: listen again.
    Ended,
    /// There is no stream, or something on the way holds it back: a pull that waits may do instead.
    NoStream,
    /// This remote has no hints to give, nor pulls that wait.
    Never,
}

/// An answer to a pull.
#[derive(Debug)]
pub enum Pulled {
    /// The page's bytes.
    Page(Vec<u8>),
    /// 410: the cursor is too old, of another epoch, or of another scope.
    CursorGone,
}

/// An answer to a push.
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
