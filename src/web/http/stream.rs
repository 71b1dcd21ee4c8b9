//! The stream of hints, read with `fetch`: an EventSource cannot send headers.

use gloo_net::http::Method;

use crate::model::error::{Code, Error, Result};
use crate::ports::remote::Hints;
use crate::util::json::scan::parse;
use crate::util::sse::EventParser;
use crate::web::http::HttpRemote;
use crate::web::http::exchange::{ResponseHead, open};
use crate::web::http::failure::network;
use crate::web::http::headers::{List, Sent};
use crate::web::timer::within;

/// How long a stream may be silent, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Before its first byte. The remote sends one at once: without it, a proxy buffers the stream.
    pub first: u32,
    /// After it. The remote sends a comment every 15 seconds; this allows for three lost ones.
    pub later: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: 10_000,
            later: 45_000,
        }
    }
}

impl HttpRemote {
    /// Sets the patience, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Reads the stream until it ends.
    pub(super) async fn listen(&self, hint: &mut dyn FnMut()) -> Result<Hints> {
        let url = self.url("/stream");
        let mut sent = self.headers.current(self.timeout_ms).await?;
        let Some(mut head) = self.connect(&url, &sent.list).await? else {
            return Ok(Hints::NoStream);
        };
        if head.status == 401
            && let Some(fresh) = self.headers.refreshed(&sent, self.timeout_ms).await?
        {
            sent = fresh;
            let Some(again) = self.connect(&url, &sent.list).await? else {
                return Ok(Hints::NoStream);
            };
            head = again;
        }
        match head.status {
            200..=299 => {}
            404 | 405 | 501 => return Ok(Hints::NoStream),
            _ => {
                let response = head.read(&url, self.timeout_ms).await?;
                return Err(self.refusal(&response, &url));
            }
        }
        let is_stream = head
            .header("Content-Type")
            .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        if is_stream {
            self.read_stream(&head, &url, &sent, hint).await
        } else {
            Ok(Hints::NoStream)
        }
    }

    /// Connects to the stream; `None` if a proxy holds back even its head.
    async fn connect(&self, url: &str, headers: &List) -> Result<Option<ResponseHead>> {
        self.count(0);
        let outgoing = self.outgoing(&Method::GET, url, None, headers, "text/event-stream");
        match open(&outgoing, self.fetch.as_ref(), self.timeout_ms).await {
            Ok(head) => Ok(Some(head)),
            Err(error) if error.code() == Code::Timeout => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_stream(
        &self,
        head: &ResponseHead,
        url: &str,
        sent: &Sent,
        hint: &mut dyn FnMut(),
    ) -> Result<Hints> {
        let Some(chunks) = head.chunks() else {
            return Ok(Hints::NoStream);
        };
        let mut events = EventParser::default();
        let mut begun = false;
        loop {
            let patience = if begun {
                self.patience.later
            } else {
                self.patience.first
            };
            let Some(chunk) = within(patience, chunks.next()).await else {
                return if begun {
                    Err(silent(url, patience))
                } else {
                    Ok(Hints::NoStream)
                };
            };
            let Some(chunk) = chunk.map_err(|thrown| network(&thrown, url))? else {
                return Ok(Hints::Ended);
            };
            let mut stats = self.stats.get();
            stats.received = stats.received.saturating_add(chunk.len() as u64);
            self.stats.set(stats);
            let (mut is_hint, mut bye) = (!std::mem::replace(&mut begun, true), None);
            let fed = events.feed(&chunk, &mut |name, data| match name {
                "change" => is_hint = true,
                "bye" => {
                    bye = Some(
                        parse(data.as_bytes())
                            .ok()
                            .and_then(|data| data.get("reason")?.as_str().map(str::to_owned)),
                    )
                }
                _ => {}
            });
            fed.map_err(|error| {
                Error::new(
                    Code::Protocol,
                    "The remote's stream has a line or an event that is far too long for a hint.",
                )
                .caused_by(error)
            })?;
            if is_hint {
                hint();
            }
            if let Some(reason) = bye {
                if reason.as_deref() == Some("tokenExpired") {
                    self.headers.refreshed(sent, self.timeout_ms).await?;
                }
                return Ok(Hints::Ended);
            }
        }
    }
}

fn silent(url: &str, ms: u32) -> Error {
    Error::new(
        Code::Network,
        format!("The stream {url} has been silent for {ms} ms."),
    )
}
