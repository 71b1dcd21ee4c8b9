//! What an instance does, for tools that show it: cycles with their phases and requests, and commits,
//! each as the JSON text of an `Activity`. While nobody reads, it costs a look at an empty list.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};

use crate::model::error::{Code, Error};
use crate::schedule::Moment;
use crate::util::cell::RefCell;
use crate::util::collections::vec_map::VecMap;
use crate::util::json::write::{push_field, put, put_text};
use crate::util::queue::Queue;

/// The most activities that are queued for a reader.
const MAX_WAITING: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActivityKind {
    Cycle,
    Phase,
    /// A request of a cycle.
    Request,
    /// A request outside of cycles.
    LoneRequest,
    /// A commit of a cycle, if one runs.
    Commit,
    /// A commit outside of cycles.
    LoneCommit,
}

impl ActivityKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Cycle => "cycle",
            Self::Phase => "phase",
            Self::Request | Self::LoneRequest => "request",
            Self::Commit | Self::LoneCommit => "commit",
        }
    }

    /// Returns true if other work is part of it.
    const fn has_parts(self) -> bool {
        matches!(self, Self::Cycle | Self::Phase)
    }
}

/// The activities of one instance, and their readers.
#[derive(Default)]
pub(crate) struct ActivityHub {
    readers: RefCell<Vec<Weak<ActivityReader>>>,
    /// Set by the first reader.
    clock: RefCell<Option<Rc<dyn Fn() -> Moment>>>,
    /// The cycle that runs for each user, or its phase.
    running: RefCell<VecMap<u64>>,
    last_id: Cell<u64>,
    closed: Cell<bool>,
}

impl fmt::Debug for ActivityHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivityHub")
    }
}

/// One subscription.
#[derive(Debug, Default)]
pub struct ActivityReader {
    user_id: Option<String>,
    queue: Queue<Rc<str>>,
    dropped: Cell<u64>,
}

impl ActivityReader {
    /// Returns the next activity; `None` once the feed has ended.
    pub async fn next(&self) -> Option<String> {
        let text = self.queue.next().await?;
        let mut text = text.to_string();
        let dropped = self.dropped.take();
        if dropped > 0 && text.pop().is_some() {
            put(&mut text, "dropped", &dropped);
            text.push('}');
        }
        Some(text)
    }

    /// Takes the activities that are queued.
    pub(super) fn take_all(&self) -> VecDeque<Rc<str>> {
        self.queue.take_all()
    }

    /// Ends this subscription: a pending `next` returns `None`.
    pub fn end(&self) {
        self.queue.cut();
    }

    fn offer(&self, text: &Rc<str>) {
        self.queue.offer(|queue| {
            if queue.len() >= MAX_WAITING {
                queue.pop_front();
                self.dropped.set(self.dropped.get().saturating_add(1));
            }
            queue.push_back(Rc::clone(text));
        });
    }
}

impl ActivityHub {
    /// Subscribes a reader to what happens from now on, for one user or for all.
    pub(super) fn subscribe(
        &self,
        user_id: Option<String>,
        clock: Rc<dyn Fn() -> Moment>,
    ) -> Rc<ActivityReader> {
        let reader = Rc::new(ActivityReader {
            user_id,
            ..ActivityReader::default()
        });
        if self.closed.get() {
            reader.queue.end();
        }
        self.clock.replace(Some(clock));
        self.readers.borrow_mut().push(Rc::downgrade(&reader));
        reader
    }

    /// Ends the feed for every reader, after the activities that are still queued.
    pub(super) fn close(&self) {
        self.closed.set(true);
        for reader in self.readers.take().iter().filter_map(Weak::upgrade) {
            reader.queue.end();
        }
    }

    /// Returns false if nobody reads.
    pub(crate) fn is_watched(&self) -> bool {
        !self.readers.borrow().is_empty()
    }

    /// Returns the time; `None` if nobody reads.
    pub(super) fn now(&self) -> Option<Moment> {
        if !self.is_watched() {
            return None;
        }
        let mut readers = self.readers.borrow_mut();
        readers.retain(|reader| {
            reader
                .upgrade()
                .is_some_and(|reader| !reader.queue.has_ended())
        });
        if readers.is_empty() {
            return None;
        }
        drop(readers);
        let clock = self.clock.borrow().clone()?;
        Some(clock())
    }

    /// Tells that a piece of work begins; `None` if nobody reads. `fill` writes what is known of it.
    pub(crate) fn begin(
        self: &Rc<Self>,
        kind: ActivityKind,
        name: &str,
        user_id: &str,
        fill: &dyn Fn(&mut String),
    ) -> Option<Span> {
        let mut span = self.span(self.now()?, kind, name, user_id);
        fill(&mut span.text);
        let mut text = span.text.clone();
        put_text(&mut text, "outcome", "running");
        self.tell(user_id, text);
        Some(span)
    }

    /// Tells that a request outside of cycles begins; `None` if nobody reads.
    pub(super) fn lone(self: &Rc<Self>, name: &str, user_id: &str) -> Option<Span> {
        self.begin(ActivityKind::LoneRequest, name, user_id, &|_| {})
    }

    /// Returns a piece of work without emitting its beginning.
    pub(super) fn span(
        self: &Rc<Self>,
        began: Moment,
        kind: ActivityKind,
        name: &str,
        user_id: &str,
    ) -> Span {
        let id = self.last_id.get().saturating_add(1);
        self.last_id.set(id);
        let mut running = self.running.borrow_mut();
        let parent = match kind {
            ActivityKind::Cycle | ActivityKind::LoneRequest | ActivityKind::LoneCommit => None,
            ActivityKind::Phase | ActivityKind::Request | ActivityKind::Commit => {
                running.get(user_id).copied()
            }
        };
        let mut text = String::from("{");
        put(&mut text, "id", &id);
        put_text(&mut text, "kind", kind.name());
        if let Some(parent) = parent {
            put(&mut text, "parent", &parent);
        }
        put_text(&mut text, "userId", user_id);
        put_text(&mut text, "name", name);
        put_text(
            &mut text,
            "startedAt",
            &crate::util::time::format(began.wall),
        );
        put(&mut text, "startMs", &began.elapsed);
        if kind.has_parts() {
            running.insert(user_id, id);
        }
        drop(running);
        Span {
            hub: Rc::clone(self),
            user_id: user_id.to_owned(),
            began: began.elapsed,
            text,
            around: kind.has_parts().then_some(parent),
            outcome: "cancelled",
        }
    }

    fn tell(&self, user_id: &str, mut text: String) {
        text.push('}');
        let text = Rc::from(text);
        for reader in self.readers.borrow().iter().filter_map(Weak::upgrade) {
            if reader.user_id.as_deref().is_none_or(|only| only == user_id) {
                reader.offer(&text);
            }
        }
    }
}

/// A piece of work that has begun. Dropping it emits its end: without [`Self::end`], it was
/// cancelled.
#[derive(Debug)]
pub(crate) struct Span {
    hub: Rc<ActivityHub>,
    user_id: String,
    /// By the clock that never goes back.
    began: u64,
    /// The activity so far, without its end.
    text: String,
    /// Of a cycle or a phase: what it is part of.
    around: Option<Option<u64>>,
    outcome: &'static str,
}

impl Span {
    /// Returns the text, to add members.
    pub(crate) const fn note(&mut self) -> &mut String {
        &mut self.text
    }

    /// Tells that the work has ended.
    pub(crate) fn end(mut self, error: Option<&Error>) {
        self.outcome = match error {
            None => "ok",
            Some(error) => {
                self.blame(error.code(), error.status());
                match error.code() {
                    Code::Cancelled | Code::Closed => "cancelled",
                    _ => "failed",
                }
            }
        };
    }

    /// Tells that the work has ended with a failure that did not stop it.
    pub(crate) fn end_with(mut self, code: Code, status: Option<u16>) {
        self.blame(code, status);
        self.outcome = "failed";
    }

    fn blame(&mut self, code: Code, status: Option<u16>) {
        let mut failure = String::from("{");
        put(&mut failure, "code", &code);
        put(&mut failure, "retryable", &code.is_retryable());
        if let Some(status) = status {
            put(&mut failure, "status", &status);
        }
        failure.push('}');
        push_field(&mut self.text, "error", &failure);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(around) = self.around {
            let mut running = self.hub.running.borrow_mut();
            match around {
                Some(around) => running.insert(&self.user_id, around),
                None => running.remove(&self.user_id),
            };
        }
        let Some(now) = self.hub.now() else {
            return;
        };
        let mut text = std::mem::take(&mut self.text);
        put(
            &mut text,
            "durationMs",
            &now.elapsed.saturating_sub(self.began),
        );
        put_text(&mut text, "outcome", self.outcome);
        self.hub.tell(&self.user_id, text);
    }
}

/// Emits the end of a piece of work, if its beginning was emitted.
pub(crate) fn end(span: Option<Span>, error: Option<&Error>) {
    if let Some(span) = span {
        span.end(error);
    }
}
