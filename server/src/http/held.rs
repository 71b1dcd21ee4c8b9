//! What an answer holds until its last byte is on the way: the connection's turn and the user's
//! place.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::Response;

use super::connections::{Connection, Peer, Phase};

/// A body, and what is dropped with it.
struct Held<T> {
    body: Body,
    _held: T,
}

impl<T: Send + Unpin + 'static> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Keeps `held` until the answer is sent or given up.
pub(super) fn hold<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    response.map(|body| Body::new(Held { body, _held: held }))
}

/// Says that a request is being answered, until this is dropped.
struct Answering(Arc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Idle(Instant::now()));
    }
}

/// The outermost layer: a connection is needed while its request is answered.
pub(super) async fn occupy(request: Request, next: Next) -> Response {
    let Some(connection) = connection(request.extensions()) else {
        return next.run(request).await;
    };
    connection.set_phase(Phase::Busy);
    let answering = Answering(connection);
    hold(next.run(request).await, answering)
}

/// Returns the connection that a request came on; `None` without a socket.
pub(super) fn connection(extensions: &Extensions) -> Option<Arc<Connection>> {
    let ConnectInfo(Peer(connection)) = extensions.get::<ConnectInfo<Peer>>()?;
    connection.clone()
}
