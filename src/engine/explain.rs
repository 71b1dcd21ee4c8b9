//! Why the next automatic cycle is when it is, and why an operation has not been sent, each with what
//! mends it.

use serde::Serialize;

use crate::engine::cycle::options::Settings;
use crate::engine::{Backing, Explanations, User, check_user_id};
use crate::model::error::{Code, ErrorJson, Result};
use crate::model::status::SyncState;
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::schedule::Schedule;
use crate::schedule::why::Why;
use crate::util::time::format;

pub mod operation;

/// `NextSyncExplanation` of the public surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextSyncExplanation {
    pub user_id: String,
    /// When the next automatic cycle begins.
    pub at: Option<String>,
    pub reason: Reason,
    /// The same for people.
    pub because: String,
    /// The failure of the last cycle, if it still matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorJson>,
}

/// Why a cycle or an operation waits: `NextSyncReason` and `WaitReasonName` of the public surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    Interval,
    Write,
    SignIn,
    Resumed,
    Hint,
    Retry,
    RetryAfter,
    Postponed,
    Running,
    OtherTab,
    Electing,
    Paused,
    Offline,
    Hidden,
    Stopped,
    NotStarted,
    Excluded,
    NotOpen,
    Closed,
    InFlight,
    Blocked,
    Conflict,
    DeadLetter,
    UnnamedType,
    DeletesHeld,
    PullOnly,
    Space,
    OtherServer,
    Restored,
    Storage,
    Clock,
}

impl Reason {
    /// Returns true if no cycle begins until somebody acts, or something outside changes.
    const fn stops(self) -> bool {
        matches!(
            self,
            Self::Paused
                | Self::Offline
                | Self::Hidden
                | Self::Stopped
                | Self::NotStarted
                | Self::Excluded
                | Self::NotOpen
                | Self::Closed
        )
    }
}

const HIDDEN: &str = "This tab is hidden, and runs no cycles by itself. They go on once it is visible, or in another tab that is; `synchronize` does not wait.";

const ELECTING: &str = "This tab does not run the automatic cycles, and no other has announced that it does. A visible tab takes over by itself; `synchronize` does not need that.";

impl<B: Backing, R: Remote, H: Host + 'static> Explanations<'_, B, R, H> {
    /// Explains when the next automatic cycle of a user begins, or why none does.
    ///
    /// # Errors
    /// Fails with [`Code::InvalidArgument`] for a bad id.
    pub fn next_sync(self, user_id: &str) -> Result<NextSyncExplanation> {
        check_user_id(user_id)?;
        let error = self.last_failure(user_id);
        let (reason, at, because) = self.next(user_id, error.as_ref());
        Ok(NextSyncExplanation {
            user_id: user_id.to_owned(),
            at: at.map(format),
            reason,
            because,
            error: error.filter(|_| !matches!(reason, Reason::Closed | Reason::Running)),
        })
    }

    /// Returns the error of the last cycle, if that has failed.
    fn last_failure(self, user_id: &str) -> Option<ErrorJson> {
        let status = self.engine.open_users.known_hub(user_id)?.current();
        let failed = status.status == SyncState::Failed;
        status.errors.last().filter(|_| failed).cloned()
    }

    fn next(self, user_id: &str, error: Option<&ErrorJson>) -> (Reason, Option<u64>, String) {
        let engine = self.engine;
        let none = |reason, because: &str| (reason, None, because.to_owned());
        if engine.closed.get() {
            return none(
                Reason::Closed,
                "This instance is closed. Call `Datum.initialize` again.",
            );
        }
        if engine.is_excluded(user_id) {
            return none(
                Reason::Excluded,
                "`excludedSyncUserIds` names this user. Take them out of it, or leave their data on this device.",
            );
        }
        if engine.pause_state.is_paused(user_id) {
            return none(Reason::Paused, "Sync is paused. Call `resumeSync`.");
        }
        let Some(user) = engine.opened(user_id) else {
            return none(
                Reason::NotOpen,
                "This user is not signed in here. Call `switchUser`.",
            );
        };
        if user.cycle.is_running() {
            return none(Reason::Running, "A cycle runs.");
        }
        if user.hub.current().status == SyncState::Syncing {
            return none(Reason::Running, "A cycle runs in another tab.");
        }
        let plan = (!engine.auto_sync().leads()).then(|| user.tab.leader_plan());
        if let Some(Some((at, _))) = &plan {
            return elsewhere(at.as_deref());
        }
        let (reason, at, because) = self.planned(&user, error);
        match reason {
            // So it is, wherever cycles run.
            Reason::NotStarted | Reason::Stopped => (reason, at, because),
            _ if engine.schedules.is_hidden() => none(Reason::Hidden, HIDDEN),
            _ if plan.is_some() => none(Reason::Electing, ELECTING),
            _ => (reason, at, because),
        }
    }

    /// Explains this tab's plan.
    fn planned(
        self,
        user: &User<B::Store, H>,
        error: Option<&ErrorJson>,
    ) -> (Reason, Option<u64>, String) {
        let engine = self.engine;
        let now = engine.moment();
        let (why, at) = engine
            .schedules
            .get(&user.id, |schedule: &Schedule| schedule.why(now))
            .unwrap_or((Why::NotStarted, None));
        let failure = error.map(failure).unwrap_or_default();
        let settings = Settings::by_default(&engine.config);
        let at = at.map(|at| at.on_wall(now)).filter(|at| *at > now.wall);
        let postponed = self.first_postponed(user, now.wall);
        let (reason, because) = match why {
            Why::NotStarted => {
                let who = match engine.current_user().as_deref() == Some(&*user.id) {
                    true => "",
                    false => " This is not the current user.",
                };
                return (
                    Reason::NotStarted,
                    None,
                    format!(
                        "Automatic cycles are not started.{who} Call `synchronize`, or start them with `startAutoSync` or `autoStartSync`.{failure}"
                    ),
                );
            }
            Why::Resting => {
                return (
                    Reason::Stopped,
                    None,
                    format!("Automatic cycles have stopped.{failure} {}", remedy(error)),
                );
            }
            _ if !settings.force && !engine.network().may_be_tried() => {
                return (
                    Reason::Offline,
                    None,
                    "The browser reports no network, and a request has failed since. A cycle begins once the network is back; with `force`, `synchronize` tries all the same.".to_owned(),
                );
            }
            Why::Interval => (Reason::Interval, "The interval of automatic cycles."),
            Why::Write if postponed.is_some_and(|until| at.is_some_and(|at| at >= until)) => (
                Reason::Postponed,
                "The remote has postponed an operation, or has failed on it.",
            ),
            Why::Write => (
                Reason::Write,
                "There is something to push, after `syncAfterWrite`.",
            ),
            Why::SignIn => (
                Reason::SignIn,
                "The first cycle after a sign-in, see `coldStart`.",
            ),
            Why::Hint => (Reason::Hint, "There is something to pull."),
            Why::Retry => (
                Reason::Retry,
                "The last cycle has failed, and is tried again.",
            ),
            Why::RetryAfter => (Reason::RetryAfter, "The remote has asked for this delay."),
            Why::Resumed => (
                Reason::Resumed,
                "The network came back, the page became visible, or sync was resumed.",
            ),
        };
        (reason, at, format!("{because}{failure}"))
    }

    /// Returns when the first operation that the remote has postponed may be sent again.
    fn first_postponed(self, user: &User<B::Store, H>, now: u64) -> Option<u64> {
        user.db.peek(|replica| {
            let outbox = replica.outbox().iter();
            outbox.filter_map(|queued| queued.rests_until(now)).min()
        })
    }
}

/// Explains the plan of another tab, which leads.
fn elsewhere(at: Option<&str>) -> (Reason, Option<u64>, String) {
    let because = match at {
        Some(_) => "Another tab runs the automatic cycles, and has announced this time.",
        None => {
            "Another tab runs the automatic cycles, and has planned none for this user: ask there, or call `synchronize` here."
        }
    };
    let at = at.and_then(crate::util::time::parse);
    (Reason::OtherTab, at, because.to_owned())
}

/// Returns the sentence that tells of the last failure.
fn failure(error: &ErrorJson) -> String {
    let status = error
        .status
        .map(|status| format!(", HTTP {status}"))
        .unwrap_or_default();
    format!(
        " The last cycle ended with `{}`{status}: {}",
        error.code.as_str(),
        error.message
    )
}

/// Returns what mends a failure after which automatic cycles rest.
fn remedy(error: Option<&ErrorJson>) -> &'static str {
    match error.map(|error| error.code) {
        Some(Code::Unauthorized) => {
            "They go on after a sign-in (`switchUser`), or, once `headers` returns a token that the remote accepts, after `resumeSync`."
        }
        Some(Code::Forbidden | Code::UserMismatch) => {
            "They go on after a sign-in of the user whom the token is for, or after `resumeSync` once the remote allows it."
        }
        Some(Code::ClientOutdated) => "Load the newer version of the app.",
        _ => "They go on after `resumeSync`, a sign-in, or a `synchronize` that succeeds.",
    }
}
