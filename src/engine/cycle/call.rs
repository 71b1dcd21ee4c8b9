//! A request of a cycle, as the activity feed shows it.

use std::cell::Cell;
use std::fmt;

use crate::engine::activity::Span;
use crate::model::error::Error;
use crate::ports::remote::{Pulled, Pushed};
use crate::util::json::write::{put, put_text};

/// How much a request is for: a member's name, and its value at the next attempt.
type Size<'a> = (&'static str, &'a dyn Fn() -> usize);

pub(crate) struct Call<'a> {
    pub(super) name: &'static str,
    size: Option<Size<'a>>,
    traffic: Cell<Traffic>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            size: None,
            traffic: Cell::default(),
        }
    }

    pub(crate) fn of(
        name: &'static str,
        counts: &'static str,
        size: &'a dyn Fn() -> usize,
    ) -> Self {
        Self {
            size: Some((counts, size)),
            ..Self::new(name)
        }
    }

    pub(super) fn put_size(&self, out: &mut String) {
        if let Some((counts, size)) = self.size {
            put(out, counts, &size());
        }
    }

    pub(super) fn answered(&self, answer: &impl Answer) {
        self.traffic.set(answer.traffic());
    }

    /// Tells that an attempt has ended, and how long the next one waits.
    pub(super) fn end(&self, span: Option<Span>, error: Option<&Error>, wait: Option<u64>) {
        let Some(mut span) = span else {
            return;
        };
        let traffic = self.traffic.take();
        let out = span.note();
        for (name, value) in [
            ("bytesSent", traffic.sent),
            ("bytesReceived", traffic.received),
            ("retryInMs", wait),
        ] {
            if let Some(value) = value {
                put(out, name, &value);
            }
        }
        if let Some(answer) = traffic.answer {
            put_text(out, "answer", answer);
        }
        span.end(error);
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What an answer says of its request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    sent: Option<u64>,
    received: Option<u64>,
    /// An answer without a result.
    answer: Option<&'static str>,
}

impl Traffic {
    fn received(bytes: &[u8]) -> Self {
        Self {
            received: Some(bytes.len() as u64),
            ..Self::default()
        }
    }

    fn without_result(answer: &'static str) -> Self {
        Self {
            answer: Some(answer),
            ..Self::default()
        }
    }
}

/// The answer to a request.
pub(crate) trait Answer {
    fn traffic(&self) -> Traffic;
}

impl Answer for () {
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

impl Answer for Option<Vec<u8>> {
    fn traffic(&self) -> Traffic {
        self.as_deref().map(Traffic::received).unwrap_or_default()
    }
}

impl Answer for (Pulled, usize) {
    fn traffic(&self) -> Traffic {
        match &self.0 {
            Pulled::Page(bytes) => Traffic::received(bytes),
            Pulled::CursorGone => Traffic::without_result("cursorGone"),
        }
    }
}

impl Answer for Option<Pushed> {
    fn traffic(&self) -> Traffic {
        match self {
            Some(Pushed::Reply { bytes, sent }) => Traffic {
                sent: Some(*sent),
                ..Traffic::received(bytes)
            },
            Some(Pushed::TooLarge) => Traffic::without_result("tooLarge"),
            None => Traffic::default(),
        }
    }
}
