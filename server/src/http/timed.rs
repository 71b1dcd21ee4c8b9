//! A connection's stream with an end to every wait: for the head of a request, for the next request,
//! and for a client that does not read its answer. How long a body may take is in `body`.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::connections::{Direction, Phase, Place};

/// How long the head of a request may take, from its first byte on, and a first byte to come.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may take to read [`ENOUGH`] bytes, once it has fallen behind.
const WRITE: Duration = Duration::from_secs(30);
/// See [`WRITE`].
const ENOUGH: usize = 16 << 10;

/// A stream that fails with [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: TcpStream,
    place: Place,
    read: Timer,
    write: Timer,
    /// Since when the client is behind, and how many bytes it has taken since.
    behind: Option<(Instant, usize)>,
}

impl TimedStream {
    pub(super) fn new(stream: TcpStream, place: Place) -> Self {
        Self {
            stream,
            place,
            read: Timer::default(),
            write: Timer::default(),
            behind: None,
        }
    }

    /// Notes what a write led to, and fails if the client takes too long.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        offered: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(taken)) => {
                if let Some((_, bytes)) = &mut self.behind {
                    *bytes = bytes.saturating_add(*taken);
                    if *taken == offered || *bytes >= ENOUGH {
                        self.behind = None;
                        self.place.connection.set_stalled(None);
                    }
                }
                result
            }
            Poll::Ready(Err(_)) => result,
            Poll::Pending => {
                if self.place.connection.ends(Direction::Write, cx.waker()) {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                let (since, _) = *self.behind.get_or_insert_with(|| {
                    let now = Instant::now();
                    self.place.connection.set_stalled(Some(now));
                    (now, 0)
                });
                self.write.poll(cx, since, WRITE).map(Err)
            }
        }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let connection = &this.place.connection;
        if connection.ends(Direction::Read, cx.waker()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        if result.is_ready() {
            if buf.filled().len() > before
                && let Phase::Opened(_) | Phase::Idle(_) = connection.phase()
            {
                connection.set_phase(Phase::Head(Instant::now()));
            }
            return result;
        }
        match connection.phase() {
            Phase::Opened(since) | Phase::Head(since) => this.read.poll(cx, since, HEAD).map(Err),
            Phase::Idle(since) => this.read.poll(cx, since, IDLE).map(Err),
            Phase::Busy => Poll::Pending,
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, buf.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = bufs
            .iter()
            .fold(0_usize, |sum, buf| sum.saturating_add(buf.len()));
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, offered, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A timer that is only set while somebody waits.
#[derive(Debug, Default)]
struct Timer {
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Returns the error once `wait` has passed since `since`.
    fn poll(&mut self, cx: &mut Context<'_>, since: Instant, wait: Duration) -> Poll<io::Error> {
        let until = since.checked_add(wait).unwrap_or(since);
        let (set, sleep) = self
            .sleep
            .get_or_insert_with(|| (until, Box::pin(tokio::time::sleep_until(until.into()))));
        if *set != until {
            *set = until;
            sleep.as_mut().reset(until.into());
        }
        sleep
            .as_mut()
            .poll(cx)
            .map(|()| io::ErrorKind::TimedOut.into())
    }
}
