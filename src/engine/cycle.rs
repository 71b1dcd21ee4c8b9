//! One cycle: push and pull in the order of the direction, with conflicts decided on the way, then
//! the comparison of digests and the device's metadata. Generic over the three ports, so that the
//! loop under test is the loop that ships.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::activity::ActivityHub;
use crate::engine::cycle::batch_size::BatchSize;
use crate::engine::cycle::cancel::{Cancel, Stop};
use crate::engine::cycle::device_report::report_device;
use crate::engine::cycle::options::Settings;
use crate::engine::cycle::progress::ProgressRange;
use crate::engine::cycle::pull::Pull;
use crate::engine::cycle::push::Push;
use crate::engine::cycle::push::search::Search;
use crate::engine::cycle::resolve::Resolving;
use crate::engine::cycle::resolvers::Resolvers;
use crate::engine::database::Database;
use crate::engine::events::EventHub;
use crate::engine::status_feed::StatusHub;
use crate::log::commit::Event;
use crate::log::known_server::ServerNews;
use crate::model::config::storage::Durability;
use crate::model::config::{Config, Direction};
use crate::model::error::{Code, Error, ErrorJson, Result};
use crate::model::status::{SyncResult, SyncState};
use crate::ports::host::Host;
use crate::ports::remote::Remote;
use crate::ports::store::Store;
use crate::state::replica::Replica;
use crate::util::cell::RefCell;

mod arrival;
pub mod batch;
pub mod batch_size;
mod call;
pub mod cancel;
pub mod device_report;
pub mod options;
pub mod progress;
pub mod pull;
pub mod push;
pub mod report;
pub mod resolve;
pub mod resolvers;
pub mod retry;
pub mod server;

/// The shared state of one cycle.
#[derive(Debug)]
pub struct Cycle<'a, S, R, H> {
    /// The user's database.
    pub db: &'a Database<S, H>,
    /// The backend.
    pub remote: &'a R,
    /// Clock, random numbers and timers.
    pub host: &'a H,
    pub config: &'a Config,
    /// This cycle's options.
    pub settings: &'a Settings,
    /// The conflict resolvers.
    pub resolvers: &'a Resolvers,
    /// Stops it.
    pub cancel: &'a Cancel,
    /// Receives the status.
    pub hub: &'a StatusHub,
    /// Receives the events.
    pub events: &'a EventHub,
    /// Receives what is done.
    pub(crate) activity: &'a Rc<ActivityHub>,
    /// How many operations go into one push.
    pub batch_size: &'a BatchSize,
    /// How many rows go into one page.
    pub page_size: &'a BatchSize,
    pub notes: PhaseNotes,
    /// Counts requests.
    pub requests: &'a Cell<u64>,
    pub device_id: &'a str,
    /// The result so far.
    pub tally: RefCell<SyncResult>,
    /// The offset of the remote's clock, in milliseconds, as measured in this cycle.
    pub clock_offset: Cell<Option<i64>>,
    /// When this cycle sent the device's metadata, and a hash of it.
    pub reported_now: Cell<Option<(u64, u64)>>,
    /// The server, as this cycle has come to know it.
    pub learned_server: RefCell<Option<ServerNews>>,
    /// Failures that did not end the cycle.
    pub warnings: RefCell<Vec<ErrorJson>>,
    /// Failures outside the actual work, such as a remote that stores no metadata: they are shown,
    /// but the cycle still succeeds.
    pub side_errors: RefCell<Vec<ErrorJson>>,
    /// The app's resolvers that have timed out in this cycle.
    pub timed_out_resolvers: RefCell<Vec<*const ()>>,
}

/// What the phases of a cycle know of each other.
#[derive(Debug, Default)]
pub struct PhaseNotes {
    /// The operations over which a push may have failed.
    search: Rc<RefCell<Search>>,
    /// The remote has answered since a phase failed, or since the cycle began.
    answered: Cell<bool>,
    /// A pull follows this push.
    pull_follows: Cell<bool>,
    /// The pull has failed before this push.
    pull_failed: Cell<bool>,
}

impl<S: Store, R: Remote, H: Host> Cycle<'_, S, R, H> {
    /// Runs the cycle to its end and reports the result: in the status, in the log and to the
    /// remote. Publishes exactly one terminal status. `started_at` is when it begins, which no other
    /// cycle shares, in milliseconds since 1970.
    ///
    /// # Errors
    /// Fails with the error that ended the cycle early. Earlier work of the cycle stays committed.
    pub async fn run(&self, started_at: u64) -> Result<SyncResult> {
        let started = self.host.elapsed_ms();
        self.hub.update(|status| {
            status.status = SyncState::Syncing;
            status.progress = 0.0;
            status.phase = None;
            status.completed_operations = 0;
            status.failed_operations = 0;
            status.synced_count = 0;
            status.conflicts_resolved = 0;
            status.errors = Vec::new();
            status.last_started_at = Some(crate::util::time::format(started_at));
            status.reckon_health();
        });
        self.tell_started();
        // Commits of other tabs are not looked up first: the final commit detects them.
        let mut looks_again = true;
        loop {
            let mut ended = self.phases().await;
            let duration = || self.host.elapsed_ms().saturating_sub(started);
            if ended.is_ok() {
                ended = report_device(self, duration()).await;
            }
            if let Some(result) = self
                .conclude(
                    ended,
                    started_at,
                    duration(),
                    std::mem::take(&mut looks_again),
                )
                .await
            {
                return result;
            }
        }
    }

    async fn phases(&self) -> Result<()> {
        if self.settings.include_deletes
            && self
                .db
                .read(crate::state::replica::Replica::has_held_deletes)
        {
            self.db
                .record(Durability::Relaxed, &|_| vec![Event::ReleaseDeletes])
                .await?;
        }
        server::confirm_server(self).await?;
        Resolving(self).ask_again().await?;
        let push = async |from, to| {
            let phase = self.begin_phase("push");
            let pushed = Push::new(self, ProgressRange::new(from, to)).run().await;
            self.end_phase(phase, pushed)
        };
        let pull = async |from, to| {
            let phase = self.begin_phase("pull");
            let pulled = Pull::new(self, ProgressRange::new(from, to)).run().await;
            self.end_phase(phase, pulled)
        };
        let notes = &self.notes;
        let direction = match self.settings.direction {
            // A push that names no epoch would be taken by any: delayed over a restore, it would be
            // applied in the new history, and offered to it once more.
            Direction::PushThenPull if self.db.read(Replica::is_new) => Direction::PullThenPush,
            asked => asked,
        };
        match direction {
            Direction::PushThenPull => {
                notes.pull_follows.set(true);
                let pushed = push(0.0, 0.5).await;
                notes.pull_follows.set(false);
                if pushed.as_ref().is_err_and(|error| !self.is_own(error)) {
                    return pushed;
                }
                notes.answered.set(false);
                let pulled = pull(0.5, 1.0).await;
                let again = match (&pushed, &pulled) {
                    // A conflict resolved during the pull leaves a winner that this cycle still has
                    // to push.
                    (Ok(()), Ok(())) => true,
                    // The remote works, so something in the push is the cause.
                    (Err(_), pulled) => {
                        notes.answered.get()
                            && pulled.as_ref().err().is_none_or(|error| self.is_own(error))
                    }
                    (Ok(()), Err(_)) => false,
                };
                let pushed = if again { push(1.0, 1.0).await } else { pushed };
                server::both(pushed, pulled)
            }
            Direction::PullThenPush => {
                let pulled = pull(0.0, 0.7).await;
                let ends = |error| !self.is_own(error) || self.db.read(Replica::is_new);
                if pulled.as_ref().is_err_and(ends) {
                    return pulled;
                }
                notes.pull_failed.set(pulled.is_err());
                server::both(pulled, push(0.7, 1.0).await)
            }
            Direction::PushOnly => {
                if self.db.read(Replica::is_new) {
                    let asks = Pull::new(self, ProgressRange::new(0.0, 0.0));
                    asks.ask_for_epoch().await?;
                }
                push(0.0, 1.0).await
            }
            Direction::PullOnly => pull(0.0, 1.0).await,
        }
    }

    /// Returns true if a failed phase should not prevent the other one, because the cause may lie
    /// in what was sent or asked for.
    fn is_own(&self, error: &Error) -> bool {
        self.cancel.reason().is_none()
            && matches!(
                error.code(),
                Code::ServerError | Code::Timeout | Code::Protocol | Code::Rejected | Code::Network
            )
    }

    /// Records the end of the cycle in one commit. Returns `None` if the log was ahead of this
    /// tab's state and `looks_again` is set: then nothing was written, the state is up to date, and
    /// there may be more to do.
    async fn conclude(
        &self,
        ended: Result<()>,
        started_at: u64,
        duration: u64,
        looks_again: bool,
    ) -> Option<Result<SyncResult>> {
        let now = self.host.now_ms();
        let cancelled = matches!(
            self.cancel.reason(),
            Some(Stop::Abort | Stop::Pause | Stop::Overtaken)
        ) && ended.is_err();
        let mut result = self.tally.borrow().clone();
        result.duration = duration;
        result.was_cancelled = cancelled;
        result.synced_count = result.pushed_count.saturating_add(result.pulled_count);
        result.pending_operations = self.db.read(|replica| replica.outbox().len() as u64);
        result.error = ended
            .as_ref()
            .err()
            .map(|error| error.to_json(crate::util::time::format(now)))
            .or_else(|| self.warnings.borrow().first().cloned());
        result.is_success =
            ended.is_ok() && !cancelled && result.failed_count == 0 && result.error.is_none();
        let mut written = result.clone();
        let (planned, again) = (Cell::new(false), Cell::new(false));
        let learned = self.learned_server.borrow().clone();
        let recorded = self
            .db
            .record(Durability::Relaxed, &|replica| {
                again.set(planned.replace(true) && looks_again && ended.is_ok());
                let facts = || {
                    self.facts_after(
                        replica.facts(),
                        &ended,
                        cancelled,
                        started_at,
                        now,
                        &mut written.clone(),
                    )
                };
                if again.get() {
                    Vec::new()
                } else {
                    let mut events = vec![Event::Facts {
                        facts: Box::new(facts()),
                    }];
                    let news = learned.as_ref();
                    let news = news.and_then(|news| news.to_record(replica.server()));
                    events.extend(news.map(|server| Event::Server {
                        server: server.clone(),
                    }));
                    events
                }
            })
            .await;
        if again.get() && recorded.is_ok() {
            return None;
        }
        self.db.read(|replica| {
            written.total_bytes_pushed = replica.facts().bytes_pushed;
            written.total_bytes_pulled = replica.facts().bytes_pulled;
        });
        // A cycle whose end could not be recorded has failed.
        let ended = ended.and(recorded);
        self.publish_end(&ended, cancelled, &written, now);
        self.tell_ended(&ended, cancelled, &written);
        Some(match ended {
            Err(error) if !cancelled => Err(error),
            _ => Ok(written),
        })
    }
}

/// Returns a user's status hub as it is before the first cycle.
#[must_use]
pub fn first_status(user_id: &str) -> Rc<StatusHub> {
    Rc::new(StatusHub::new(crate::model::status::SyncStatus {
        user_id: user_id.to_owned(),
        ..Default::default()
    }))
}
