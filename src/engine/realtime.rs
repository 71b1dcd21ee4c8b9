//! Listens for the remote's hints that there is something to pull: one stream for the current user,
//! reconnected as long as it is wanted. If there is no stream, or a proxy buffers it, uses long
//! polling. A polled page is never applied; it only causes a cycle.

use std::cell::Cell;
use std::pin::pin;

use futures_util::future::select;

use crate::engine::activity;
use crate::engine::auto_sync::Signal;
use crate::engine::{Backing, RealtimeLoop, User};
use crate::model::config::{Jitter, Retry};
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PullRequest, parse_page};
use crate::ports::host::Host;
use crate::ports::remote::{Hints, Pulled, Remote};
use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;

/// How long a poll waits at the remote, in milliseconds.
const WAIT_MS: u64 = 25_000;

/// An empty response within this time means that the remote did not wait, in milliseconds.
const AT_ONCE_MS: u64 = 1000;

/// After this many of them, the remote counts as one without long polling.
const MAX_AT_ONCE: u32 = 3;

/// After a stream of at least this duration, the next delay is short again, in milliseconds.
const GOOD_MS: u64 = 60_000;

/// Delays between connections. They may be long, because automatic cycles continue without hints.
const DELAYS: Retry = Retry {
    max_attempts: u32::MAX,
    initial: 1000,
    factor: 2.0,
    max: 300_000,
    jitter: Jitter::Full,
};

/// Decides whether, and for which user, to listen for hints. Knows nothing of the engine, which
/// sets the current user and whether this tab is visible and leads; [`RealtimeLoop::run_with`]
/// follows.
#[derive(Debug, Default)]
pub struct Realtime {
    user: RefCell<Option<String>>,
    active: Cell<bool>,
    closed: Cell<bool>,
    /// Listening is useless until somebody signs in.
    given_up: Cell<bool>,
    problem: RefCell<Option<Error>>,
    /// The remote has answered the current connection.
    answered: Cell<bool>,
    /// Streams are buffered on the way, but long polling works.
    polls: Cell<bool>,
    changed: Notify,
}

impl Realtime {
    /// Sets the user to listen for; `None` after a sign-out. Called after every sign-in, even of
    /// the same user, so that a remote that rejected the previous token is tried again.
    pub fn set_user(&self, user_id: Option<&str>) {
        *self.user.borrow_mut() = user_id.map(str::to_owned);
        self.given_up.set(false);
        *self.problem.borrow_mut() = None;
        self.changed.notify_one();
    }

    /// Opens or closes the stream.
    pub fn set_active(&self, active: bool) {
        if self.active.replace(active) != active {
            self.changed.notify_one();
        }
    }

    /// Closes the stream for good.
    pub fn close(&self) {
        self.closed.set(true);
        self.changed.notify_one();
    }

    /// Returns the reason why there are no hints now, if so.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.problem.borrow().clone()
    }

    /// Returns the user to listen for now, if any.
    fn wanted(&self) -> Option<String> {
        let wanted = self.active.get() && !self.given_up.get();
        if wanted {
            self.user.borrow().clone()
        } else {
            None
        }
    }

    /// Records whether the connection works.
    fn set_problem(&self, problem: Option<Error>) {
        self.answered.set(problem.is_none());
        *self.problem.borrow_mut() = problem;
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> RealtimeLoop<'_, B, R, H> {
    /// Listens for the current user while their automatic cycles run in this tab, until the
    /// instance is closed. Returns immediately if the config does not ask for hints.
    pub async fn run(self) {
        if self.engine.config.realtime {
            self.run_with(&self.engine.hint_state, &|user_id| {
                self.engine.auto_sync().signal(Signal::Hint(user_id))
            })
            .await;
        }
    }

    /// Listens as `realtime` directs until it is closed; calls `hint` with the user who has
    /// something to pull. Only one may run for each `realtime`.
    pub async fn run_with(self, realtime: &Realtime, hint: &dyn Fn(&str)) {
        while !realtime.closed.get() {
            let changed = pin!(realtime.changed.notified());
            // The change is already visible here.
            if changed.try_notified() {
                continue;
            }
            match realtime.wanted() {
                None => changed.await,
                // Any change means that another stream is wanted, or none.
                Some(user) => {
                    let _ = select(pin!(self.keep_listening(&user, realtime, hint)), changed).await;
                }
            }
        }
    }

    /// Listens for one user, and reconnects until trying again is useless.
    async fn keep_listening(self, user_id: &str, realtime: &Realtime, hint: &dyn Fn(&str)) {
        let mut attempt = 0_u32;
        loop {
            let began = self.engine.host.elapsed_ms();
            realtime.answered.set(false);
            let mut on_hint = || {
                realtime.set_problem(None);
                hint(user_id);
            };
            let ended = self.listen_once(user_id, realtime, &mut on_hint).await;
            if realtime.answered.get()
                && self.engine.host.elapsed_ms().saturating_sub(began) >= GOOD_MS
            {
                attempt = 0;
            }
            attempt = attempt.saturating_add(1);
            let asked = match ended {
                Ok(()) => None,
                Err(error) => {
                    let (permanent, asked) = (is_permanent(&error), error.retry_after_ms());
                    realtime.set_problem(Some(error.for_user(user_id)));
                    if permanent {
                        return realtime.given_up.set(true);
                    }
                    asked
                }
            };
            self.wait(attempt, asked).await;
        }
    }

    async fn listen_once(
        self,
        user_id: &str,
        realtime: &Realtime,
        hint: &mut dyn FnMut(),
    ) -> Result<()> {
        if !realtime.polls.get() {
            let span = self.engine.activity.lone("stream", user_id);
            let ended = self.engine.remote.hints(user_id, hint).await;
            activity::end(span, ended.as_ref().err());
            match ended? {
                Hints::Ended => return Ok(()),
                Hints::NoStream => {}
                Hints::Never => {
                    return Err(Error::new(
                        Code::InvalidConfig,
                        "The `remote` gives no hints: it has no `subscribe`.",
                    ));
                }
            }
        }
        self.poll(user_id, realtime, hint).await
    }

    /// Polls until a request fails.
    async fn poll(self, user_id: &str, realtime: &Realtime, hint: &mut dyn FnMut()) -> Result<()> {
        let user = self.engine.user(user_id).await?;
        let (mut at_once, mut without_progress, mut last) = (0_u32, 0_u32, None);
        loop {
            let request = self.poll_request(&user);
            if last.as_ref() != Some(&request.cursor) {
                without_progress = 0;
            }
            let began = self.engine.host.elapsed_ms();
            let span = self.engine.activity.lone("poll", user_id);
            let answer = self.engine.remote.pull(user_id, &request).await;
            activity::end(span, answer.as_ref().err());
            let has_changes = match answer? {
                Pulled::CursorGone => true,
                Pulled::Page(bytes) => {
                    let page = parse_page(&bytes)?;
                    !page.changes.is_empty()
                        || page.more
                        || request.cursor.as_deref() != Some(&*page.cursor)
                }
            };
            realtime.set_problem(None);
            // This proves that long polling works although a stream does not.
            if !realtime.polls.replace(true) {
                hint();
            }
            if has_changes {
                at_once = 0;
                // A cycle that is skipped or fails leaves the cursor unchanged: poll less and less
                // often.
                without_progress = without_progress.saturating_add(1);
                last = Some(request.cursor);
                hint();
                self.wait(without_progress, None).await;
            } else if self.engine.host.elapsed_ms().saturating_sub(began) < AT_ONCE_MS {
                at_once = at_once.saturating_add(1);
                if at_once >= MAX_AT_ONCE {
                    return Err(Error::new(
                        Code::InvalidConfig,
                        "The remote gives no hints: it has no `/stream`, and answers a pull with `waitMs` at once. `realtime` has no effect with it.",
                    ));
                }
            } else {
                at_once = 0;
            }
        }
    }

    /// Returns a pull request for one row that waits at the remote.
    pub(super) fn poll_request(self, user: &User<B::Store, H>) -> PullRequest {
        // A cursor is valid only with the entity types that it was made for.
        let (cursor, entities) = user
            .db
            .peek(|replica| {
                replica
                    .cursor("")
                    .map(|state| (state.cursor.clone(), state.entities.clone()))
            })
            .unwrap_or_default();
        let config = &self.engine.config;
        let every_type = || config.entities.keys().map(str::to_owned).collect();
        PullRequest {
            client_id: self.engine.backing.device_id(&user.id),
            user_id: Some(user.id.clone()),
            schema: config.schema,
            cursor,
            entities: Some(entities.unwrap_or_else(every_type)),
            limit: 1,
            wait_ms: Some(WAIT_MS),
            ..PullRequest::default()
        }
    }

    async fn wait(self, attempt: u32, asked: Option<u64>) {
        let mut roll = [0; 4];
        self.engine.host.random(&mut roll);
        self.engine
            .host
            .sleep(DELAYS.delay(attempt, u32::from_le_bytes(roll), asked))
            .await;
    }
}

/// Returns true if trying again is useless until somebody signs in or the app changes.
fn is_permanent(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Unauthorized
            | Code::Forbidden
            | Code::UserMismatch
            | Code::ClientOutdated
            | Code::InvalidConfig
            | Code::Closed
    )
}
