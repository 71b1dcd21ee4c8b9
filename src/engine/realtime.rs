//! Hints that there is something to pull: one stream for one user, opened again for as long as it
//! is wanted. Where there is no stream, or a proxy holds it back, pulls that wait take its place;
//! what they bring is never applied, only a reason to run a cycle.

use std::cell::Cell;
use std::pin::pin;

use futures_util::future::select;

use crate::engine::auto_sync::Signal;
use crate::engine::{Backing, RealtimeLoop};
use crate::model::config::{Jitter, Retry};
use crate::model::error::{Code, Error, Result};
use crate::model::protocol::{PullRequest, parse_page};
use crate::ports::host::Host;
use crate::ports::remote::{Hints, Pulled, Remote};
use crate::util::cell::RefCell;
use crate::util::local_sync::Notify;

/// How long a pull waits at the remote, in milliseconds.
const WAIT_MS: u64 = 25_000;

/// An empty answer within this time was not waited for, in milliseconds.
const AT_ONCE_MS: u64 = 1000;

/// After so many of them the remote knows no waiting.
const MOST_AT_ONCE: u32 = 3;

/// A stream that lived so long was good: the next delay is short again. Milliseconds.
const GOOD_MS: u64 = 60_000;

/// Delays between connections: nobody waits for hints, and the interval goes on without them.
const DELAYS: Retry = Retry {
    max_attempts: u32::MAX,
    initial: 1000,
    factor: 2.0,
    max: 300_000,
    jitter: Jitter::Full,
};

/// Whether, and for whom, hints are listened for. It asks nothing of an engine: whoever knows the
/// current user, the tab's visibility and the leader says so here, and [`Engine::run_realtime`]
/// follows.
#[derive(Debug, Default)]
pub struct Realtime {
    user: RefCell<Option<String>>,
    active: Cell<bool>,
    closed: Cell<bool>,
    /// Listening is of no use until somebody signs in.
    given_up: Cell<bool>,
    problem: RefCell<Option<Error>>,
    /// The connection of now has been answered.
    answered: Cell<bool>,
    /// Streams do not come through to here, but pulls that wait do.
    polls: Cell<bool>,
    changed: Notify,
}

impl Realtime {
    /// Names the user to listen for; none after a sign-out. Also after a new sign-in of the same
    /// user: a remote that refused the last token is tried again.
    pub fn set_user(&self, user_id: Option<&str>) {
        *self.user.borrow_mut() = user_id.map(str::to_owned);
        self.given_up.set(false);
        *self.problem.borrow_mut() = None;
        self.changed.notify_one();
    }

    /// Opens a stream, or closes it, as when the tab is shown or hidden, or becomes the leader.
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

    /// Why there are no hints at the moment; none where all is well.
    #[must_use]
    pub fn problem(&self) -> Option<Error> {
        self.problem.borrow().clone()
    }

    /// The user to listen for now.
    fn wanted(&self) -> Option<String> {
        let wanted = self.active.get() && !self.given_up.get();
        if wanted {
            self.user.borrow().clone()
        } else {
            None
        }
    }

    fn tell(&self, problem: Option<Error>) {
        self.answered.set(problem.is_none());
        *self.problem.borrow_mut() = problem;
    }
}

impl<B: Backing, R: Remote, H: Host + 'static> RealtimeLoop<'_, B, R, H> {
    /// Listens for the current user while their automatic cycles run in this tab, until the
    /// instance is closed. Ends at once where the config does not ask for hints.
    pub async fn run(self) {
        if self.engine.config.realtime {
            self.run_with(&self.engine.hint_state, &|user_id| {
                self.engine.auto_sync().signal(Signal::Hint(user_id))
            })
            .await;
        }
    }

    /// Listens as `realtime` says, until that is closed; `hint` is called with the user who has
    /// something to pull. One at a time for each `realtime`.
    pub async fn run_with(self, realtime: &Realtime, hint: &dyn Fn(&str)) {
        while !realtime.closed.get() {
            let changed = pin!(realtime.changed.notified());
            // What changed before this turn is what this turn looks at.
            if changed.try_notified() {
                continue;
            }
            match realtime.wanted() {
                None => changed.await,
                // Whatever changes, the stream of before is not the one that is wanted then.
                Some(user) => {
                    let _ = select(pin!(self.keep_listening(&user, realtime, hint)), changed).await;
                }
            }
        }
    }

    /// Listens for one user, over and over, until it is of no use any more.
    async fn keep_listening(self, user_id: &str, realtime: &Realtime, hint: &dyn Fn(&str)) {
        let mut attempt = 0_u32;
        loop {
            let began = self.engine.host.elapsed_ms();
            realtime.answered.set(false);
            let mut word = || {
                realtime.tell(None);
                hint(user_id);
            };
            let ended = self.listen_once(user_id, realtime, &mut word).await;
            if realtime.answered.get()
                && self.engine.host.elapsed_ms().saturating_sub(began) >= GOOD_MS
            {
                attempt = 0;
            }
            attempt = attempt.saturating_add(1);
            let asked = match ended {
                Ok(()) => None,
                Err(error) => {
                    let (lost, asked) = (is_lost(&error), error.retry_after_ms());
                    realtime.tell(Some(error.for_user(user_id)));
                    if lost {
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
            match self.engine.remote.hints(user_id, hint).await? {
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

    /// Pulls that wait, until one fails.
    async fn poll(self, user_id: &str, realtime: &Realtime, hint: &mut dyn FnMut()) -> Result<()> {
        let user = self.engine.user(user_id).await?;
        let (mut at_once, mut unheeded, mut last) = (0_u32, 0_u32, None);
        loop {
            // A cursor is good only together with the entity types that it was made for.
            let (cursor, entities) = user
                .db
                .peek(|replica| {
                    replica
                        .cursor("")
                        .map(|state| (state.cursor.clone(), state.entities.clone()))
                })
                .unwrap_or_default();
            if last.as_ref() != Some(&cursor) {
                unheeded = 0;
            }
            let request = PullRequest {
                client_id: self.engine.backing.device_id(user_id),
                user_id: Some(user_id.to_owned()),
                schema: self.engine.config.schema,
                cursor: cursor.clone(),
                entities: Some(entities.unwrap_or_else(|| {
                    self.engine
                        .config
                        .entities
                        .keys()
                        .map(str::to_owned)
                        .collect()
                })),
                limit: 1,
                wait_ms: Some(WAIT_MS),
                ..PullRequest::default()
            };
            let began = self.engine.host.elapsed_ms();
            let news = match self.engine.remote.pull(user_id, &request).await? {
                Pulled::CursorGone => true,
                Pulled::Page(bytes) => {
                    let page = parse_page(&bytes)?;
                    !page.changes.is_empty()
                        || page.more
                        || cursor.as_deref() != Some(&*page.cursor)
                }
            };
            realtime.tell(None);
            // Only now: what stands in the way of a stream may answer a pull no better.
            if !realtime.polls.replace(true) {
                hint();
            }
            if news {
                at_once = 0;
                // A cycle that is not run, or fails, leaves the cursor where it is: ask less and
                // less often.
                unheeded = unheeded.saturating_add(1);
                last = Some(cursor);
                hint();
                self.wait(unheeded, None).await;
            } else if self.engine.host.elapsed_ms().saturating_sub(began) < AT_ONCE_MS {
                at_once = at_once.saturating_add(1);
                if at_once >= MOST_AT_ONCE {
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

    async fn wait(self, attempt: u32, asked: Option<u64>) {
        let mut roll = [0; 4];
        self.engine.host.random(&mut roll);
        self.engine
            .host
            .sleep(DELAYS.delay(attempt, u32::from_le_bytes(roll), asked))
            .await;
    }
}

/// Trying again will not help before somebody signs in, or the app is another.
fn is_lost(error: &Error) -> bool {
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
