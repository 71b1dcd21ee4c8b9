//! The stream of hints, read with `fetch`: an EventSource cannot send headers.

use crate::model::error::{Code, Error, Result};
use crate::ports::remote::Hints;
use crate::util::json::scan::parse;
use crate::util::sse::EventParser;
use crate::web::http::exchange::{Exchange, bytes_of};
use crate::web::http::failure::network;
use crate::web::http::{HttpRemote, WholeResponse};
use crate::web::interop::await_value;

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
        let stream = self.http.begin();
        let connected = await_value(&stream.0.listen(&url)).await;
        if let Err(error) = connected.map_err(|thrown| network(&thrown, &url)) {
            // A proxy holds back even the head of the response.
            return match error.code() {
                Code::Timeout => Ok(Hints::NoStream),
                _ => Err(error),
            };
        }
        match stream.0.status() {
            200..=299 => {}
            404 | 405 | 501 => return Ok(Hints::NoStream),
            _ => {
                let body = await_value(&stream.0.body(&url))
                    .await
                    .map_err(|thrown| network(&thrown, &url))?;
                return Err(self.refusal(&WholeResponse::of(&stream, &body), &url));
            }
        }
        let is_stream = stream
            .0
            .header("Content-Type")
            .is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"));
        if is_stream && stream.0.streams() {
            self.read_stream(&stream.0, &url, hint).await
        } else {
            Ok(Hints::NoStream)
        }
    }

    async fn read_stream(
        &self,
        stream: &Exchange,
        url: &str,
        hint: &mut dyn FnMut(),
    ) -> Result<Hints> {
        let mut events = EventParser::default();
        let mut begun = false;
        loop {
            let patience = if begun {
                self.patience.later
            } else {
                self.patience.first
            };
            let chunk = await_value(&stream.chunk(patience))
                .await
                .map_err(|thrown| network(&thrown, url))?;
            if chunk.is_undefined() {
                return if begun {
                    Err(silent(url, patience))
                } else {
                    Ok(Hints::NoStream)
                };
            }
            if chunk.is_null() {
                return Ok(Hints::Ended);
            }
            let (mut is_hint, mut bye) = (!std::mem::replace(&mut begun, true), None);
            let fed = events.feed(&bytes_of(&chunk), &mut |name, data| match name {
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
                    await_value(&stream.renew())
                        .await
                        .map_err(|thrown| network(&thrown, url))?;
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
